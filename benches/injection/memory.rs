//! What a million subjects take in memory.

use notion_auth::NotionAuthProvider;

use crate::support::{
    processes::report,
    residents::{Expiry, provider, unbounded_provider},
};

const COUNT: usize = 1_000_000;

/// Tells the heap of a cache, in bytes for each subject, names (36) and tokens (64) included: of one
/// made for a million, and of one without a limit, whose tables are then half empty.
pub(crate) fn measure() {
    measure_one("bounded", |count| provider(count, Expiry::Unknown));
    measure_one("unbounded", unbounded_provider);
}

fn measure_one(name: &str, make: impl Fn(usize) -> NotionAuthProvider) {
    // What an empty one takes is not the subjects'.
    let left = |count: usize| {
        let mut made = None;
        let info = allocation_counter::measure(|| made = Some(make(count)));
        drop(made);
        info.bytes_current as f64
    };
    let each = (left(COUNT) - left(1)) / (COUNT - 1) as f64;
    report(&format!("heap for a subject, {name}"), each);
}
