use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    CredentialStore, Filter, OnceAnswer, OnceKey, Record, RecordKey, RecordState, Revision,
    StoreError, Summary, TOMBSTONE_AGE, decide::until,
};
use crate::clock::{Clock, SystemClock};

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

    fn time(&self) -> SystemTime {
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
}

impl CredentialStore for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let read_at = self.time();
        Ok(self.tables().record(key).map(|record| Record {
            read_at,
            ..record.clone()
        }))
    }

    async fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        if tables.record(key).map(|record| record.revision) != seen {
            return Ok(false);
        }
        let records = tables.records.entry(key.namespace().to_owned());
        records
            .or_default()
            .insert(key.subject().as_str().to_owned(), new.clone());
        Ok(true)
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        Ok(self.time())
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        let now = self.time();
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
            .map(|(subject, record)| record.summary(subject.as_str().into()))
            .collect())
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let now = self.time();
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

    fn is_persistent(&self) -> bool {
        false
    }

    fn is_private(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }
}
