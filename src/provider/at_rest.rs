//! Credentials at rest: the builder's settings.

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
    pub(super) plaintext: bool,
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
