//! What it costs to put credentials on a request.
//!
//! `cargo bench -p notion-auth-benches --bench injection`, and with `--profile bench-lto`; `-- hits`, `-- threads`,
//! `-- memory` or `-- proxy` measures one part. All times but the proxy's are those of several processes that this one
//! starts; `NOTION_AUTH_BENCH_PROCESSES` says how many, if not eleven.

// A benchmark ends where it cannot go on, and says why.
#![allow(clippy::cast_possible_truncation, clippy::expect_used, clippy::panic)]

#[path = "../harness/mod.rs"]
mod harness;

mod hits;
mod memory;
mod proxy;
mod threads;

use harness::Processes::{One, Several};

fn main() -> std::process::ExitCode {
    harness::main(&[
        ("hits", Several, hits::measure, &hits::print),
        ("threads", Several, threads::measure, &threads::print),
        ("memory", One, memory::measure, &memory::print),
        ("proxy", One, proxy::measure, &proxy::print),
    ])
}
