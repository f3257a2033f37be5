//! What refreshing costs when many need it at once.
//!
//! `cargo bench --bench refresh`, and with `--profile bench-lto`. `-- herd`, `-- wave` or
//! `-- acquisitions` measures one part. The herd's times are those of several processes, of which
//! `NOTION_AUTH_BENCH_PROCESSES` says how many, if not eleven.
//!
//! The token endpoint is `MockNotion` on a socket, with a thread and a runtime of its own, reached by
//! the built-in transport. The API is a service in this process: what is measured is not how fast an
//! HTTP server can be made to answer ten thousand requests.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark ends where it cannot go on, and says why"
)]

#[path = "../support/mod.rs"]
mod support;

mod acquisitions;
mod api;
mod bare;
mod crowd;
mod heap;
mod herd;
mod herd_rounds;
mod notion;
mod stores;
mod wave;

use std::{env, process::ExitCode};

use support::{processes, progress, resident};

fn main() -> ExitCode {
    match processes::role().as_deref() {
        Some("herd") => {
            herd_rounds::measure_rounds();
            return ExitCode::SUCCESS;
        }
        Some(other) => panic!("there is no role {other:?}"),
        None => {}
    }
    println!("Profile: {}.\n", processes::profile());
    let resident_before = resident::mebibytes();
    let herd = is_asked_for("herd").then(herd_rounds::measure);
    let wave = is_asked_for("wave").then(wave::measure);
    let acquisitions = is_asked_for("acquisitions").then(acquisitions::measure);
    progress::clear();
    let resident_after = resident::mebibytes();

    herd.iter().for_each(herd_rounds::Report::print);
    wave.iter().for_each(wave::Report::print);
    acquisitions.iter().for_each(acquisitions::Report::print);
    if let (Some(before), Some(after)) = (resident_before, resident_after) {
        println!(
            "The process's resident set: {before:.0} MiB at the start, {after:.0} MiB at the end.\n"
        );
    }
    // Both are printed, whatever the first says.
    let herd_met = herd.is_none_or(|herd| herd.goals());
    let wave_met = wave.is_none_or(|wave| wave.goals());
    if herd_met && wave_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Everything, unless parts are named.
fn is_asked_for(part: &str) -> bool {
    let mut parts = env::args().skip(1).filter(|it| !it.starts_with('-'));
    match parts.next() {
        None => true,
        Some(first) => first == part || parts.any(|it| it == part),
    }
}
