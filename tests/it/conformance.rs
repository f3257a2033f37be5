//! The conformance suite for stores: the faults that it finds, its messages, and its duration.

use std::{sync::Mutex, time::Duration};

use notion_auth::{
    MemoryStore,
    store::{
        CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordBytes, RecordKey, Revision,
        StoreError, StoredRecord, async_trait,
    },
    testing::{TestClock, store_conformance},
};
use tokio::time::{Instant, sleep};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    SwapsWithoutComparing,
    AnswersFalseAndSwaps,
    LosesTheRevision,
    TrimsBytes,
    IgnoresTheNamespace,
    ConsumesTwice,
    NeverExpiresNonces,
    ListsFromTheStart,
    ListsWithoutALimit,
    ListsAllStates,
    ListsBackwards,
    PurgesNothing,
    PurgesActiveRecords,
    StandsStill,
    Hangs,
}

#[derive(Debug)]
struct Store {
    inner: MemoryStore,
    fault: Fault,
    keys: Mutex<Vec<RecordKey>>,
    began: Loaded,
}

impl Store {
    async fn new(fault: Fault) -> Self {
        let inner = MemoryStore::with_clock(TestClock::new());
        let none = RecordKey::new("none", "none".into());
        let began = inner.load(&none).await.unwrap();
        Self {
            inner,
            fault,
            keys: Mutex::default(),
            began,
        }
    }

    fn key(&self, key: &RecordKey) -> RecordKey {
        match self.fault {
            Fault::IgnoresTheNamespace => RecordKey::new("one", key.subject().clone()),
            _ => key.clone(),
        }
    }
}

#[async_trait]
impl CredentialStore for Store {
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        sleep(Duration::from_millis(5)).await;
        let mut loaded = self.inner.load(&self.key(key)).await?;
        match self.fault {
            Fault::StandsStill => loaded.now = self.began.now,
            Fault::Hangs => std::future::pending().await,
            _ => {}
        }
        Ok(loaded)
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError> {
        sleep(Duration::from_millis(5)).await;
        let key = self.key(key);
        self.keys.lock().unwrap().push(key.clone());
        let current = self.inner.load(&key).await?.record;
        let current = current.map(|record| record.revision);
        let mut new = new.clone();
        match self.fault {
            Fault::SwapsWithoutComparing => {
                return self.inner.compare_and_swap(&key, current, &new).await;
            }
            Fault::AnswersFalseAndSwaps => {
                self.inner.compare_and_swap(&key, current, &new).await?;
                return Ok(seen == current);
            }
            Fault::LosesTheRevision => new.revision = Revision::from_bytes([7; 8]),
            Fault::TrimsBytes => {
                let bytes = new.bytes.as_slice();
                let end = bytes.iter().rposition(|it| *it != 0).map_or(0, |it| it + 1);
                new.bytes = RecordBytes::new(bytes[..end].to_vec());
            }
            _ => {}
        }
        self.inner.compare_and_swap(&key, seen, &new).await
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        sleep(Duration::from_millis(5)).await;
        let lifetime = match self.fault {
            Fault::NeverExpiresNonces => Duration::from_secs(1_000_000),
            _ => lifetime,
        };
        let first = self.inner.consume_nonce(nonce, lifetime).await?;
        Ok(first || self.fault == Fault::ConsumesTwice)
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        sleep(Duration::from_millis(5)).await;
        let mut query = query.clone();
        let namespace = match self.fault {
            Fault::IgnoresTheNamespace => "one",
            _ => namespace,
        };
        match self.fault {
            Fault::ListsFromTheStart => query.after = None,
            Fault::ListsWithoutALimit => query.limit = 1000,
            Fault::ListsAllStates => query.filter = ListQuery::default().filter,
            _ => {}
        }
        let mut listed = self.inner.list(namespace, &query).await?;
        if self.fault == Fault::ListsBackwards {
            listed.reverse();
        }
        Ok(listed)
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        sleep(Duration::from_millis(5)).await;
        match self.fault {
            Fault::PurgesNothing => Ok(0),
            Fault::PurgesActiveRecords => {
                let keys = std::mem::take(&mut *self.keys.lock().unwrap());
                for key in keys {
                    let record = self.inner.load(&key).await?.record;
                    let Some(record) = record else { continue };
                    let mut gone = record.clone();
                    gone.revision = Revision::from_bytes([9; 8]);
                    gone.bytes = RecordBytes::new(Vec::new());
                    let seen = Some(record.revision);
                    self.inner.compare_and_swap(&key, seen, &gone).await?;
                }
                self.inner.purge_expired().await
            }
            _ => self.inner.purge_expired().await,
        }
    }
}

/// Runs the suite. Returns its failure message, if any, and its duration.
async fn suite(fault: Fault) -> (Option<String>, Duration) {
    let began = Instant::now();
    let store = Store::new(fault).await;
    let failed = tokio::spawn(store_conformance(store)).await.err();
    let said = failed.map(|error| {
        let panic = error.into_panic();
        *panic.downcast::<String>().expect("a message")
    });
    (said, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn slow_and_correct_store_passes_within_10_seconds() {
    let (said, took) = suite(Fault::None).await;
    assert_eq!(said, None);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_a_store_is_found_and_its_rule_is_named() {
    const NONCE: &str = "consume_nonce returns true once";
    const LIST: &str = "list returns the records that the query asks for";
    for (fault, rule) in [
        (Fault::SwapsWithoutComparing, "swap"),
        (Fault::AnswersFalseAndSwaps, "swap"),
        (Fault::LosesTheRevision, "the store breaks rule"),
        (Fault::TrimsBytes, "the store breaks rule"),
        (Fault::IgnoresTheNamespace, "the store breaks rule"),
        (Fault::ConsumesTwice, NONCE),
        (Fault::NeverExpiresNonces, NONCE),
        (Fault::ListsFromTheStart, LIST),
        (Fault::ListsWithoutALimit, LIST),
        (Fault::ListsAllStates, LIST),
        (Fault::ListsBackwards, LIST),
        (Fault::PurgesNothing, "the store breaks rule"),
        (Fault::PurgesActiveRecords, "the store breaks rule"),
        (Fault::StandsStill, "`Loaded::now` does not advance"),
        (Fault::Hangs, "did not answer within 30s"),
    ] {
        let (said, took) = suite(fault).await;
        let said = said.unwrap_or_else(|| panic!("{fault:?} was not found"));
        assert!(said.contains(rule), "{fault:?}: {said}");
        assert!(took < Duration::from_secs(31), "{fault:?}: {took:?}");
    }
}
