use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::{Duration, SystemTime},
};

use notion_auth::{
    MemoryStore,
    store::{
        CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordKey, Revision, StoreError,
        StoredRecord, async_trait,
    },
    testing::MockNotion,
};
use tokio::time::{Instant, sleep};

use super::{history::History, life::Life, record::Record};

/// A process's connection to the shared store.
#[derive(Clone)]
pub(super) struct ProcessStore {
    pub(super) inner: MemoryStore,
    pub(super) life: Arc<Life>,
    pub(super) faults: StoreFaults,
    /// Only this process's.
    pub(super) cut_off: Arc<AtomicBool>,
    pub(super) history: History,
    pub(super) notion: MockNotion,
}

/// The faults of the next operations, for all processes that share this.
#[derive(Clone, Default)]
pub(super) struct StoreFaults {
    next: Arc<Mutex<VecDeque<StoreFault>>>,
    is_down: Arc<AtomicBool>,
    loses_swap: Arc<AtomicBool>,
    /// How far the store's clock was set, in seconds.
    clock: Arc<AtomicI32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum StoreFault {
    None,
    /// Not done, with an error.
    Refuse,
    /// Done, and the response is lost.
    Lose,
    /// Done after this time.
    Slow(Duration),
}

impl StoreFaults {
    pub(super) fn push(&self, fault: StoreFault) {
        self.next.lock().unwrap().push_back(fault);
    }

    pub(super) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// The next swap is done, and its answer lost.
    pub(super) fn lose_next_swap(&self) {
        self.loses_swap.store(true, Ordering::Relaxed);
    }

    /// Sets the store's clock.
    pub(super) fn step_clock(&self, by: i32) {
        self.clock.fetch_add(by, Ordering::Relaxed);
    }

    fn set(&self, now: SystemTime) -> SystemTime {
        let by = self.clock.load(Ordering::Relaxed);
        let seconds = Duration::from_secs(by.unsigned_abs().into());
        if by < 0 { now - seconds } else { now + seconds }
    }

    pub(super) fn clear(&self) {
        self.next.lock().unwrap().clear();
        self.set_down(false);
    }

    fn next(&self) -> StoreFault {
        if self.is_down.load(Ordering::Relaxed) {
            return StoreFault::Refuse;
        }
        let next = self.next.lock().unwrap().pop_front();
        next.unwrap_or(StoreFault::None)
    }
}

impl ProcessStore {
    async fn perform<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.life.pass().await;
        let fault = if self.cut_off.load(Ordering::Relaxed) {
            StoreFault::Refuse
        } else {
            self.faults.next()
        };
        match fault {
            StoreFault::None | StoreFault::Lose => {}
            StoreFault::Slow(time) => {
                self.history.events().slow.push(Instant::now());
                sleep(time).await;
            }
            StoreFault::Refuse => {
                self.history.excuse();
                return Err(StoreError::unavailable("faulty", "down"));
            }
        }
        let answer = operation.await;
        self.life.pass().await;
        match fault {
            StoreFault::Lose => {
                self.history.excuse();
                Err(StoreError::unavailable("faulty", "the answer was lost"))
            }
            StoreFault::Slow(_) => {
                self.history.excuse();
                answer
            }
            _ => answer,
        }
    }
}

#[async_trait]
impl CredentialStore for ProcessStore {
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let mut loaded = self.perform(self.inner.load(key)).await?;
        loaded.now = self.faults.set(loaded.now);
        Ok(loaded)
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError> {
        let swapped = self.perform(async {
            let before = self.inner.load(key).await?.record;
            let is_done = self.inner.compare_and_swap(key, seen, new).await?;
            if is_done {
                let before = before.as_ref().map(Record::of);
                let after = Record::of(new);
                self.history
                    .note_change(key.subject(), before.as_ref(), after, &self.notion);
            }
            Ok(is_done)
        });
        let is_done = swapped.await?;
        if self.faults.loses_swap.swap(false, Ordering::Relaxed) {
            self.history.excuse();
            return Err(StoreError::unavailable("faulty", "the answer was lost"));
        }
        Ok(is_done)
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        self.perform(self.inner.consume_nonce(nonce, lifetime))
            .await
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        self.perform(self.inner.list(namespace, query)).await
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.perform(self.inner.purge_expired()).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.perform(self.inner.health()).await
    }

    fn name(&self) -> &'static str {
        "faulty"
    }

    fn is_persistent(&self) -> bool {
        false
    }
}

impl fmt::Debug for ProcessStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessStore")
    }
}
