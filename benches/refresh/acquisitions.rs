//! Credentials that are good, in the store, and not yet at hand.

use notion_auth::{NotionAuthProvider, Subject, testing::MockNotion};
use tokio::runtime::Runtime;

use crate::{
    crowd::at_a_time,
    heap::{Heap, counted},
    notion::{runtime, runtime_of_threads},
    stores::{Store, stores},
    support::{
        inner::name,
        progress,
        statistics::median,
        table::{table, thousands},
    },
};

const SUBJECTS: usize = 20_000;
const IN_FLIGHT: usize = 64;
const ROUNDS: usize = 7;

pub(crate) struct Report(Vec<Acquisitions>);

struct Acquisitions {
    store: &'static str,
    one_thread: f64,
    all_threads: f64,
    heap: Heap,
}

pub(crate) fn measure() -> Report {
    Report(stores().iter().map(measure_store).collect())
}

fn measure_store(store: &Store) -> Acquisitions {
    let show = |what: &str| progress::show(&format!("acquisitions, {}: {what}", store.name));
    show("connecting");
    let notion = MockNotion::builder()
        .reconnect_ends_older(false)
        .in_process();
    let provider = || {
        let builder = notion.provider_builder().expect("app credentials");
        store.attach(builder).build().expect("a provider")
    };
    connect(&provider(), &notion);
    show("memory");
    acquire(&runtime(), provider());
    // The cache stays for as long as the provider, which is dropped here only afterwards.
    let (_provider, heap) = counted(|| {
        let provider = provider();
        acquire(&runtime(), provider.clone());
        provider
    });
    let per_second =
        |runtime: fn() -> Runtime| median((0..ROUNDS).map(|_| acquire(&runtime(), provider())));
    show("one thread");
    let one_thread = per_second(runtime);
    show("all threads");
    let all_threads = per_second(runtime_of_threads);
    Acquisitions {
        store: store.name,
        one_thread,
        all_threads,
        heap,
    }
}

fn connect(provider: &NotionAuthProvider, notion: &MockNotion) {
    runtime().block_on(async {
        for number in 0..SUBJECTS {
            let subject = Subject::new(name(number));
            let stored = provider.store_credentials(&subject, notion.connect());
            stored.await.expect("the credentials are stored");
        }
    });
}

/// By a provider that has nothing at hand; how many in a second.
fn acquire(runtime: &Runtime, provider: NotionAuthProvider) -> f64 {
    let subjects = (0..SUBJECTS)
        .map(|number| Subject::new(name(number)))
        .collect();
    let acquiring = at_a_time(IN_FLIGHT, subjects, move |subject| {
        let provider = provider.clone();
        async move {
            provider.acquire(&subject).await.expect("a token");
        }
    });
    SUBJECTS as f64 / runtime.block_on(acquiring).as_secs_f64()
}

impl Report {
    pub(crate) fn print(&self) {
        let title = format!(
            "{} subjects acquired from a store for the first time, {IN_FLIGHT} at a time, medians of \
             {ROUNDS} rounds; the cache's heap, in bytes:",
            thousands(SUBJECTS as f64)
        );
        let head = [
            "store",
            "a second, one thread",
            "a second, all threads",
            "heap afterwards",
            "a subject",
        ];
        let row = |it: &Acquisitions| {
            vec![
                it.store.to_owned(),
                thousands(it.one_thread),
                thousands(it.all_threads),
                thousands(it.heap.left),
                thousands(it.heap.left / SUBJECTS as f64),
            ]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(&title, &head, &rows);
    }
}
