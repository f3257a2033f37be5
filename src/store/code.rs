use super::RecordState;
use crate::credentials::ReauthorizationReason;

impl RecordState {
    /// The word by which a store keeps the state. It never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disconnected => "disconnected",
            Self::NeedsReauthorization(reason) => match reason {
                ReauthorizationReason::Revoked => "revoked",
                ReauthorizationReason::RotationLost => "rotation_lost",
                ReauthorizationReason::NoRefreshToken => "no_refresh_token",
                ReauthorizationReason::Unreadable => "unreadable",
            },
        }
    }

    /// The state of that [`code`](Self::code); `None` if this version knows no such state.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Active, Self::Disconnected]
            .into_iter()
            .chain(ReauthorizationReason::ALL.map(Self::NeedsReauthorization))
            .find(|state| state.code() == code)
    }
}
