use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{
    AttemptId, ClaimAnswer, Condemned, Expected, Filter, NewRecord, OnceAnswer, OnceKey, Payload,
    Record, RecordKey, Released, Resealed, Revision, Saved, StoreError, Summary, decide,
};
use crate::credentials::ReauthorizationReason;

/// A place that keeps credentials, shared by everybody who refreshes them.
///
/// A store implements the first eight methods: it can read a record, replace it if it is still what
/// was read, set marks, and list. The operations behind them are made of those, the same for every
/// store; a store has no reason to write them itself.
///
/// Every operation is atomic, and durable when it returns `Ok`. An `Err` says nothing about whether
/// the operation was done: callers ask again under the same attempt. Dropping a future may leave the
/// operation done or not done, never half done.
///
/// `testing::store_conformance` proves all this of a store. Here is the whole of one, on a map that a lock
/// guards; a database does the same with `UPDATE … WHERE revision = …`:
///
/// ```
/// use std::{collections::{BTreeMap, HashMap}, sync::{Mutex, MutexGuard}, time::{Duration, SystemTime}};
/// use notion_auth::store::{
///     CredentialStore, Filter, OnceAnswer, OnceKey, Record, RecordKey, RecordState, Revision,
///     StoreError, Summary, TOMBSTONE_AGE,
/// };
///
/// #[derive(Debug, Default)]
/// struct MapStore(Mutex<Tables>);
///
/// #[derive(Debug, Default)]
/// struct Tables {
///     records: BTreeMap<(String, String), Record>,
///     marks: HashMap<OnceKey, SystemTime>,
/// }
///
/// impl MapStore {
///     fn tables(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
///         self.0.lock().map_err(|_| StoreError::corrupt("map", "a thread has died over it"))
///     }
/// }
///
/// fn place(key: &RecordKey) -> (String, String) {
///     (key.namespace().to_owned(), key.subject().as_str().to_owned())
/// }
///
/// impl CredentialStore for MapStore {
///     fn name(&self) -> &'static str {
///         "map"
///     }
///
///     async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
///         let record = self.tables()?.records.get(&place(key)).cloned();
///         Ok(record.map(|record| Record { read_at: SystemTime::now(), ..record }))
///     }
///
///     async fn replace(&self, key: &RecordKey, seen: Option<Revision>, new: &Record) -> Result<bool, StoreError> {
///         let mut tables = self.tables()?;
///         let is_seen = tables.records.get(&place(key)).map(|record| record.revision) == seen;
///         if is_seen {
///             tables.records.insert(place(key), new.clone());
///         }
///         Ok(is_seen)
///     }
///
///     async fn now(&self) -> Result<SystemTime, StoreError> {
///         Ok(SystemTime::now())
///     }
///
///     async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
///         let (now, mut tables) = (SystemTime::now(), self.tables()?);
///         if tables.marks.get(key).is_some_and(|end| *end > now) {
///             return Ok(OnceAnswer::Seen);
///         }
///         tables.marks.insert(key.clone(), now + ttl);
///         Ok(OnceAnswer::First)
///     }
///
///     async fn list(&self, namespace: &str, after: Option<&str>, limit: usize, filter: Filter)
///         -> Result<Vec<Summary>, StoreError>
///     {
///         let tables = self.tables()?;
///         let page = tables.records.iter().filter(|((space, subject), record)| {
///             space == namespace
///                 && after.is_none_or(|after| subject.as_str() > after)
///                 && filter.admits(record.state, &record.labels)
///         });
///         Ok(page.map(|((_, subject), record)| record.summary(subject.as_str().into())).take(limit).collect())
///     }
///
///     async fn sweep(&self) -> Result<u64, StoreError> {
///         let (now, mut tables) = (SystemTime::now(), self.tables()?);
///         let before = tables.records.len() + tables.marks.len();
///         tables.marks.retain(|_, end| *end > now);
///         tables.records.retain(|_, record| {
///             record.state != RecordState::Disconnected || record.updated_at + TOMBSTONE_AGE > now
///         });
///         Ok((before - tables.records.len() - tables.marks.len()) as u64)
///     }
///
///     async fn health(&self) -> Result<(), StoreError> {
///         Ok(())
///     }
/// }
///
/// # #[tokio::main] async fn main() {
/// notion_auth::testing::store_conformance(MapStore::default()).await;
/// # }
/// ```
pub trait CredentialStore: fmt::Debug + Send + Sync + 'static {
    /// What the store is called in errors, such as `"sqlite"`.
    fn name(&self) -> &'static str;

    /// Reads the record from the primary copy: a lagging replica would make a spent token look
    /// unspent.
    fn load(
        &self,
        key: &RecordKey,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Puts `new` in the place of the record whose revision is `seen`, or of none if that is `None`,
    /// and says whether it did. If the record is another by now, nothing is changed.
    ///
    /// This one comparison is what keeps all promises across processes: it must be one step with the
    /// write.
    fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The clock that [`Record::read_at`] is read from, UTC: one clock for all who share the store.
    fn now(&self) -> impl Future<Output = Result<SystemTime, StoreError>> + Send;

    /// Sets a mark that lives for `ttl`, and says whether it was there: the single use of a flow.
    fn once(
        &self,
        key: &OnceKey,
        ttl: Duration,
    ) -> impl Future<Output = Result<OnceAnswer, StoreError>> + Send;

    /// Up to `limit` records of the namespace that pass the filter, in the byte order of their
    /// subjects, behind the subject `after`. No payloads.
    ///
    /// A record that cannot be read is listed as
    /// [`Unreadable`](ReauthorizationReason::Unreadable), and does not hide the others.
    fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> impl Future<Output = Result<Vec<Summary>, StoreError>> + Send;

    /// Removes tombstones older than [`TOMBSTONE_AGE`](super::TOMBSTONE_AGE) and marks whose time is
    /// over. Answers how many.
    fn sweep(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Checks what the store's durability rests on.
    fn health(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether no other process can write to this store. Then what is in the cache need not be
    /// compared with the store from time to time.
    fn is_private(&self) -> bool {
        false
    }

    /// Whether what it keeps outlives the process, so that it must not be kept in clear unless the
    /// application says so.
    fn is_persistent(&self) -> bool {
        true
    }

    /// Replaces the record if it is as `expected`, and makes the next generation: a refresh's
    /// commit, a connect, a reconnect, a disconnect (which saves a tombstone).
    ///
    /// It ends the claim and the back-off, whoever made them, and notes `attempt` in
    /// [`Record::committed_by`]. If the current record was already committed by this attempt, it
    /// answers [`Saved::Done`] again. The claim's lease plays no part: a holder whose lease lapsed
    /// may have the only living tokens, and they are accepted unless the generation moved. A record
    /// that [`condemn`](Self::condemn) closed keeps its generation, so that such a late commit
    /// still replaces it.
    fn save(
        &self,
        key: &RecordKey,
        new: NewRecord,
        expected: Expected,
        attempt: AttemptId,
    ) -> impl Future<Output = Result<Saved, StoreError>> + Send {
        change(
            self,
            key,
            Saved::Done(expected.next()),
            move |current, now| decide::save(current, new.clone(), expected, attempt, now),
        )
    }

    /// Closes the record: its state becomes [`RecordState::NeedsReauthorization`](super::RecordState),
    /// its generation and payload stay, the claim and the back-off end.
    ///
    /// Only if the record is of this generation and active. If it was already condemned for this
    /// generation, it answers [`Condemned::Done`] for the same attempt and [`Condemned::Moved`] for
    /// another one.
    fn condemn(
        &self,
        key: &RecordKey,
        generation: u64,
        reason: ReauthorizationReason,
        attempt: AttemptId,
    ) -> impl Future<Output = Result<Condemned, StoreError>> + Send {
        change(self, key, Condemned::Done, move |current, now| {
            decide::condemn(current, generation, reason, attempt, now)
        })
    }

    /// Notes that `attempt` is about to spend the refresh token of `generation`, for `lease`.
    ///
    /// In this order: no record → [`ClaimAnswer::Absent`]; another generation, or a record that is
    /// not active → [`ClaimAnswer::Moved`]; claimed by this attempt → its lease starts anew,
    /// [`ClaimAnswer::Claimed`]; claimed by another, whose lease runs → [`ClaimAnswer::Held`];
    /// claimed by another, whose lease is over → [`ClaimAnswer::Lapsed`], unless `taking_over` names
    /// that other attempt: then the claim changes hands and is marked as a replay; backing off →
    /// [`ClaimAnswer::BackingOff`]; free → claimed.
    fn claim(
        &self,
        key: &RecordKey,
        generation: u64,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> impl Future<Output = Result<ClaimAnswer, StoreError>> + Send {
        change(self, key, ClaimAnswer::Claimed, move |current, now| {
            decide::claim(current, generation, attempt, lease, taking_over, now)
        })
    }

    /// Ends this attempt's claim without a change, and lets nobody claim the record for `back_off`.
    fn release(
        &self,
        key: &RecordKey,
        attempt: AttemptId,
        back_off: Option<Duration>,
    ) -> impl Future<Output = Result<Released, StoreError>> + Send {
        change(self, key, Released::Done, move |current, now| {
            decide::release(current, attempt, back_off, now)
        })
    }

    /// Replaces the payload by another form of the same credentials, as when keys change. The
    /// generation stays. Not while the record is claimed.
    fn reseal(
        &self,
        key: &RecordKey,
        generation: u64,
        payload: Payload,
    ) -> impl Future<Output = Result<Resealed, StoreError>> + Send {
        change(self, key, Resealed::Done, move |current, _| {
            decide::reseal(current, generation, payload.clone())
        })
    }
}

/// Each time that it is overtaken somebody else has got on, so this ends sooner; a store that always
/// says no does not keep the contract.
const TRIES: u32 = 100;

/// Reads a record, decides, and replaces it, until nobody came between.
async fn change<S, T>(
    store: &S,
    key: &RecordKey,
    done: T,
    decide: impl Fn(Option<&Record>, SystemTime) -> Result<Record, T> + Send,
) -> Result<T, StoreError>
where
    S: CredentialStore + ?Sized,
    T: Send,
{
    for _ in 0..TRIES {
        let current = store.load(key).await?;
        let now = match &current {
            Some(record) => record.read_at,
            None => store.now().await?,
        };
        let new = match decide(current.as_ref(), now) {
            Ok(new) => new,
            Err(answer) => return Ok(answer),
        };
        let seen = current.map(|record| record.revision);
        if store.replace(key, seen, &new).await? {
            return Ok(done);
        }
    }
    Err(StoreError::unavailable(
        store.name(),
        "the record was changed by others again and again",
    ))
}
