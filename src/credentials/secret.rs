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
        /// `Debug` prints no character of it, there is no `Display`, no `Serialize` and no
        /// comparison, and the memory is wiped when it is dropped.
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(SecretString::from(text.into()))
            }

            /// The text itself: the one way to it.
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
                // Not `String::deserialize`: its error would show a value of another type.
                match serde_json::Value::deserialize(deserializer) {
                    Ok(serde_json::Value::String(text)) => Ok(Self::new(text)),
                    _ => Err(serde::de::Error::custom("expected a string")),
                }
            }
        }
    };
}

secret! {
    /// An access token, or the token of an internal integration: what `Authorization: Bearer`
    /// carries.
    AccessToken
}

secret! {
    /// A refresh token. Notion exchanges it once, for a new pair.
    RefreshToken
}

secret! {
    /// An OpenID Connect id token. Notion sends none; it is kept where another server did.
    IdToken
}

secret! {
    /// The secret of the OAuth client, sent as HTTP Basic to the token endpoint.
    ClientSecret
}

/// Why an access token cannot be sent. It shows nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// There is no token.
    #[error("the access token is empty")]
    Empty,
    /// A header value has visible ASCII characters only, which are 0x21 to 0x7E.
    #[error(
        "the access token has a character at position {position} that an Authorization header \
         cannot carry (only visible ASCII can be sent)"
    )]
    Character {
        /// The character's place in the token. The first character has position 1.
        position: usize,
    },
    /// The credentials' `token_type` is not `Bearer`.
    #[error("the token_type is not bearer, and no other type can be sent")]
    TokenType,
}

impl AccessToken {
    /// Checks that a header can carry the token.
    ///
    /// RFC 6750 section 2.1 allows fewer characters than this. Tokens are opaque, so whatever a
    /// server issues is sent if an HTTP client can send it.
    ///
    /// # Errors
    /// When the token is empty, or has a character that is not visible ASCII.
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

    /// The value of an `Authorization` header, `Bearer` and the token, marked as sensitive: HTTP/2
    /// does not index it, `Debug` does not show it. Its memory is wiped when the last clone goes.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn to_header_value(&self) -> Result<HeaderValue, InvalidToken> {
        self.check()?;
        let text = Zeroizing::new(["Bearer ", self.expose()].concat().into_bytes());
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .map_err(|_| InvalidToken::Character { position: 1 })?;
        value.set_sensitive(true);
        Ok(value)
    }
}
