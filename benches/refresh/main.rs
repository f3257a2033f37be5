//! What refreshing costs when many need it at once.
//!
//! `cargo bench -p notion-auth-benches --bench refresh`, and with `--profile bench-lto`. `-- herd`, `-- herd-memory`,
//! `-- wave` or `-- acquisitions` measures one part. The herd's times are those of several processes, of which
//! `NOTION_AUTH_BENCH_PROCESSES` says how many, if not eleven.
//!
//! The token endpoint is `MockNotion` on a socket, with a thread and a runtime of its own, reached by the built-in
//! transport. The API is a service in this process: what is measured is not how fast an HTTP server can be made to
//! answer ten thousand requests.

// A benchmark ends where it cannot go on, and says why.
#![allow(clippy::cast_possible_truncation, clippy::expect_used, clippy::panic)]

#[path = "../harness/mod.rs"]
mod harness;

mod acquisitions;
mod herd;
mod notion;
mod wave;
mod work;

use harness::Processes::{One, Several};

fn main() -> std::process::ExitCode {
    harness::main(&[
        ("herd", Several, herd::measure, &herd::print),
        (
            "herd-memory",
            One,
            herd::measure_memory,
            &herd::print_memory,
        ),
        ("wave", One, wave::measure, &wave::print),
        (
            "acquisitions",
            One,
            acquisitions::measure,
            &acquisitions::print,
        ),
    ])
}
