//! The in-memory store keeps the contract.

use std::time::{Duration, SystemTime};

use notion_auth::{
    MemoryStore,
    clock::Clock,
    testing::{TestClock, store_conformance},
};

#[tokio::test(start_paused = true)]
async fn conformance_of_the_memory_store() {
    store_conformance(MemoryStore::with_clock(TestClock::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_of_the_memory_store_on_several_threads() {
    store_conformance(MemoryStore::new()).await;
}

/// A clock whose coarse reading never changes.
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

#[test]
fn memory_store_is_private_while_it_has_one_handle() {
    use notion_auth::store::CredentialStore as _;

    let store = MemoryStore::new();
    assert!(store.is_private());
    let other = store.clone();
    assert!(!store.is_private());
    drop(other);
    assert!(store.is_private());
}
