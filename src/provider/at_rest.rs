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
    /// The first key encrypts, all of them decrypt. Each replica needs the same keys;
    /// [`rotate`](crate::NotionAuthProvider::rotate) says how they are changed.
    ///
    /// An encrypted record is bound to its namespace, subject, lineage, generation, OAuth client and token server: one
    /// that was altered or copied from elsewhere is an error, and so is plaintext. Namespace, subject, state, workspace
    /// name, icon and id, bot id, client id, times and lease stay plaintext. A subject that is an e-mail address can be
    /// read in the database.
    ///
    /// A record that can't be read here is an error that says why, and stays as it is: nothing is lost by a key that
    /// is missing for a while.
    #[cfg(feature = "encryption")]
    pub fn keys(mut self, keys: Keyring) -> Self {
        self.at_rest.keys = Some(keys);
        self
    }

    /// Lets a persistent store keep credentials as plaintext: for one that is encrypted by other means, and that only
    /// this application can read.
    ///
    /// With keys as well (`keys`), plaintext records are still read, and all that is written is encrypted. So a store
    /// is moved to encryption:
    ///
    /// 1. Give all replicas the keys, and call this too. A replica without the keys can't read what the others have
    ///    encrypted; it answers with errors until it has them, and loses nothing.
    /// 2. Call `rotate` until it has gone through all records and left none pending.
    /// 3. Remove this call. Until then, anyone who can write to the store can put credentials of their own there.
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
