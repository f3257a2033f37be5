use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    AttemptId, Change, Claim, ClaimAnswer, Condemned, CredentialStore, Expected, Filter, NewRecord,
    OnceAnswer, OnceKey, Payload, Record, RecordKey, RecordState, Released, Resealed, Saved,
    StoreError, Summary, TOMBSTONE_AGE,
};
use crate::{
    clock::{Clock, SystemClock},
    credentials::ReauthorizationReason,
};

/// A store in this process's memory: for tests, and for applications that may lose all connections
/// with a restart. Nothing survives the process.
///
/// Clones are handles to the same store. A provider that is given one while another handle is kept
/// takes the store for a shared one, and looks for the other holders' changes as it would in a
/// database.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    /// The wall clock at the origin of the monotonic one: leases must not follow steps of the wall.
    epoch: SystemTime,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    /// By namespace, then by subject, in the order in which they are listed.
    records: HashMap<String, BTreeMap<String, Record>>,
    marks: HashMap<OnceKey, SystemTime>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// An empty store whose leases and ages run by this clock.
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                epoch: clock
                    .wall()
                    .checked_sub(clock.monotonic())
                    .unwrap_or(SystemTime::UNIX_EPOCH),
                clock: Arc::new(clock),
                tables: Mutex::default(),
            }),
        }
    }

    fn now(&self) -> SystemTime {
        self.shared.epoch + self.shared.clock.monotonic()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.shared
            .tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Tables {
    fn record(&self, key: &RecordKey) -> Option<&Record> {
        self.records
            .get(key.namespace())?
            .get(key.subject().as_str())
    }

    fn record_mut(&mut self, key: &RecordKey) -> Option<&mut Record> {
        self.records
            .get_mut(key.namespace())?
            .get_mut(key.subject().as_str())
    }
}

impl Record {
    fn is_claimed_by(&self, attempt: AttemptId) -> bool {
        self.claim.is_some_and(|claim| claim.attempt == attempt)
    }
}

fn until(end: SystemTime, now: SystemTime) -> Option<Duration> {
    end.duration_since(now).ok().filter(|left| !left.is_zero())
}

impl CredentialStore for MemoryStore {
    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let read_at = self.now();
        Ok(self.tables().record(key).map(|record| Record {
            read_at,
            ..record.clone()
        }))
    }

    async fn save(
        &self,
        key: &RecordKey,
        new: NewRecord,
        expected: Expected,
        attempt: AttemptId,
    ) -> Result<Saved, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let current = tables.record(key);
        let is_expected = match (current, expected) {
            (None, Expected::Absent) => true,
            (Some(record), Expected::Generation(generation)) => record.generation == generation,
            _ => false,
        };
        if !is_expected {
            return Ok(match current {
                Some(record) if record.committed_by == attempt => Saved::Done(record.generation),
                _ => Saved::Conflict(current.map(|record| record.generation)),
            });
        }
        let generation = current.map_or(0, |record| record.generation) + 1;
        let connected_at = match (new.change, current) {
            (Change::Connect, _) | (_, None) => now,
            (_, Some(record)) => record.connected_at,
        };
        let record = Record {
            generation,
            state: match new.change {
                Change::Disconnect => RecordState::Disconnected,
                Change::Connect | Change::Refresh => RecordState::Active,
            },
            payload: new.payload,
            labels: new.labels,
            committed_by: attempt,
            claim: None,
            not_before: None,
            connected_at,
            updated_at: now,
            refreshed_at: (new.change == Change::Refresh).then_some(now),
            read_at: now,
        };
        tables
            .records
            .entry(key.namespace().to_owned())
            .or_default()
            .insert(key.subject().as_str().to_owned(), record);
        Ok(Saved::Done(generation))
    }

    async fn condemn(
        &self,
        key: &RecordKey,
        generation: u64,
        reason: ReauthorizationReason,
        attempt: AttemptId,
    ) -> Result<Condemned, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let Some(record) = tables
            .record_mut(key)
            .filter(|record| record.generation == generation)
        else {
            return Ok(Condemned::Moved);
        };
        match record.state {
            RecordState::Active => {
                record.state = RecordState::NeedsReauthorization(reason);
                record.committed_by = attempt;
                record.claim = None;
                record.not_before = None;
                record.updated_at = now;
                Ok(Condemned::Done)
            }
            RecordState::NeedsReauthorization(_) if record.committed_by == attempt => {
                Ok(Condemned::Done)
            }
            _ => Ok(Condemned::Moved),
        }
    }

    async fn claim(
        &self,
        key: &RecordKey,
        generation: u64,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> Result<ClaimAnswer, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let Some(record) = tables.record_mut(key) else {
            return Ok(ClaimAnswer::Absent);
        };
        if record.generation != generation || record.state != RecordState::Active {
            return Ok(ClaimAnswer::Moved);
        }
        let replay = match record.claim {
            Some(claim) if claim.attempt == attempt => claim.replay,
            Some(claim) => {
                if let Some(left) = until(claim.since + claim.lease, now) {
                    return Ok(ClaimAnswer::Held(left));
                }
                if taking_over != Some(claim.attempt) {
                    return Ok(ClaimAnswer::Lapsed {
                        attempt: claim.attempt,
                        age: now.duration_since(claim.since).unwrap_or_default(),
                        replay: claim.replay,
                    });
                }
                true
            }
            None => {
                if let Some(left) = record.not_before.and_then(|end| until(end, now)) {
                    return Ok(ClaimAnswer::BackingOff(left));
                }
                false
            }
        };
        record.not_before = None;
        record.claim = Some(Claim {
            attempt,
            since: now,
            lease,
            replay,
        });
        Ok(ClaimAnswer::Claimed)
    }

    async fn release(
        &self,
        key: &RecordKey,
        attempt: AttemptId,
        back_off: Option<Duration>,
    ) -> Result<Released, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let Some(record) = tables
            .record_mut(key)
            .filter(|record| record.is_claimed_by(attempt))
        else {
            return Ok(Released::NotYours);
        };
        record.claim = None;
        record.not_before = back_off.and_then(|back_off| now.checked_add(back_off));
        Ok(Released::Done)
    }

    async fn reseal(
        &self,
        key: &RecordKey,
        generation: u64,
        payload: Payload,
    ) -> Result<Resealed, StoreError> {
        let mut tables = self.tables();
        match tables.record_mut(key) {
            Some(record) if record.generation == generation => {
                if record.claim.is_some() {
                    return Ok(Resealed::Claimed);
                }
                record.payload = payload;
                Ok(Resealed::Done)
            }
            _ => Ok(Resealed::Moved),
        }
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        if tables.marks.get(key).is_some_and(|end| *end > now) {
            return Ok(OnceAnswer::Seen);
        }
        tables.marks.insert(key.clone(), now + ttl);
        Ok(OnceAnswer::First)
    }

    async fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        let tables = self.tables();
        let Some(records) = tables.records.get(namespace) else {
            return Ok(Vec::new());
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(records
            .range::<str, _>((from, Bound::Unbounded))
            .filter(|(_, record)| filter.admits(record.state, &record.labels))
            .take(limit)
            .map(|(subject, record)| Summary {
                subject: subject.as_str().into(),
                generation: record.generation,
                state: record.state,
                labels: record.labels.clone(),
                connected_at: record.connected_at,
                updated_at: record.updated_at,
                refreshed_at: record.refreshed_at,
            })
            .collect())
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let now = self.now();
        let mut removed = 0;
        let mut tables = self.tables();
        tables.marks.retain(|_, end| {
            let keep = *end > now;
            removed += u64::from(!keep);
            keep
        });
        for records in tables.records.values_mut() {
            records.retain(|_, record| {
                let keep = record.state != RecordState::Disconnected
                    || until(record.updated_at + TOMBSTONE_AGE, now).is_some();
                removed += u64::from(!keep);
                keep
            });
        }
        Ok(removed)
    }

    async fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_private(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }
}
