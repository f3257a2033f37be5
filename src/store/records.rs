//! Typed operations on the records of any store: deadlines, retries after conflicts, encoding and
//! encryption.

use std::{
    error::Error as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    CredentialStore, ListQuery, Listed, RecordKey, RecordState, Revision, StoreError,
    StoreErrorKind,
    encryption::Encryption,
    payload::{Payload, UnreadableReason, UnreadableRecord},
    record::{AttemptId, FencingToken, Issuer, Record},
    rules::{self, Changed, Committed, LeaseRequest, Leased, NewConnection, NewGeneration},
};
use crate::{
    credentials::{NotionUserCredentials, ReauthorizationReason},
    subject::Subject,
};

/// The records of one application in a store.
pub(crate) struct Records {
    pub(crate) store: Arc<dyn CredentialStore>,
    pub(crate) encryption: Encryption,
    pub(crate) namespace: Arc<str>,
    /// Time limit of one store operation.
    pub(crate) deadline: Duration,
    /// The runtime for timers. Default: the caller's runtime.
    pub(crate) runtime: Option<Handle>,
    pub(crate) outage: Outage,
}

/// A record as it was read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) found: Found,
    /// The store's time when the record was read.
    pub(crate) now: SystemTime,
    revision: Option<Revision>,
}

#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    Record(Box<Record>),
    Unreadable(UnreadableReason),
}

/// Outcome of [`Records::connect`] and [`Records::disconnect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replaced {
    Done,
    /// The change was done, and another change followed it.
    DoneAndChanged,
    /// Another change was done first.
    Conflict,
    /// Another change was done before or after this one. An earlier try of this one had no answer.
    Unknown,
}

/// A record in a list.
#[derive(Debug)]
pub(crate) struct ListedRecord {
    pub(crate) subject: Subject,
    pub(crate) record: Result<Record, UnreadableReason>,
}

/// Each conflict means that another process made progress, so a change needs few tries.
const TRIES: u32 = 100;

/// Number of tries of a failed operation whose outcome must be known.
const FAILURES: u32 = 3;

impl Records {
    pub(crate) async fn load(&self, subject: &Subject) -> Result<Snapshot, StoreError> {
        let key = self.key(subject);
        let loaded = self.bounded(self.store.load(&key)).await?;
        let revision = loaded.record.as_ref().map(|record| record.revision);
        let found = match loaded.record.map(|record| Record::decode(&record.bytes)) {
            None => Found::Absent,
            Some(Ok(record)) => Found::Record(Box::new(record)),
            Some(Err(reason)) => Found::Unreadable(reason),
        };
        Ok(Snapshot {
            found,
            now: loaded.now,
            revision,
        })
    }

    pub(crate) fn encrypt(
        &self,
        subject: &Subject,
        fence: FencingToken,
        issuer: &Issuer,
        credentials: &NotionUserCredentials,
    ) -> Payload {
        self.encryption
            .encrypt(&self.key(subject), fence, issuer, credentials)
    }

    pub(crate) fn decrypt(
        &self,
        subject: &Subject,
        record: &Record,
    ) -> Result<NotionUserCredentials, UnreadableRecord> {
        let key = self.key(subject);
        self.encryption
            .decrypt(&key, record.fence(), &record.issuer, &record.payload)
            .map_err(|reason| self.unreadable(reason))
    }

    pub(crate) fn unreadable(&self, reason: UnreadableReason) -> UnreadableRecord {
        UnreadableRecord {
            store: self.store.name(),
            reason,
        }
    }

    /// Writes a new grant over the record that was read, even an unreadable one. Returns the written record
    /// too.
    pub(crate) async fn connect(
        &self,
        subject: &Subject,
        seen: &Snapshot,
        new: NewConnection,
    ) -> Result<(Replaced, Record), StoreError> {
        let new = rules::connect(seen.record(), new, seen.now);
        let replaced = self.replace(subject, seen, &new).await?;
        Ok((replaced, new))
    }

    /// Writes a tombstone over the record that was read, even an unreadable one.
    pub(crate) async fn disconnect(
        &self,
        subject: &Subject,
        seen: &Snapshot,
        attempt: AttemptId,
    ) -> Result<Replaced, StoreError> {
        let new = rules::disconnect(seen.record(), attempt, seen.now);
        self.replace(subject, seen, &new).await
    }

    /// Writes the next generation. Idempotent by attempt.
    ///
    /// `was_invalidated` is set to whether the replaced record needed reauthorization. Pass the same
    /// variable to each try of an attempt, because a try may succeed without an answer.
    pub(crate) async fn commit(
        &self,
        subject: &Subject,
        fence: FencingToken,
        new: &NewGeneration,
        attempt: AttemptId,
        was_invalidated: &mut bool,
    ) -> Result<Committed, StoreError> {
        self.change(subject, Committed::Done, |record, now| {
            if let Some(record) = record.filter(|record| record.fence() == fence) {
                *was_invalidated = matches!(record.state, RecordState::NeedsReauthorization(_));
            }
            rules::commit(record, fence, new.clone(), attempt, now)
        })
        .await
    }

    /// Acquires or renews the refresh lease.
    pub(crate) async fn lease(
        &self,
        subject: &Subject,
        fence: FencingToken,
        request: LeaseRequest,
    ) -> Result<Leased, StoreError> {
        let mut in_doubt = false;
        let acquired = Leased::Acquired { in_doubt };
        let leased = self.change(subject, acquired, |record, now| {
            let leased = rules::lease(record, fence, request, now)?;
            in_doubt = leased.lease.is_some_and(|lease| lease.in_doubt);
            Ok(leased)
        });
        Ok(match leased.await? {
            Leased::Acquired { .. } => Leased::Acquired { in_doubt },
            refused => refused,
        })
    }

    /// Releases this attempt's lease, unless it is in doubt.
    pub(crate) async fn release(
        &self,
        subject: &Subject,
        attempt: AttemptId,
        back_off: Option<Duration>,
    ) -> Result<Changed, StoreError> {
        self.change(subject, Changed::Done, |record, now| {
            rules::release(record, attempt, back_off, now)
        })
        .await
    }

    /// Marks the credentials of a record that was read as needing reauthorization. Idempotent by attempt.
    pub(crate) async fn invalidate(
        &self,
        subject: &Subject,
        seen: &Record,
        reason: ReauthorizationReason,
        attempt: AttemptId,
    ) -> Result<Changed, StoreError> {
        self.change(subject, Changed::Done, |record, now| {
            rules::invalidate(
                record,
                seen.fence(),
                seen.committed_by,
                reason,
                attempt,
                now,
            )
        })
        .await
    }

    /// Reverts [`invalidate`](Self::invalidate).
    pub(crate) async fn reinstate(
        &self,
        subject: &Subject,
        fence: FencingToken,
    ) -> Result<Changed, StoreError> {
        let attempt = AttemptId::random();
        self.change(subject, Changed::Done, |record, now| {
            rules::reinstate(record, fence, attempt, now)
        })
        .await
    }

    /// Replaces the payload with a new encryption of the same credentials.
    #[cfg(feature = "encryption")]
    pub(crate) async fn re_encrypt(
        &self,
        subject: &Subject,
        fence: FencingToken,
        payload: Payload,
    ) -> Result<Changed, StoreError> {
        self.change(subject, Changed::Done, |record, _| {
            rules::re_encrypt(record, fence, payload.clone())
        })
        .await
    }

    pub(crate) async fn list(&self, query: &ListQuery) -> Result<Vec<ListedRecord>, StoreError> {
        let listed = self
            .bounded(self.store.list(&self.namespace, query))
            .await?;
        self.check_order(query, &listed)?;
        let decoded = listed.into_iter().map(|it| ListedRecord {
            subject: it.subject,
            record: Record::decode(&it.record.bytes),
        });
        Ok(decoded.collect())
    }

    /// Checks the order of a page. Otherwise a caller that reads page after page would never end.
    fn check_order(&self, query: &ListQuery, listed: &[Listed]) -> Result<(), StoreError> {
        let mut before = query.after.as_ref();
        for it in listed {
            if before.is_some_and(|before| it.subject.as_str() <= before.as_str()) {
                return Err(StoreError::misconfigured(
                    self.store.name(),
                    "`list` breaks the contract of `CredentialStore`: it must return only subjects behind `after`, in \
                     byte order. Correct the store, and test it with `testing::store_conformance`",
                ));
            }
            before = Some(&it.subject);
        }
        Ok(())
    }

    /// Consumes the digest. Returns `true` if it was not consumed before.
    #[cfg(feature = "routes")]
    pub(crate) async fn consume_nonce(
        &self,
        digest: [u8; 32],
        lifetime: Duration,
    ) -> Result<bool, StoreError> {
        let nonce = super::Nonce::new(Arc::clone(&self.namespace), digest);
        self.bounded(self.store.consume_nonce(&nonce, lifetime))
            .await
    }

    pub(crate) async fn purge_expired(&self) -> Result<u64, StoreError> {
        // A purge may delete many rows.
        let limit = self.deadline.saturating_mul(12);
        self.bounded_by(limit, self.store.purge_expired()).await
    }

    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        let limit = self.deadline.saturating_mul(12);
        self.limited(limit, self.store.migrate()).await
    }

    pub(crate) async fn health(&self) -> Result<(), StoreError> {
        self.limited(self.deadline, self.store.health()).await
    }

    fn key(&self, subject: &Subject) -> RecordKey {
        RecordKey::new(Arc::clone(&self.namespace), subject.clone())
    }

    /// Reads, decides and writes, until no other change intervenes.
    async fn change<T>(
        &self,
        subject: &Subject,
        done: T,
        mut rule: impl FnMut(Option<&Record>, SystemTime) -> Result<Record, T>,
    ) -> Result<T, StoreError> {
        for _ in 0..TRIES {
            let seen = self.load(subject).await?;
            if let Found::Unreadable(reason) = seen.found {
                return Err(StoreError::new(
                    StoreErrorKind::Corrupt,
                    self.store.name(),
                    reason.to_string(),
                ));
            }
            let new = match rule(seen.record(), seen.now) {
                Ok(new) => new,
                Err(answer) => return Ok(answer),
            };
            if self.swap(subject, seen.revision, &new).await? {
                return Ok(done);
            }
        }
        Err(StoreError::unavailable(
            self.store.name(),
            "the record was repeatedly changed by other processes; try again",
        ))
    }

    async fn swap(
        &self,
        subject: &Subject,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        let (key, encoded) = (self.key(subject), new.encode());
        self.bounded(self.store.compare_and_swap(&key, seen, &encoded))
            .await
    }

    /// Writes over the record that was read. After an error, reads the record to find out whether it was
    /// written.
    async fn replace(
        &self,
        subject: &Subject,
        seen: &Snapshot,
        new: &Record,
    ) -> Result<Replaced, StoreError> {
        let mut failures = 0;
        loop {
            let error = match self.swap(subject, seen.revision, new).await {
                Ok(true) => return Ok(Replaced::Done),
                Ok(false) if failures == 0 => return Ok(Replaced::Conflict),
                Ok(false) => match self.load(subject).await {
                    Ok(current) if current.record().is_some_and(|it| is_of(it, new)) => {
                        let is_current = current.record() == Some(new);
                        return Ok(if is_current {
                            Replaced::Done
                        } else {
                            Replaced::DoneAndChanged
                        });
                    }
                    Ok(_) => return Ok(Replaced::Unknown),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            failures += 1;
            if failures == FAILURES {
                return Err(error);
            }
        }
    }

    /// Runs an operation with the deadline, because it may hang.
    async fn bounded<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.bounded_by(self.deadline, operation).await
    }

    async fn bounded_by<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let outcome = self.limited(limit, operation).await;
        match &outcome {
            Ok(_) => self.outage.ends(self.store.name()),
            // `Corrupt` and `Rejected` concern a single record, not the store.
            Err(error) if error.is_of_one_record() => {}
            Err(error) => self.outage.begins(error),
        }
        outcome
    }

    async fn limited<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(runtime) = self.runtime.clone().or_else(|| Handle::try_current().ok()) else {
            return operation.await;
        };
        let bounded = InRuntime {
            future: Some(Box::pin({
                let _context = runtime.enter();
                tokio::time::timeout(limit, operation)
            })),
            runtime,
        };
        match bounded.await {
            Some(Ok(outcome)) => outcome,
            Some(Err(elapsed)) => {
                let message = format!("no answer within {} s", limit.as_secs_f32());
                Err(StoreError::unavailable(self.store.name(), message).with_source(elapsed))
            }
            None => Err(StoreError::unavailable(
                self.store.name(),
                "it panicked, or its tokio runtime was shut down",
            )),
        }
    }
}

/// Tracks whether the store fails, to log the start and the end of an outage once.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    last_failure: Mutex<Option<Instant>>,
}

/// A success this soon after a failure does not end an outage, because only some of the store's connections
/// may work.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

impl Outage {
    fn begins(&self, error: &StoreError) {
        let before = self.last_failure().replace(Instant::now());
        if before.is_none() {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, "the credential store fails");
        }
    }

    fn ends(&self, store: &'static str) {
        let mut last_failure = self.last_failure();
        if last_failure.is_some_and(|at| at.elapsed() >= SETTLED_AFTER) {
            *last_failure = None;
            tracing::warn!(store, "the credential store works again");
        }
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls and drops a future within a runtime: a store uses timers and sockets, and the caller may run on
/// another executor.
///
/// The output is `None` if a poll panics, as timers and sockets do whose runtime was shut down.
struct InRuntime<F> {
    /// `None` only while it is being dropped.
    future: Option<Pin<Box<F>>>,
    runtime: Handle,
}

impl<F: Future> Future for InRuntime<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let _context = this.runtime.enter();
        let Some(future) = &mut this.future else {
            return Poll::Pending;
        };
        // After a panic, the future is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    }
}

impl<F> Drop for InRuntime<F> {
    fn drop(&mut self) {
        let _context = self.runtime.enter();
        self.future = None;
    }
}

impl Snapshot {
    pub(crate) fn record(&self) -> Option<&Record> {
        match &self.found {
            Found::Record(record) => Some(record),
            Found::Absent | Found::Unreadable(_) => None,
        }
    }

    /// Returns whether there is a connection, or a record that cannot be read.
    pub(crate) fn is_connected(&self) -> bool {
        match &self.found {
            Found::Absent => false,
            Found::Record(record) => record.state != RecordState::Disconnected,
            Found::Unreadable(_) => true,
        }
    }
}

/// Returns whether a record is the one that was written, or a later generation of it.
fn is_of(record: &Record, written: &Record) -> bool {
    match written.state {
        RecordState::Disconnected => record.committed_by == written.committed_by,
        _ => record.lineage == written.lineage && record.state != RecordState::Disconnected,
    }
}
