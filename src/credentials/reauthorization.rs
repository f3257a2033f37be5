use std::fmt;

/// The reason why a user must connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReauthorizationReason {
    /// Notion revoked the grant: the user removed the connection, or made a new one elsewhere.
    Revoked,
    /// The refresh token was spent, and no usable response with its successor was received.
    RotationLost,
    /// The access token was refused, and there is no refresh token.
    NoRefreshToken,
    /// The access token has expired, and there is no refresh token.
    Expired,
}

impl fmt::Display for ReauthorizationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "the grant was revoked",
            Self::RotationLost => {
                "a refresh spent the refresh token, and the new token pair was not received"
            }
            Self::NoRefreshToken => "the access token was refused and there is no refresh token",
            Self::Expired => "the access token has expired and there is no refresh token",
        })
    }
}
