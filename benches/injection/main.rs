//! What it costs to put credentials on a request.
//!
//! `cargo bench --bench injection`, and with `--profile bench-lto`. All times are those of several
//! processes that this one starts; `NOTION_AUTH_BENCH_PROCESSES` says how many, if not eleven.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark ends where it cannot go on, and says why"
)]

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod hits;
mod memory;
mod proxy;
mod report;
mod threads;

use std::process::ExitCode;

use support::processes;

fn main() -> ExitCode {
    match processes::role().as_deref() {
        Some("hits") => hits::measure(),
        Some("allocations") => hits::count(),
        Some("threads") => threads::measure(),
        Some("memory") => memory::measure(),
        Some("proxy") => proxy::measure(),
        Some(other) => panic!("there is no role {other:?}"),
        None => return report::report(),
    }
    ExitCode::SUCCESS
}
