use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use notion_auth::{
    MemoryStore, ReauthorizationReason,
    store::{
        AttemptId, ClaimAnswer, Condemned, CredentialStore, Expected, Filter, NewRecord,
        OnceAnswer, OnceKey, Payload, Record, RecordKey, Released, Resealed, Revision, Saved,
        StoreError, Summary,
    },
    testing::MockNotion,
};
use tokio::time::sleep;

use super::{
    history::{Condemnation, History, Save, pair},
    life::Life,
};

/// A process's way to the shared store.
#[derive(Clone)]
pub(super) struct ProcessStore {
    pub(super) inner: MemoryStore,
    pub(super) life: Arc<Life>,
    pub(super) faults: StoreFaults,
    /// This process's own.
    pub(super) cut_off: Arc<AtomicBool>,
    pub(super) history: History,
    pub(super) notion: MockNotion,
}

/// What goes wrong next, operation by operation, for all processes that share this.
#[derive(Clone, Default)]
pub(super) struct StoreFaults {
    next: Arc<Mutex<VecDeque<StoreFault>>>,
    is_down: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum StoreFault {
    None,
    /// Not done, and said so.
    Refuse,
    /// Done, and the answer lost.
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
            StoreFault::Slow(time) => sleep(time).await,
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

impl CredentialStore for ProcessStore {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        self.perform(self.inner.replace(key, seen, new)).await
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        self.perform(self.inner.now()).await
    }

    fn is_persistent(&self) -> bool {
        false
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.perform(self.inner.load(key)).await
    }

    async fn save(
        &self,
        key: &RecordKey,
        new: NewRecord,
        expected: Expected,
        attempt: AttemptId,
    ) -> Result<Saved, StoreError> {
        self.perform(async {
            let (change, pair) = (new.change, pair(&new.payload));
            let saved = self.inner.save(key, new, expected, attempt).await?;
            if let Saved::Done(generation) = saved {
                let mut events = self.history.events();
                let is_repeated = events.saves.iter().any(|save| {
                    (&save.subject, save.generation, save.attempt)
                        == (key.subject(), generation, attempt)
                });
                if !is_repeated {
                    events.saves.push(Save {
                        subject: key.subject().clone(),
                        generation,
                        change,
                        attempt,
                        pair,
                    });
                }
            }
            Ok(saved)
        })
        .await
    }

    async fn condemn(
        &self,
        key: &RecordKey,
        generation: u64,
        reason: ReauthorizationReason,
        attempt: AttemptId,
    ) -> Result<Condemned, StoreError> {
        self.perform(async {
            let condemned = self.inner.condemn(key, generation, reason, attempt).await?;
            if condemned == Condemned::Done {
                let ledger = self.notion.ledger();
                let mut events = self.history.events();
                let lives = events.saves.iter().any(|save| {
                    save.subject == *key.subject()
                        && save
                            .pair
                            .as_ref()
                            .is_some_and(|pair| ledger.is_refresh_token_live(&pair.1))
                });
                if lives {
                    let what = format!("{reason:?} of generation {generation}");
                    events.false_deaths.push(what);
                }
                let is_repeated = events.condemnations.iter().any(|it| it.attempt == attempt);
                if !is_repeated {
                    let after_saves = events.saves.len();
                    events.condemnations.push(Condemnation {
                        after_saves,
                        subject: key.subject().clone(),
                        generation,
                        reason,
                        attempt,
                    });
                }
            }
            Ok(condemned)
        })
        .await
    }

    async fn claim(
        &self,
        key: &RecordKey,
        generation: u64,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> Result<ClaimAnswer, StoreError> {
        let claim = self
            .inner
            .claim(key, generation, attempt, lease, taking_over);
        self.perform(claim).await
    }

    async fn release(
        &self,
        key: &RecordKey,
        attempt: AttemptId,
        back_off: Option<Duration>,
    ) -> Result<Released, StoreError> {
        self.perform(self.inner.release(key, attempt, back_off))
            .await
    }

    async fn reseal(
        &self,
        key: &RecordKey,
        generation: u64,
        payload: Payload,
    ) -> Result<Resealed, StoreError> {
        self.perform(self.inner.reseal(key, generation, payload))
            .await
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        self.perform(self.inner.once(key, ttl)).await
    }

    async fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        self.perform(self.inner.list(namespace, after, limit, filter))
            .await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.perform(self.inner.sweep()).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.perform(self.inner.health()).await
    }
}

impl fmt::Debug for ProcessStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessStore")
    }
}
