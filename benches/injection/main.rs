//! Cost of adding credentials to a request.
//!
//! `cargo bench -p notion-auth-benches --bench injection`, and with `--profile bench-lto`. `-- hits`, `-- threads`, `-- memory` or
//! `-- proxy` measures one part. All times except the proxy's are medians over several processes, 11 by
//! default, or the number in `NOTION_AUTH_BENCH_PROCESSES`.

// A benchmark panics if it cannot continue.
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
