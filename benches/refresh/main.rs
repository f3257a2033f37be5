//! Cost of many simultaneous refreshes.
//!
//! `cargo bench -p notion-auth-benches --bench refresh`, and with `--profile bench-lto`. `-- burst`, `-- burst-memory`, `-- many-subjects` or
//! `-- acquisitions` measures one part. The burst's times are medians over several processes, 11 by default,
//! or the number in `NOTION_AUTH_BENCH_PROCESSES`.
//!
//! The token endpoint is `MockNotion` on a socket, on its own thread and runtime, reached by the built-in
//! transport, without TLS except where it says so. The API is a service in this process, so that the speed of an HTTP server is not measured.

// A benchmark panics if it cannot continue.
#![allow(clippy::cast_possible_truncation, clippy::expect_used, clippy::panic)]

#[path = "../harness/mod.rs"]
mod harness;

mod acquisitions;
mod burst;
mod many_subjects;
mod notion;
mod tls;
mod work;

use harness::Processes::{One, Several};

fn main() -> std::process::ExitCode {
    harness::main(&[
        ("burst", Several, burst::measure, &burst::print),
        (
            "burst-memory",
            One,
            burst::measure_memory,
            &burst::print_memory,
        ),
        (
            "many-subjects",
            One,
            many_subjects::measure,
            &many_subjects::print,
        ),
        (
            "acquisitions",
            One,
            acquisitions::measure,
            &acquisitions::print,
        ),
    ])
}
