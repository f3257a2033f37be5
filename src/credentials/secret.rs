use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

macro_rules! secret {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        ///
        /// `Debug` prints `[REDACTED]`. There is no `Display`, no `Serialize` and no comparison. The memory
        /// is zeroed on drop.
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Wraps the text unchanged.
            pub fn new(text: impl Into<String>) -> Self {
                Self(SecretString::from(text.into()))
            }

            /// Returns the secret text.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([REDACTED])"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // The error of `String::deserialize` would show a value of the wrong type.
                match serde_json::Value::deserialize(deserializer) {
                    Ok(serde_json::Value::String(text)) => Ok(Self::new(text)),
                    _ => Err(serde::de::Error::custom("expected a string")),
                }
            }
        }
    };
}

secret! {
    /// An access token, or the token of an internal integration, as sent in `Authorization: Bearer`.
    AccessToken
}

secret! {
    /// A refresh token. It can be exchanged once for a new token pair.
    RefreshToken
}

secret! {
    /// An OpenID Connect ID token. Notion sends none. One from another server is stored unchanged.
    IdToken
}

secret! {
    /// The OAuth client's secret, sent to the token endpoint by HTTP Basic authentication.
    ClientSecret
}

/// The reason why an access token cannot be sent.
///
/// It contains nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// The token is empty.
    #[error("the access token is empty")]
    Empty,
    /// The token has a character other than visible ASCII (0x21 to 0x7E).
    #[error(
        "the access token has a character at position {position} that an Authorization header \
         cannot carry (only visible ASCII can be sent)"
    )]
    Character {
        /// The position of the character in the token, starting at 1.
        position: usize,
    },
    /// The credentials' `token_type` is not `Bearer`.
    #[error("the token_type is not bearer, and no other type can be sent")]
    TokenType,
}

impl AccessToken {
    /// Checks that an HTTP header can carry the token.
    ///
    /// RFC 6750 section 2.1 allows fewer characters. This check accepts every token that an HTTP client can
    /// send, because tokens are opaque.
    ///
    /// # Errors
    /// If the token is empty, or has a character other than visible ASCII.
    pub fn check(&self) -> Result<(), InvalidToken> {
        let token = self.expose();
        if token.is_empty() {
            return Err(InvalidToken::Empty);
        }
        match token.chars().position(|it| !it.is_ascii_graphic()) {
            None => Ok(()),
            Some(before) => Err(InvalidToken::Character {
                position: before + 1,
            }),
        }
    }

    /// Returns the value of an `Authorization` header, `Bearer` and the token.
    ///
    /// It is marked as sensitive: HTTP/2 does not index it, and `Debug` does not show it. The memory is
    /// zeroed when the last clone is dropped.
    ///
    /// # Errors
    /// The same as [`check`](Self::check).
    pub fn to_header_value(&self) -> Result<HeaderValue, InvalidToken> {
        self.check()?;
        let text = Zeroizing::new(["Bearer ", self.expose()].concat().into_bytes());
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .map_err(|_| InvalidToken::Character { position: 1 })?;
        value.set_sensitive(true);
        Ok(value)
    }
}
