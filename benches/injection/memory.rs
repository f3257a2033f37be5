//! What a million subjects take in memory.

use notion_auth::{NotionAuthProvider, provider::NotionAuthProviderBuilder};

use crate::harness::{Goals, Reports, filled_provider, provider, report};

const SUBJECTS: usize = 1_000_000;
const BYTES: &str = "bytes";

/// Caches made for so many subjects, the same after others were there before, and without a limit, whose tables are then
/// half empty.
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

/// Reports the heap of the caches for each subject, names and tokens included.
pub(crate) fn measure() {
    for (name, fill) in CACHES {
        let heap = |count| {
            let mut filled = None;
            allocation_counter::measure(|| filled = Some(fill(count))).bytes_current as f64
        };
        // What an empty one takes is not the subjects'.
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
