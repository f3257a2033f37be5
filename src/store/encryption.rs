//! Encrypts and decrypts the payload of a record.
//!
//! An encrypted payload is: the form (2), the key's id (8 bytes), a random nonce (24 bytes), and the
//! credentials' JSON under XChaCha20-Poly1305, with the tag (16 bytes) at its end.

#[cfg(feature = "encryption")]
use chacha20poly1305::{AeadInPlace, Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
#[cfg(feature = "encryption")]
use zeroize::Zeroizing;

#[cfg(feature = "encryption")]
use super::payload::{ENCRYPTED, Encrypted, KeyId, to_json};
use super::{
    contract::RecordKey,
    payload::{Form, Payload, UnreadableReason, from_json},
    record::{FencingToken, Issuer},
};
use crate::credentials::NotionUserCredentials;
#[cfg(feature = "encryption")]
use crate::{keyring::Keyring, random::random_bytes};

/// Encrypts and decrypts payloads, or writes them as plaintext.
pub(crate) enum Encryption {
    Plaintext,
    #[cfg(feature = "encryption")]
    WithKeys {
        keys: EncryptionKeys,
        /// Whether plaintext payloads can be read too, for example while a store is migrated to encryption.
        reads_plaintext: bool,
    },
}

/// The values that an encrypted payload is bound to. A payload that was copied from another record or
/// restored from an older one cannot be decrypted.
#[cfg(feature = "encryption")]
#[derive(Clone, Copy)]
struct Binding<'a> {
    key: &'a RecordKey,
    fence: FencingToken,
    issuer: &'a Issuer,
}

#[cfg_attr(
    not(feature = "encryption"),
    expect(unused_variables, reason = "plaintext is not bound to its record")
)]
impl Encryption {
    pub(crate) fn encrypt(
        &self,
        key: &RecordKey,
        fence: FencingToken,
        issuer: &Issuer,
        credentials: &NotionUserCredentials,
    ) -> Payload {
        match self {
            Self::Plaintext => Payload::plaintext(credentials),
            #[cfg(feature = "encryption")]
            Self::WithKeys { keys, .. } => {
                let binding = Binding { key, fence, issuer };
                keys.first.encrypt(binding, credentials)
            }
        }
    }

    pub(crate) fn decrypt(
        &self,
        key: &RecordKey,
        fence: FencingToken,
        issuer: &Issuer,
        payload: &Payload,
    ) -> Result<NotionUserCredentials, UnreadableReason> {
        match (self, payload.form()?) {
            (Self::Plaintext, Form::Plaintext(json)) => from_json(json),
            (Self::Plaintext, Form::Encrypted(_)) => Err(UnreadableReason::Encrypted),
            #[cfg(feature = "encryption")]
            (
                Self::WithKeys {
                    reads_plaintext, ..
                },
                Form::Plaintext(json),
            ) => {
                if *reads_plaintext {
                    from_json(json)
                } else {
                    Err(UnreadableReason::Plaintext)
                }
            }
            #[cfg(feature = "encryption")]
            (Self::WithKeys { keys, .. }, Form::Encrypted(encrypted)) => {
                let binding = Binding { key, fence, issuer };
                keys.decrypt(binding, encrypted)
            }
        }
    }

    #[cfg(feature = "encryption")]
    pub(crate) fn has_keys(&self) -> bool {
        matches!(self, Self::WithKeys { .. })
    }

    /// Returns whether the payload has the format and key that a new one would have.
    #[cfg(feature = "encryption")]
    pub(crate) fn is_current(&self, payload: &Payload) -> bool {
        match (self, payload.form()) {
            (Self::Plaintext, Ok(Form::Plaintext(_))) => true,
            (Self::WithKeys { keys, .. }, Ok(Form::Encrypted(encrypted))) => {
                Encrypted::parse(encrypted).is_some_and(|it| it.key == keys.first.id)
            }
            _ => false,
        }
    }
}

/// Encryption keys derived from a keyring.
#[cfg(feature = "encryption")]
pub(crate) struct EncryptionKeys {
    first: EncryptionKey,
    others: Vec<EncryptionKey>,
}

/// Zeroed in memory on drop.
#[cfg(feature = "encryption")]
struct EncryptionKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

#[cfg(feature = "encryption")]
impl EncryptionKeys {
    /// Returns `None` for a keyring without keys, which cannot be constructed.
    pub(crate) fn derive(keyring: &Keyring) -> Option<Self> {
        let ids = keyring.derive("notion-auth: ids of record keys");
        let mut keys = keyring
            .derive::<32>("notion-auth: records")
            .zip(ids)
            .map(|(key, id)| EncryptionKey {
                id: KeyId(*id),
                cipher: XChaCha20Poly1305::new(Key::from_slice(&*key)),
            });
        Some(Self {
            first: keys.next()?,
            others: keys.collect(),
        })
    }

    fn decrypt(
        &self,
        binding: Binding<'_>,
        bytes: &[u8],
    ) -> Result<NotionUserCredentials, UnreadableReason> {
        let encrypted = Encrypted::parse(bytes).ok_or(UnreadableReason::Damaged)?;
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let key = keys
            .find(|key| key.id == encrypted.key)
            .ok_or(UnreadableReason::NoKey(encrypted.key))?;
        from_json(&key.decrypt(binding, &encrypted)?)
    }
}

#[cfg(feature = "encryption")]
impl EncryptionKey {
    #[expect(clippy::expect_used, reason = "the cipher's limit is 256 GiB")]
    fn encrypt(&self, binding: Binding<'_>, credentials: &NotionUserCredentials) -> Payload {
        let nonce: [u8; 24] = random_bytes();
        let head = [&[ENCRYPTED], self.id.0.as_slice(), &nonce].concat();
        let mut bytes = to_json(&head, credentials);
        let (_, json) = bytes.split_at_mut(head.len());
        let tag = self
            .cipher
            .encrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &self.associated_data(binding),
                json,
            )
            .expect("credentials are shorter than the cipher's limit");
        // Growing may leave a copy behind, but it is ciphertext at this point.
        bytes.extend_from_slice(&tag);
        Payload::from_wiped(bytes)
    }

    fn decrypt(
        &self,
        binding: Binding<'_>,
        encrypted: &Encrypted<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, UnreadableReason> {
        let mut json = Zeroizing::new(encrypted.ciphertext.to_vec());
        self.cipher
            .decrypt_in_place_detached(
                XNonce::from_slice(encrypted.nonce),
                &self.associated_data(binding),
                &mut json,
                Tag::from_slice(encrypted.tag),
            )
            .map_err(|_| UnreadableReason::NotAuthentic)?;
        Ok(json)
    }

    /// Each text is preceded by its length, so that different bindings never encode to the same bytes.
    fn associated_data(&self, binding: Binding<'_>) -> Vec<u8> {
        let mut bytes = vec![ENCRYPTED];
        bytes.extend_from_slice(&self.id.0);
        for text in [
            binding.key.namespace(),
            binding.key.subject().as_str(),
            &binding.fence.lineage.to_string(),
            &binding.issuer.client_id,
            &binding.issuer.token_origin,
        ] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&binding.fence.generation.to_be_bytes());
        bytes
    }
}
