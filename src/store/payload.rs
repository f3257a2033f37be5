//! Credentials as bytes, in plaintext or encrypted.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::{credentials::NotionUserCredentials, json::to_exact_vec};

/// First byte of a plaintext payload. The JSON of [`NotionUserCredentials`] follows.
const PLAINTEXT: u8 = 1;
/// First byte of an encrypted payload, see `encryption`.
pub(super) const ENCRYPTED: u8 = 2;

/// The credentials of a record: zeroed in memory on drop, and not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Payload(Zeroizing<Vec<u8>>);

/// The format of a payload.
pub(super) enum Form<'a> {
    Plaintext(&'a [u8]),
    #[cfg_attr(
        not(feature = "encryption"),
        expect(dead_code, reason = "nothing decrypts it")
    )]
    Encrypted(&'a [u8]),
}

impl Payload {
    #[cfg(feature = "encryption")]
    pub(super) fn from_wiped(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(super) fn plaintext(credentials: &NotionUserCredentials) -> Self {
        Self(to_json(&[PLAINTEXT], credentials))
    }

    pub(super) fn form(&self) -> Result<Form<'_>, UnreadableReason> {
        match self.0.split_first() {
            Some((&PLAINTEXT, json)) => Ok(Form::Plaintext(json)),
            Some((&ENCRYPTED, rest)) => Ok(Form::Encrypted(rest)),
            _ => Err(UnreadableReason::Damaged),
        }
    }
}

/// ID of a key, which a record contains to say which key decrypts it. It reveals nothing about the key.
#[cfg(feature = "encryption")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyId(pub(super) [u8; 8]);

/// An encrypted payload without its first byte: key ID, random nonce, ciphertext and tag.
#[cfg(feature = "encryption")]
pub(super) struct Encrypted<'a> {
    pub(super) key: KeyId,
    pub(super) nonce: &'a [u8; 24],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8; 16],
}

#[cfg(feature = "encryption")]
impl<'a> Encrypted<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (ciphertext, tag) = rest.split_last_chunk()?;
        Some(Self {
            key: KeyId(*key),
            nonce,
            ciphertext,
            tag,
        })
    }
}

#[cfg(feature = "encryption")]
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

#[cfg(feature = "encryption")]
impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(STANDARD.encode(&*self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| de::Error::custom("expected base64"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

/// Serializes the credentials as JSON after `prefix`.
#[expect(clippy::expect_used, reason = "an empty record would lose credentials")]
pub(super) fn to_json(prefix: &[u8], credentials: &NotionUserCredentials) -> Zeroizing<Vec<u8>> {
    let json = to_exact_vec(prefix, &credentials.expose_tokens());
    json.expect("strings, numbers and maps with string keys are writable as JSON")
}

pub(super) fn from_json(json: &[u8]) -> Result<NotionUserCredentials, UnreadableReason> {
    serde_json::from_slice(json).map_err(|_| UnreadableReason::Damaged)
}

/// The reason why a record cannot be read, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadableReason {
    #[error(
        "the record has format {0}, which a newer version of notion-auth wrote: run that version. \
         The record stays as it is"
    )]
    NewerFormat(u32),
    #[error("the record is damaged: restore it from a backup, or let the user connect again")]
    Damaged,
    #[cfg(feature = "encryption")]
    #[error(
        "the record is encrypted with key {0}, which NOTION_AUTH_KEYS does not contain: add that key"
    )]
    NoKey(KeyId),
    #[cfg(feature = "encryption")]
    #[error(
        "the record can't be decrypted for this subject: it was altered, or copied from another \
         subject, namespace, OAuth client or older record. Restore it from a backup, or let the user \
         connect again"
    )]
    NotAuthentic,
    #[cfg(feature = "encryption")]
    #[error(
        "the record is plaintext, but the provider has keys: anyone who can write to the store may \
         have put it there. If it is older than the keys, call `plaintext_at_rest()` on the provider's \
         builder until `rotate` has encrypted all records"
    )]
    Plaintext,
    #[cfg_attr(
        feature = "encryption",
        error(
            "the record is encrypted, and the provider has no keys: call \
             `keys(Keyring::from_env()?)` on its builder and set NOTION_AUTH_KEYS"
        )
    )]
    #[cfg_attr(
        not(feature = "encryption"),
        error(
            "the record is encrypted, and this program is built without the feature `encryption` of \
             notion-auth: enable it, and call `keys(Keyring::from_env()?)` on the provider's builder"
        )
    )]
    Encrypted,
}

/// Error of a record that cannot be read, with the name of its store.
#[derive(Debug, thiserror::Error)]
#[error("{store} store: {reason}")]
pub(crate) struct UnreadableRecord {
    pub(crate) store: &'static str,
    pub(crate) reason: UnreadableReason,
}
