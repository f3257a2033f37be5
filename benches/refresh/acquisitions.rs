//! Valid credentials in the store that are not cached yet.

use notion_auth::{MemoryStore, NotionAuthProvider, Subject, testing::MockNotion};
use tokio::runtime::Runtime;

use crate::{
    harness::{Goals, Reports, name, report},
    notion::connect,
    work::{RUNTIMES, at_a_time, counted, runtime},
};

const SUBJECTS: usize = 20_000;
const IN_FLIGHT: usize = 64;
const ROUNDS: usize = 7;

/// Name of the store.
const STORE: &str = "MemoryStore";

pub(crate) fn measure() {
    let mock = MockNotion::builder().reconnect_ends_older(false);
    let mock = mock.in_process();
    let store = MemoryStore::new();
    let provider = || {
        let builder = mock.provider_builder().expect("app credentials");
        builder.store(store.clone()).build().expect("a provider")
    };
    connect(&mock, &provider(), SUBJECTS);
    // Lazily created values are created before the measurement.
    acquire_all(&runtime(), provider());
    // The cache is kept until the provider is dropped.
    let (_provider, heap) = counted(|| {
        let provider = provider();
        acquire_all(&runtime(), provider.clone());
        provider
    });
    let left = heap.bytes_current as f64;
    report(STORE, "heap afterwards", left);
    report(STORE, "a subject", left / SUBJECTS as f64);
    for (threads, runtime) in RUNTIMES {
        for _ in 0..ROUNDS {
            let a_second = acquire_all(&runtime(), provider());
            report(STORE, &format!("a second, {threads}"), a_second);
        }
    }
}

/// Acquires all subjects through a provider with an empty cache. Returns acquisitions per second.
fn acquire_all(runtime: &Runtime, provider: NotionAuthProvider) -> f64 {
    let subjects = (0..SUBJECTS).map(|number| Subject::new(name(number)));
    let acquiring = at_a_time(IN_FLIGHT, subjects.collect(), move |subject| {
        let provider = provider.clone();
        async move {
            provider.acquire(&subject).await.expect("a token");
        }
    });
    SUBJECTS as f64 / runtime.block_on(acquiring).as_secs_f64()
}

pub(crate) fn print(reports: &Reports, _: &mut Goals) {
    let title = format!(
        "20,000 subjects acquired from a store for the first time, {IN_FLIGHT} at a time, medians of {ROUNDS} rounds; \
         the cache's heap, in bytes:"
    );
    let head = "store | a second, one thread | a second, all threads | heap afterwards | a subject";
    reports.table(&title, head, &[STORE]);
}
