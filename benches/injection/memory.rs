//! Memory of a million cached subjects.

use notion_auth::{NotionAuthProvider, provider::NotionAuthProviderBuilder};

use crate::harness::{Goals, Reports, filled_provider, provider, report};

const SUBJECTS: usize = 1_000_000;
const BYTES: &str = "bytes";

/// Caches created for this many subjects, after replacing as many other subjects, and without a limit. The
/// tables of the last ones are half empty.
type Fill = fn(usize) -> NotionAuthProvider;
const CACHES: [(&str, Fill); 3] = [
    ("bounded", |count| provider(count, None)),
    ("bounded, after a million others", |count| {
        filled_provider(2 * count, None, |builder| builder.cache_capacity(count))
    }),
    ("unbounded", |count| {
        filled_provider(count, None, NotionAuthProviderBuilder::unbounded_cache)
    }),
];

/// Reports the heap of each cache per subject, including names and tokens.
pub(crate) fn measure() {
    for (name, fill) in CACHES {
        let heap = |count| {
            let mut filled = None;
            allocation_counter::measure(|| filled = Some(fill(count))).bytes_current as f64
        };
        // An empty cache's memory does not count.
        let each = (heap(SUBJECTS) - heap(1)) / (SUBJECTS - 1) as f64;
        report(name, BYTES, each);
    }
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    reports.table(
        "Heap for each of a million subjects, 93 bytes of it name and header value:",
        "cache | bytes",
        &CACHES.map(|(name, _)| name),
    );
    let [bounded, churned, _] = CACHES.map(|(name, _)| reports.get(name, BYTES));
    goals.set("heap for a subject, bytes", bounded.max(churned));
}
