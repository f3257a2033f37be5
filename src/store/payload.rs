use std::fmt;

use zeroize::Zeroizing;

use super::unreadable::UnreadablePayload;
use crate::{credentials::NotionUserCredentials, json::to_exact_vec};

/// The first byte of a payload says how to read the rest.
const IN_CLEAR: u8 = 1;
/// Not yet another form: the JSON of one in clear, sealed.
pub(super) const SEALED: u8 = 2;

/// Credentials in the form in which a store keeps them: bytes that only the provider reads.
///
/// They are wiped from memory when dropped, and `Debug` shows their number alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload(Zeroizing<Vec<u8>>);

/// How a payload is to be read.
pub(super) enum Form<'a> {
    /// JSON.
    InClear(&'a [u8]),
    /// What a key has sealed.
    #[cfg_attr(
        not(feature = "encryption"),
        expect(dead_code, reason = "nothing opens it")
    )]
    Sealed(&'a [u8]),
}

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

    #[cfg(feature = "encryption")]
    pub(super) fn from_wiped(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(super) fn in_clear(credentials: &NotionUserCredentials) -> Self {
        Self(write(&[IN_CLEAR], credentials))
    }

    pub(super) fn form(&self) -> Result<Form<'_>, UnreadablePayload> {
        match self.0.split_first() {
            Some((&IN_CLEAR, json)) => Ok(Form::InClear(json)),
            Some((&SEALED, rest)) => Ok(Form::Sealed(rest)),
            Some(_) => Err(UnreadablePayload::Format),
            None => Err(UnreadablePayload::Damaged),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload([{} bytes])", self.0.len())
    }
}

/// The credentials' JSON behind what comes before it.
#[expect(clippy::expect_used, reason = "better no record than an empty one")]
pub(super) fn write(before: &[u8], credentials: &NotionUserCredentials) -> Zeroizing<Vec<u8>> {
    let json = to_exact_vec(before, &credentials.expose_tokens());
    json.expect("strings, numbers and maps with string keys can be written as JSON")
}

pub(super) fn read(json: &[u8]) -> Result<NotionUserCredentials, UnreadablePayload> {
    serde_json::from_slice(json).map_err(|_| UnreadablePayload::Damaged)
}
