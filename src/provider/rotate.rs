//! Re-encryption of records after a change of keys.

use super::{NotionAuthProvider, connections::TRIES};
use crate::{
    error::AuthError,
    store::{Changed, Found, ListQuery, RecordState, StoreError},
    subject::Subject,
};

/// Result of [`rotate`](NotionAuthProvider::rotate) for one page of records.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Rotation {
    /// Number of records that this call encrypted with the first key.
    pub re_encrypted: usize,
    /// Number of records that were already encrypted with it.
    pub current: usize,
    /// Subjects whose record was skipped because it was being refreshed, or changed again and again.
    ///
    /// A refresh encrypts with its own process's first key, so another run may find nothing left to do. If a subject
    /// stays pending, a process died during its refresh: call [`refresh`](NotionAuthProvider::refresh) for it.
    pub pending: Vec<Subject>,
    /// One error for each record that can't be read, with its [`subject`](AuthError::subject), and the reason as its
    /// source. The records stay as they are.
    pub unreadable: Vec<AuthError>,
    /// The last subject of the page, after which the next page begins. `None` after the last page.
    pub next: Option<Subject>,
}

enum ReEncrypted {
    Done,
    Current,
    Pending,
    Unreadable(AuthError),
    Gone,
}

impl NotionAuthProvider {
    /// Encrypts records with the first key, up to `limit` (at least one) of those after `after`.
    ///
    /// It encrypts records of other keys, and plaintext records if
    /// [`plaintext_at_rest`](super::NotionAuthProviderBuilder::plaintext_at_rest) is set. To change a key, finish each step
    /// on all replicas before the next one:
    ///
    /// 1. Append the new key to the keyring, so that every replica can read what others will encrypt with it.
    /// 2. Move it to the front. New and refreshed records are now encrypted with it.
    /// 3. Call this on one replica, page by page, until a run leaves nothing `pending` or `unreadable`.
    /// 4. Remove the old key. Keep a copy for as long as an older backup may be restored.
    ///
    /// Other replicas work as usual. If this began before all of them had the new key in front, run it again, because
    /// some may have encrypted with the old key since.
    ///
    /// ```
    /// # use notion_auth::{Keyring, testing::MockNotion};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = MockNotion::in_process().provider_builder()?.keys(Keyring::random()).build()?;
    /// let (mut pending, mut after) = (0, None);
    /// loop {
    ///     let page = provider.rotate(after.as_ref(), 100).await?;
    ///     pending += page.pending.len();
    ///     for error in page.unreadable {
    ///         eprintln!("{error}: {:?}", std::error::Error::source(&error));
    ///     }
    ///     let Some(last) = page.next else { break };
    ///     after = Some(last);
    /// }
    /// assert_eq!(pending, 0, "the old key is still needed");
    /// # Ok(()) }
    /// ```
    ///
    /// It can be stopped at any time, also by dropping the future, and started again. Each record is either unchanged or
    /// re-encrypted.
    ///
    /// # Errors
    /// If the provider has no keys, or the store fails. Part of the page may be re-encrypted then.
    pub async fn rotate(
        &self,
        after: Option<&Subject>,
        limit: usize,
    ) -> Result<Rotation, AuthError> {
        if !self.engine().records.encryption.has_keys() {
            return Err(AuthError::configuration(
                "the provider has no keys to encrypt with: call `keys` on its builder",
            ));
        }
        let query = ListQuery::default()
            .after(after.cloned())
            .limit(limit.max(1));
        let listed = self.engine().records.list(&query).await;
        let mut rotation = Rotation::default();
        for it in listed.map_err(StoreError::into_auth_error)? {
            match self.re_encrypt(&it.subject).await? {
                ReEncrypted::Done => rotation.re_encrypted += 1,
                ReEncrypted::Current => rotation.current += 1,
                ReEncrypted::Pending => rotation.pending.push(it.subject.clone()),
                ReEncrypted::Unreadable(error) => rotation.unreadable.push(error),
                ReEncrypted::Gone => {}
            }
            rotation.next = Some(it.subject);
        }
        Ok(rotation)
    }

    async fn re_encrypt(&self, subject: &Subject) -> Result<ReEncrypted, AuthError> {
        let records = &self.engine().records;
        let unreadable = |cause| {
            let error = AuthError::unreadable(cause).with_subject(subject);
            Ok(ReEncrypted::Unreadable(error))
        };
        let failed = |error: StoreError| error.into_auth_error().with_subject(subject);
        for _ in 0..TRIES {
            let record = match records.load(subject).await.map(|it| it.found) {
                Ok(Found::Record(record)) if record.state != RecordState::Disconnected => record,
                Ok(Found::Unreadable(reason)) => return unreadable(records.unreadable(reason)),
                Ok(Found::Absent | Found::Record(_)) => return Ok(ReEncrypted::Gone),
                // The next record may be readable.
                Err(error) if error.is_of_one_record() => {
                    return Ok(ReEncrypted::Unreadable(failed(error)));
                }
                Err(error) => return Err(failed(error)),
            };
            // Also if the key is current: an operator who removes a key wants to know that all records are readable.
            let credentials = match records.decrypt(subject, &record) {
                Ok(credentials) => credentials,
                Err(cause) => return unreadable(cause),
            };
            if records.encryption.is_current(&record.payload) {
                return Ok(ReEncrypted::Current);
            }
            let fence = record.fence();
            let payload = records.encrypt(subject, fence, &record.issuer, &credentials);
            match records.re_encrypt(subject, fence, payload).await {
                Ok(Changed::Done) => return Ok(ReEncrypted::Done),
                Ok(Changed::Leased) => return Ok(ReEncrypted::Pending),
                Ok(Changed::Moved) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(ReEncrypted::Pending)
    }
}
