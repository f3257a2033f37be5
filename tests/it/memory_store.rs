//! The store in memory keeps the contract.

use std::time::{Duration, SystemTime};

use notion_auth::{
    MemoryStore, Subject,
    clock::Clock,
    store::{
        AttemptId, Change, CredentialStore, Expected, Labels, NewRecord, OnceKey, Payload,
        RecordKey, Saved, TOMBSTONE_AGE,
    },
    testing::{TestClock, store_conformance},
};
use tokio::time::advance;

fn store() -> MemoryStore {
    MemoryStore::with_clock(TestClock::new())
}

#[tokio::test(start_paused = true)]
async fn conformance_of_the_memory_store() {
    store_conformance(store()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_memory_store_on_several_threads() {
    store_conformance(MemoryStore::new()).await;
}

/// A clock whose coarse reading never moves.
#[derive(Debug)]
struct CoarseStandsStill(TestClock);

impl Clock for CoarseStandsStill {
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn coarse_monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }
}

#[tokio::test(start_paused = true)]
async fn memory_store_does_not_read_the_coarse_clock() {
    let clock = CoarseStandsStill(TestClock::new());
    store_conformance(MemoryStore::with_clock(clock)).await;
}

fn key(subject: &str) -> RecordKey {
    RecordKey::new("test", Subject::new(subject))
}

/// Saves over whatever is there.
async fn save(store: &MemoryStore, subject: &str, change: Change) {
    let current = store.load(&key(subject)).await.unwrap();
    let expected = current.map_or(Expected::Absent, |it| Expected::Generation(it.generation));
    let new = NewRecord {
        change,
        payload: Payload::default(),
        labels: Labels::default(),
    };
    let saved = store
        .save(&key(subject), new, expected, AttemptId::random())
        .await
        .unwrap();
    assert!(matches!(saved, Saved::Done(_)));
}

#[tokio::test(start_paused = true)]
async fn sweeping_removes_old_tombstones_and_marks_and_nothing_else() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    save(&store, "ben", Change::Connect).await;
    save(&store, "ben", Change::Disconnect).await;
    let mark = OnceKey::new("test", [1; 32]);
    store.once(&mark, Duration::from_secs(60)).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0);
    advance(TOMBSTONE_AGE).await;
    assert_eq!(store.sweep().await.unwrap(), 2);
    assert!(store.load(&key("ann")).await.unwrap().is_some());
    assert!(store.load(&key("ben")).await.unwrap().is_none());
}

#[test]
fn a_store_is_private_until_somebody_else_holds_it() {
    let store = MemoryStore::new();
    assert!(store.is_private());
    let other = store.clone();
    assert!(!store.is_private());
    drop(other);
    assert!(store.is_private());
}
