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

/// A token that cannot be sent: it is empty, or has a character that no bearer token has.
///
/// RFC 6750 section 2.1 allows letters, digits, `-`, `.`, `_`, `~`, `+`, `/`, and `=` at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the token is not a bearer token (letters, digits, '-', '.', '_', '~', '+', '/', then '='): \
     was something else, or more than the token, put in its place?"
)]
#[non_exhaustive]
pub struct InvalidToken;

impl AccessToken {
    /// Checks the token's form, without which it is not put into a header.
    ///
    /// # Errors
    /// When it is empty or not made of RFC 6750's characters.
    pub fn check(&self) -> Result<(), InvalidToken> {
        if is_b64token(self.expose()) {
            Ok(())
        } else {
            Err(InvalidToken)
        }
    }
}

impl AccessToken {
    /// The value of an `Authorization` header, `Bearer` and the token, marked as sensitive: HTTP/2
    /// does not index it, `Debug` does not show it. Its memory is wiped when the last clone goes.
    ///
    /// # Errors
    /// When the token is empty or not made of RFC 6750's characters.
    pub fn to_header_value(&self) -> Result<HeaderValue, InvalidToken> {
        self.check()?;
        let text = Zeroizing::new(["Bearer ", self.expose()].concat().into_bytes());
        let mut value =
            HeaderValue::from_maybe_shared(Bytes::from_owner(text)).map_err(|_| InvalidToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_b64token;

    #[test]
    fn bearer_tokens_are_told_from_other_text() {
        for good in ["a", "ntn_1-2.3~4+5/6", "abc=", "abc=="] {
            assert!(is_b64token(good), "{good:?}");
        }
        for bad in [
            "", "=", "a b", "a=b", "a\n", "Bearer x", "é", "a\0", "\"a\"",
        ] {
            assert!(!is_b64token(bad), "{bad:?}");
        }
    }
}
