//! Credentials at rest: what the builder is told of them, and how records are sealed and opened.

use super::{NotionAuthProviderBuilder, Shared};
use crate::{
    credentials::{NotionUserCredentials, ReauthorizationReason},
    error::AuthError,
    store::{DynStore, Payload, Record, Sealer, StoreError, UnreadableRecord},
    subject::Subject,
};
#[cfg(feature = "encryption")]
use crate::{keyring::Keyring, store::SealingKeys};

/// What the builder was told.
#[derive(Default)]
pub(super) struct AtRest {
    #[cfg(feature = "encryption")]
    keys: Option<Keyring>,
    plaintext: bool,
}

impl NotionAuthProviderBuilder {
    /// Seals credentials before the store gets them (XChaCha20-Poly1305), under keys that are derived
    /// of these. The first one seals, all of them open; how they are changed is told at
    /// [`rotate`](crate::NotionAuthProvider::rotate). The same on each replica.
    ///
    /// A sealed record opens only as that generation of that subject in that namespace: one that was
    /// altered, or copied from elsewhere, is an error, and so is one in clear. In clear beside it stay the
    /// namespace and the subject, the state and the generation, the workspace's name and the bot's id, all
    /// times, and which attempt claims or made the record. A subject that is somebody's e-mail address can
    /// be read in the database.
    ///
    /// A record that cannot be read is
    /// [`Unreadable`](crate::ReauthorizationReason::Unreadable), and the error's source says why. It
    /// stays as it is until its subject connects again or is disconnected, so that nothing is lost
    /// by a key that is missing for a while.
    #[cfg(feature = "encryption")]
    pub fn keys(mut self, keys: Keyring) -> Self {
        self.at_rest.keys = Some(keys);
        self
    }

    /// Lets a store that outlives the process keep credentials in clear, tokens and all: for one that
    /// is encrypted by other means, and that nobody else can read.
    ///
    /// With keys as well (`keys`), records in clear are still read, and all that is written is sealed.
    /// So a store with records in clear is moved to sealing:
    ///
    /// 1. Give every replica the keys, and say this too. A replica without the keys cannot read what
    ///    the others have sealed meanwhile, and answers with errors until it has them; it loses nothing.
    /// 2. Call `rotate` until it has gone through all records and left none pending.
    /// 3. Take this away. Until then, whoever can write to the store can put credentials of their own
    ///    there, in clear, and they are used.
    pub fn plaintext_at_rest(mut self) -> Self {
        self.at_rest.plaintext = true;
        self
    }
}

#[cfg(feature = "encryption")]
const NO_KEYS: &str = "credentials would lie in the store in clear: give the provider's builder \
    `keys(Keyring::from_env()?)`, or say `plaintext_at_rest()`";
#[cfg(not(feature = "encryption"))]
const NO_KEYS: &str = "credentials would lie in the store in clear: enable the feature `encryption` of \
    notion-auth and give the provider's builder `keys(Keyring::from_env()?)`, or say \
    `plaintext_at_rest()`";

impl AtRest {
    pub(super) fn sealer(&self, store: &dyn DynStore) -> Result<Sealer, AuthError> {
        #[cfg(feature = "encryption")]
        if let Some(keyring) = &self.keys {
            let keys = SealingKeys::of(keyring);
            return Ok(Sealer::WithKeys {
                keys: keys.ok_or_else(|| AuthError::configuration("the keyring has no key"))?,
                reads_clear: self.plaintext,
            });
        }
        if store.is_persistent() && !self.plaintext {
            let what = "what it keeps outlives the process, and it was given no keys";
            let cause = StoreError::misconfigured(store.name(), what);
            return Err(AuthError::configuration(NO_KEYS).with_source(cause));
        }
        Ok(Sealer::InClear)
    }
}

impl Shared {
    /// The credentials as the subject's record of this generation has them.
    pub(super) fn seal(
        &self,
        subject: &Subject,
        generation: u64,
        credentials: &NotionUserCredentials,
    ) -> Payload {
        self.sealer
            .seal(&self.key(subject), generation, credentials)
    }

    /// The credentials in the subject's record.
    pub(super) fn open(
        &self,
        subject: &Subject,
        record: &Record,
    ) -> Result<NotionUserCredentials, AuthError> {
        let key = self.key(subject);
        let opened = self.sealer.open(&key, record.generation, &record.payload);
        opened.map_err(|why| {
            let store = self.store.name();
            AuthError::reauthorize(ReauthorizationReason::Unreadable)
                .with_subject(subject)
                .with_source(UnreadableRecord { store, why })
        })
    }
}
