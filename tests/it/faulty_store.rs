//! A store wrapper whose operations a test observes, delays, fails or redirects.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use notion_auth::{
    MemoryStore,
    store::{
        CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordKey, Revision, StoreError,
        StoredRecord, async_trait,
    },
    testing::TestClock,
};
use tokio::time::sleep;

/// An operation of a store.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "the tests of some features read the fields")]
pub(crate) enum Operation<'a> {
    Load(&'a RecordKey),
    Swap(&'a StoredRecord),
    ConsumeNonce,
    List,
    Purge,
    Migrate,
    Health,
}

/// Hooks of a test around operations.
#[async_trait]
pub(crate) trait Hooks: Send + Sync + 'static {
    /// Runs before the operation. An error is returned instead of running it.
    async fn before(&self, _: Operation<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Replaces the query of a `list`.
    fn query(&self, query: &ListQuery) -> ListQuery {
        query.clone()
    }

    /// Runs after the operation. An error replaces its result.
    async fn after(&self, _: Operation<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Hooks for () {}

/// Lists from the first subject, whatever `after` is.
pub(crate) struct IgnoresAfter;

impl Hooks for IgnoresAfter {
    fn query(&self, query: &ListQuery) -> ListQuery {
        query.clone().after(None)
    }
}

/// Clones are handles of the same store.
pub(crate) struct FaultyStore<H = Faults> {
    /// Used in turn, as by several processes with one database.
    handles: Arc<Mutex<Vec<Arc<dyn CredentialStore>>>>,
    turn: Arc<AtomicUsize>,
    is_private: bool,
    is_persistent: bool,
    pub(crate) hooks: Arc<H>,
}

impl<H: Hooks> FaultyStore<H> {
    pub(crate) fn new(inner: impl CredentialStore, hooks: H) -> Self {
        Self::over(vec![Arc::new(inner)], hooks)
    }

    fn over(handles: Vec<Arc<dyn CredentialStore>>, hooks: H) -> Self {
        Self {
            handles: Arc::new(Mutex::new(handles)),
            turn: Arc::default(),
            is_private: false,
            is_persistent: false,
            hooks: Arc::new(hooks),
        }
    }

    /// Makes the store report that its records outlive the process.
    #[allow(dead_code, reason = "the tests of some features use it")]
    pub(crate) fn persistent(self) -> Self {
        Self {
            is_persistent: true,
            ..self
        }
    }

    /// Makes the store report that no other process writes to it.
    pub(crate) fn private(self) -> Self {
        Self {
            is_private: true,
            ..self
        }
    }

    /// Replaces the inner store, and thereby all records.
    pub(crate) fn replace(&self, inner: impl CredentialStore) {
        *self.handles.lock().unwrap() = vec![Arc::new(inner)];
    }

    fn inner(&self) -> Arc<dyn CredentialStore> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let handles = self.handles.lock().unwrap();
        Arc::clone(&handles[turn % handles.len()])
    }

    async fn perform<T>(
        &self,
        operation: Operation<'_>,
        performed: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.hooks.before(operation).await?;
        let answer = performed.await?;
        self.hooks.after(operation).await?;
        Ok(answer)
    }
}

#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
impl FaultyStore<()> {
    /// Creates a store that alternates between two handles of one database.
    pub(crate) fn alternating<S: CredentialStore>(handles: [S; 2]) -> Self {
        let handles = handles.map(|handle| Arc::new(handle) as Arc<dyn CredentialStore>);
        Self::over(handles.to_vec(), ())
    }
}

#[async_trait]
impl<H: Hooks> CredentialStore for FaultyStore<H> {
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let inner = self.inner();
        self.perform(Operation::Load(key), inner.load(key)).await
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError> {
        let inner = self.inner();
        let swapped = inner.compare_and_swap(key, seen, new);
        self.perform(Operation::Swap(new), swapped).await
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        let inner = self.inner();
        let consumed = inner.consume_nonce(nonce, lifetime);
        self.perform(Operation::ConsumeNonce, consumed).await
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        let inner = self.inner();
        let query = self.hooks.query(query);
        let listed = inner.list(namespace, &query);
        self.perform(Operation::List, listed).await
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let inner = self.inner();
        self.perform(Operation::Purge, inner.purge_expired()).await
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let migrated = async { self.inner().migrate().await };
        self.perform(Operation::Migrate, migrated).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        let inner = self.inner();
        self.perform(Operation::Health, inner.health()).await
    }

    fn name(&self) -> &'static str {
        "faulty"
    }

    fn is_private(&self) -> bool {
        self.is_private
    }

    fn is_persistent(&self) -> bool {
        self.is_persistent
    }
}

impl<H> Clone for FaultyStore<H> {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
            turn: Arc::clone(&self.turn),
            is_private: self.is_private,
            is_persistent: self.is_persistent,
            hooks: Arc::clone(&self.hooks),
        }
    }
}

impl<H> fmt::Debug for FaultyStore<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl FaultyStore {
    /// Creates an in-memory store with Tokio's time and configurable faults.
    pub(crate) fn memory() -> Self {
        let memory = MemoryStore::with_clock(TestClock::new());
        Self::new(memory, Faults::default())
    }
}

/// Faults that a test sets and removes.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    is_down: AtomicBool,
    loses_swaps: AtomicBool,
    nonce_delay: Mutex<Duration>,
    read_delay: Mutex<Duration>,
    loads: AtomicUsize,
}

impl Faults {
    /// Makes each operation fail immediately.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// Makes the next swap succeed without a response, and the store unavailable after that.
    pub(crate) fn lose_swaps(&self) {
        self.loses_swaps.store(true, Ordering::Relaxed);
    }

    /// Delays the response to later reads by this time. A purge and a health check take as long.
    pub(crate) fn set_read_delay(&self, delay: Duration) {
        *self.read_delay.lock().unwrap() = delay;
    }

    /// Returns the number of loads.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }

    /// Delays the response to later nonces by this time, after they were consumed.
    pub(crate) fn set_nonce_delay(&self, delay: Duration) {
        *self.nonce_delay.lock().unwrap() = delay;
    }
}

#[async_trait]
impl Hooks for Faults {
    async fn before(&self, _: Operation<'_>) -> Result<(), StoreError> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(StoreError::unavailable("faulty", "down")),
            false => Ok(()),
        }
    }

    async fn after(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        if matches!(operation, Operation::Swap(_))
            && self.loses_swaps.swap(false, Ordering::Relaxed)
        {
            self.set_down(true);
            return Err(StoreError::unavailable("faulty", "the answer was lost"));
        }
        let delay = match operation {
            Operation::Swap(_) | Operation::Migrate => Duration::ZERO,
            Operation::ConsumeNonce => *self.nonce_delay.lock().unwrap(),
            Operation::Load(_) | Operation::List | Operation::Purge | Operation::Health => {
                *self.read_delay.lock().unwrap()
            }
        };
        if matches!(operation, Operation::Load(_)) {
            self.loads.fetch_add(1, Ordering::Relaxed);
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(())
    }
}
