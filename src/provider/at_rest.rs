//! Credentials at rest: the builder's settings.

use super::NotionAuthProviderBuilder;
use crate::{
    error::AuthError,
    store::{CredentialStore, Encryption, StoreError},
};
#[cfg(feature = "encryption")]
use crate::{keyring::Keyring, store::EncryptionKeys, subject::Subject};

/// The builder's settings.
#[derive(Default)]
pub(super) struct AtRest {
    #[cfg(feature = "encryption")]
    pub(super) keys: Option<Keyring>,
    plaintext: bool,
}

impl NotionAuthProviderBuilder {
    /// Encrypts credentials before they are given to the store (XChaCha20-Poly1305), with keys derived from these.
    ///
    /// The first key encrypts, and all keys decrypt. Each replica needs the same keys.
    /// [`rotate`](crate::NotionAuthProvider::rotate) describes how to change them.
    ///
    /// An encrypted record is bound to its namespace, subject, lineage, generation, OAuth client and token server. A
    /// record that was altered, copied from elsewhere or stored as plaintext is an error. Namespace, subject, state,
    /// workspace name, icon and id, bot id, client id, times and lease stay plaintext. A subject that is an e-mail
    /// address can be read in the database.
    ///
    /// A record that this process can't read is an error with the reason, and is not changed. So a key that is missing
    /// for a while causes no loss.
    #[cfg(feature = "encryption")]
    pub fn keys(mut self, keys: Keyring) -> Self {
        self.at_rest.keys = Some(keys);
        self
    }

    /// Lets a persistent store keep credentials as plaintext. Use it for a store that is encrypted by other means, and
    /// that only this application can read.
    ///
    /// Together with keys (`keys`), plaintext records are still read, and every write is encrypted. To encrypt an
    /// existing store:
    ///
    /// 1. Deploy the keys and this call to all replicas. A replica without the keys can't read records that others have
    ///    encrypted. It returns errors until it has the keys, and loses nothing.
    /// 2. Call `rotate` until it has gone through all records and left none pending.
    /// 3. Remove this call. Until then, anyone who can write to the store can insert credentials.
    pub fn plaintext_at_rest(mut self) -> Self {
        self.at_rest.plaintext = true;
        self
    }
}

#[cfg(feature = "encryption")]
const NO_KEYS: &str = "the store would keep credentials as plaintext: call `keys(Keyring::from_env()?)` on the \
    provider's builder and set NOTION_AUTH_KEYS, or call `plaintext_at_rest()`";
#[cfg(not(feature = "encryption"))]
const NO_KEYS: &str = "the store would keep credentials as plaintext: enable the feature `encryption` of \
    notion-auth and call `keys(Keyring::from_env()?)` on the provider's builder, or call \
    `plaintext_at_rest()`";

impl AtRest {
    pub(super) fn encryption(&self, store: &dyn CredentialStore) -> Result<Encryption, AuthError> {
        #[cfg(feature = "encryption")]
        if let Some(keyring) = &self.keys {
            Subject::key_digests(keyring);
            let keys = EncryptionKeys::derive(keyring);
            return Ok(Encryption::WithKeys {
                keys: keys.ok_or_else(|| AuthError::configuration("the keyring has no key"))?,
                reads_plaintext: self.plaintext,
            });
        }
        if store.is_persistent() && !self.plaintext {
            let what = "records outlive the process, and there are no keys";
            let cause = StoreError::misconfigured(store.name(), what);
            return Err(AuthError::configuration(NO_KEYS).with_source(cause));
        }
        Ok(Encryption::Plaintext)
    }
}
