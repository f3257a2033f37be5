use std::fmt;

use zeroize::Zeroizing;

use crate::{credentials::NotionUserCredentials, json::to_exact_vec};

/// The first byte of a payload says how to read the rest.
const PLAIN_JSON: u8 = 1;

/// Why a payload cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadablePayload {
    #[error("the record was written by a newer version of this crate, or by something else")]
    Format,
    #[error("the record is damaged")]
    Damaged,
}

/// Credentials in the form in which a store keeps them: bytes that only the provider reads.
///
/// They are wiped from memory when dropped, and `Debug` shows their number alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload(Zeroizing<Vec<u8>>);

impl Payload {
    /// Bytes read back from a store.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[expect(clippy::expect_used, reason = "better no record than an empty one")]
    pub(crate) fn encode(credentials: &NotionUserCredentials) -> Self {
        let json = to_exact_vec(&[PLAIN_JSON], &credentials.expose_tokens());
        Self(json.expect("strings, numbers and maps with string keys can be written as JSON"))
    }

    pub(crate) fn decode(&self) -> Result<NotionUserCredentials, UnreadablePayload> {
        match self.0.split_first() {
            Some((&PLAIN_JSON, json)) => {
                serde_json::from_slice(json).map_err(|_| UnreadablePayload::Damaged)
            }
            _ => Err(UnreadablePayload::Format),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload([{} bytes])", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessToken;

    #[test]
    fn credentials_come_back_and_other_bytes_do_not() {
        let mut credentials = NotionUserCredentials::new(AccessToken::new("ntn_1"));
        credentials.workspace_name = Some("Acme".to_owned());

        let back = Payload::encode(&credentials)
            .decode()
            .expect("what was written is read");

        assert_eq!(back.access_token.expose(), "ntn_1");
        assert_eq!(back.workspace_name.as_deref(), Some("Acme"));
        for (bytes, why) in [
            (&b""[..], UnreadablePayload::Format),
            (b"\x02{}", UnreadablePayload::Format),
            (b"{}", UnreadablePayload::Format),
            (b"\x01{}", UnreadablePayload::Damaged),
            (b"\x01{\"access_token\":", UnreadablePayload::Damaged),
        ] {
            let read = Payload::from_bytes(bytes.to_vec()).decode();
            assert_eq!(read.expect_err("not credentials"), why);
        }
    }
}
