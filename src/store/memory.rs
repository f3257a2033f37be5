use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use super::{
    CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordKey, Revision, StoreError,
    StoredRecord,
};
use crate::{
    clock::{Clock, SystemClock},
    subject::Subject,
};

/// A store in this process's memory, for tests and for applications that may lose all connections at a
/// restart.
///
/// Clones are handles of the same store. While there is more than one handle, a provider treats the store
/// as shared, and compares its cache with it.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    /// The wall clock at the origin of the monotonic clock. Leases must not follow adjustments of the wall
    /// clock.
    epoch: SystemTime,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    /// By namespace, then by subject.
    records: HashMap<String, BTreeMap<String, StoredRecord>>,
    /// Nonces and the times at which they expire.
    nonces: HashMap<Nonce, SystemTime>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// Creates an empty store that uses this clock.
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

#[async_trait]
impl CredentialStore for MemoryStore {
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let record = self.tables().record(key).cloned();
        Ok(Loaded {
            record,
            now: self.time(),
        })
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
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

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        let now = self.time();
        let mut tables = self.tables();
        let is_first = tables.nonces.get(nonce).is_none_or(|end| *end <= now);
        if is_first {
            tables.nonces.insert(nonce.clone(), now + lifetime);
        }
        Ok(is_first)
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        let tables = self.tables();
        let Some(records) = tables.records.get(namespace) else {
            return Ok(Vec::new());
        };
        let after = query.after.as_ref().map(Subject::as_str);
        // Start at the later of the two.
        let from = match after {
            Some(after) if after >= query.prefix.as_str() => Bound::Excluded(after),
            _ => Bound::Included(query.prefix.as_str()),
        };
        Ok(records
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(subject, _)| subject.starts_with(&query.prefix))
            .filter(|(subject, record)| query.admits(subject, record))
            .take(query.limit)
            .map(|(subject, record)| Listed {
                subject: subject.as_str().into(),
                record: record.clone(),
            })
            .collect())
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let now = self.time();
        let mut tables = self.tables();
        let before = tables.len();
        tables.nonces.retain(|_, end| *end > now);
        for records in tables.records.values_mut() {
            records.retain(|_, record| !record.is_expired(now));
        }
        Ok((before - tables.len()) as u64)
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    fn is_persistent(&self) -> bool {
        false
    }

    fn is_private(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }
}

impl Tables {
    fn record(&self, key: &RecordKey) -> Option<&StoredRecord> {
        self.records
            .get(key.namespace())?
            .get(key.subject().as_str())
    }

    fn len(&self) -> usize {
        self.nonces.len() + self.records.values().map(BTreeMap::len).sum::<usize>()
    }
}
