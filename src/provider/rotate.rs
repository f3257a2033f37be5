//! Records sealed anew, when keys have changed.

use super::{NotionAuthProvider, connection::TRIES};
use crate::{
    error::AuthError,
    store::{Filter, RecordState, Resealed, StoreErrorKind},
    subject::Subject,
};

/// What [`rotate`](NotionAuthProvider::rotate) found on one page of records.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Rotation {
    /// How many records are sealed by the first key now, and were not before.
    pub resealed: usize,
    /// How many were sealed by it already.
    pub current: usize,
    /// Whose records are still to do: they are being refreshed, or were changed again and again. Who
    /// refreshes them seals them with its own first key, so another run may find nothing left to do. One that
    /// stays here belongs to a process that died over its refresh:
    /// [`refresh`](NotionAuthProvider::refresh) it.
    pub pending: Vec<Subject>,
    /// Which records cannot be read: one error each, with its [`subject`](AuthError::subject), and the
    /// reason as its source. They stay as they are.
    pub unreadable: Vec<AuthError>,
    /// The last subject of the page, behind which the next one begins; `None` if there was no page any
    /// more.
    pub next: Option<Subject>,
}

enum Turn {
    Resealed,
    Current,
    Pending,
    Unreadable(AuthError),
    /// There is nothing to seal.
    Gone,
}

impl NotionAuthProvider {
    /// Seals anew, with the first key, up to `limit` records (at least one) behind `after`: those that
    /// another key has sealed, and those in clear if they are read at all
    /// ([`plaintext_at_rest`](super::NotionAuthProviderBuilder::plaintext_at_rest)).
    ///
    /// Keys are changed in three steps, each on every replica before the next:
    ///
    /// 1. Add the new key at the end of the keyring. Nothing is sealed by it yet, but a replica
    ///    without it could not read what others will have sealed by it.
    /// 2. Move it to the front: new records, and refreshed ones, are sealed by it.
    /// 3. Call this from one replica, page after page, until it has gone through with nothing `pending`.
    ///    Then no record needs the old key, and it may be taken away; not before, or what it has sealed
    ///    cannot be read until it is back. Keep a copy for as long as a backup from before may be
    ///    restored. What is `unreadable` no key of this keyring opens, the old one neither: see the reasons.
    ///
    /// The others go on meanwhile: what they refresh at this moment is left to them, and a record
    /// that they have changed since it was read is not overwritten. So a run that was begun before all
    /// of them had the new key in front proves nothing: some may have sealed with the old one, on pages
    /// that were done. Run it again.
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
    /// It can be stopped at any time, by dropping this future too, and started again, from the start or
    /// from where it was: each record is sealed anew or as it was.
    ///
    /// # Errors
    /// When the provider has no keys, and when the store fails; some of the page may be done then.
    pub async fn rotate(
        &self,
        after: Option<&Subject>,
        limit: usize,
    ) -> Result<Rotation, AuthError> {
        if !self.shared().sealer.has_keys() {
            return Err(AuthError::configuration(
                "the provider has no keys to seal with: give its builder `keys`",
            ));
        }
        let mut rotation = Rotation::default();
        for summary in self.list(Filter::All, after, limit.max(1)).await? {
            match self.reseal(&summary.subject).await? {
                Turn::Resealed => rotation.resealed += 1,
                Turn::Current => rotation.current += 1,
                Turn::Pending => rotation.pending.push(summary.subject.clone()),
                Turn::Unreadable(error) => rotation.unreadable.push(error),
                Turn::Gone => {}
            }
            rotation.next = Some(summary.subject);
        }
        Ok(rotation)
    }

    async fn reseal(&self, subject: &Subject) -> Result<Turn, AuthError> {
        let shared = self.shared();
        let key = shared.key(subject);
        let failed = |error: AuthError| error.with_subject(subject);
        for _ in 0..TRIES {
            let record = match shared.within(shared.store.load(&key)).await {
                Ok(Some(record)) if record.state != RecordState::Disconnected => record,
                Ok(_) => return Ok(Turn::Gone),
                // It is the record's fault, and not the next one's.
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    return Ok(Turn::Unreadable(failed(error.into_auth_error())));
                }
                Err(error) => return Err(failed(error.into_auth_error())),
            };
            // Opened also if it need not be sealed anew: who takes a key away wants to know.
            let credentials = match shared.open(subject, &record) {
                Ok(credentials) => credentials,
                Err(error) => return Ok(Turn::Unreadable(error)),
            };
            if shared.sealer.is_current(&record.payload) {
                return Ok(Turn::Current);
            }
            let payload = shared.seal(subject, record.generation, &credentials);
            let reseal = shared.store.reseal(&key, record.generation, payload);
            match shared.within(reseal).await {
                Ok(Resealed::Done) => return Ok(Turn::Resealed),
                Ok(Resealed::Claimed) => return Ok(Turn::Pending),
                Ok(Resealed::Moved) => {}
                Err(error) => return Err(failed(error.into_auth_error())),
            }
        }
        Ok(Turn::Pending)
    }
}
