//! A sealed payload: the format (2), the id of the key (8 bytes), a random nonce (24 bytes), and the
//! credentials' JSON under XChaCha20-Poly1305, with its tag (16 bytes) at the end.

use std::fmt;

use chacha20poly1305::{AeadInPlace, Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{
    Payload, RecordKey,
    payload::{self, SEALED},
    unreadable::UnreadablePayload,
};
use crate::{credentials::NotionUserCredentials, keyring::Keyring, random::random_bytes};

const TAG: usize = 16;

/// The name of a key, by which a record says who can open it. It tells nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyId([u8; 8]);

/// The keys that records are sealed with, derived of a keyring's.
pub(crate) struct SealingKeys {
    first: SealingKey,
    others: Vec<SealingKey>,
}

/// Wiped from memory when it is dropped.
struct SealingKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// What stands behind the format.
struct Sealed<'a> {
    key: KeyId,
    nonce: &'a [u8; 24],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Sealed<'a> {
    fn parse(sealed: &'a [u8]) -> Option<Self> {
        let (key, rest) = sealed.split_first_chunk()?;
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

impl SealingKeys {
    /// `None` of a keyring without keys, which there is not.
    pub(crate) fn of(keyring: &Keyring) -> Option<Self> {
        let ids = keyring.derive("notion-auth: ids of record keys");
        let mut keys = keyring
            .derive::<32>("notion-auth: records")
            .zip(ids)
            .map(|(key, id)| SealingKey {
                id: KeyId(*id),
                cipher: XChaCha20Poly1305::new(Key::from_slice(&*key)),
            });
        Some(Self {
            first: keys.next()?,
            others: keys.collect(),
        })
    }

    pub(super) fn seal(
        &self,
        record: &RecordKey,
        generation: u64,
        credentials: &NotionUserCredentials,
    ) -> Payload {
        self.first.seal(record, generation, credentials)
    }

    pub(super) fn open(
        &self,
        record: &RecordKey,
        generation: u64,
        sealed: &[u8],
    ) -> Result<NotionUserCredentials, UnreadablePayload> {
        let sealed = Sealed::parse(sealed).ok_or(UnreadablePayload::Damaged)?;
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let key = keys
            .find(|key| key.id == sealed.key)
            .ok_or(UnreadablePayload::NoKey(sealed.key))?;
        payload::read(&key.open(record, generation, &sealed)?)
    }

    pub(super) fn is_by_first(&self, sealed: &[u8]) -> bool {
        Sealed::parse(sealed).is_some_and(|sealed| sealed.key == self.first.id)
    }
}

impl SealingKey {
    #[expect(clippy::expect_used, reason = "no record is as long as that")]
    fn seal(
        &self,
        record: &RecordKey,
        generation: u64,
        credentials: &NotionUserCredentials,
    ) -> Payload {
        let nonce: [u8; 24] = random_bytes();
        let head = [&[SEALED], self.id.0.as_slice(), &nonce].concat();
        let mut bytes = payload::write(&head, credentials);
        let (_, json) = bytes.split_at_mut(head.len());
        let associated = self.associated(record, generation);
        let tag = self
            .cipher
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), &associated, json)
            .expect("credentials are shorter than 256 GiB");
        // What growing leaves behind is sealed by now.
        bytes.reserve_exact(TAG);
        bytes.extend_from_slice(&tag);
        Payload::from_wiped(bytes)
    }

    /// The JSON.
    fn open(
        &self,
        record: &RecordKey,
        generation: u64,
        sealed: &Sealed<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, UnreadablePayload> {
        let mut json = Zeroizing::new(sealed.ciphertext.to_vec());
        let nonce = XNonce::from_slice(sealed.nonce);
        let associated = self.associated(record, generation);
        let tag = Tag::from_slice(sealed.tag);
        self.cipher
            .decrypt_in_place_detached(nonce, &associated, &mut json, tag)
            .map_err(|_| UnreadablePayload::NotAuthentic)?;
        Ok(json)
    }

    /// What the seal holds together beside the JSON: a payload that was copied to another subject or
    /// namespace, or an old one that was put back under a newer generation, does not open. Each text is
    /// preceded by its length, so that no two records have the same.
    fn associated(&self, record: &RecordKey, generation: u64) -> Vec<u8> {
        let mut bytes = vec![SEALED];
        bytes.extend_from_slice(&self.id.0);
        for text in [record.namespace(), record.subject().as_str()] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
