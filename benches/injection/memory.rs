//! What a million subjects take in memory.

use notion_auth::NotionAuthProvider;

use crate::support::{
    processes::report,
    residents::{Expiry, churned_provider, provider, unbounded_provider},
};

const COUNT: usize = 1_000_000;

pub(crate) const CHURNED: &str = "bounded, after a million others";

/// Tells the heap of a cache, in bytes for each subject, names and tokens included: of one made for a
/// million, before and after others took their place, and of one without a limit, whose tables are then
/// half empty.
pub(crate) fn measure() {
    measure_one("bounded", |count| provider(count, Expiry::Unknown));
    measure_one(CHURNED, churned_provider);
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
