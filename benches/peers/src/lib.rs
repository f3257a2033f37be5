//! What it costs to put credentials on a request, beside what other crates do that look up a token for
//! each request.
//!
//! Each of them is used by its public API, has a token at hand that is not about to expire, and is
//! measured around a service that answers at once. What it takes beyond that service alone is its
//! price. Requests are made before and dropped after the measurement, so a token that was copied is
//! freed for nothing.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark counts little, and where it cannot go on it says why and ends"
)]

#[path = "../../support/mod.rs"]
mod support;

mod aws;
mod azure;
mod contest;
mod google;
mod headers;
mod kube;
mod middleware;
mod poll;
mod table;
mod token_endpoint;

use std::process::ExitCode;

use support::{
    inner::BATCH,
    interleave::{Case, interleave},
    prepared::Prepared,
    processes::{self, Reports, report},
};

/// Measures in several processes, prints a table, and draws it; fails when a gate is not met. `counter` is
/// the program that counts allocations.
pub fn bench(counter: &str) -> ExitCode {
    if processes::role().is_some() {
        report_times();
        return ExitCode::SUCCESS;
    }
    let times = processes::run("peers", processes::repeats());
    let counted = std::process::Command::new(counter)
        .output()
        .expect("the program that counts allocations");
    assert!(counted.status.success(), "allocations were not counted");
    let mut allocations = Reports::default();
    allocations.read(&String::from_utf8_lossy(&counted.stdout));
    let all_met = table::print(&times, &allocations);
    if processes::profile() == "default" {
        table::draw(&times);
    }
    if all_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn report_times() {
    let contest = contest::contest();
    // As in an application. One of the peers makes a timer for each request, which needs it.
    let _context = poll::runtime().enter();
    let cases = contest.work.into_iter().map(Prepared::into_case);
    let times = interleave(&mut cases.collect::<Vec<Case>>(), 61, 40);
    let ours = (contest::OURS, headers::FLOOR);
    let static_headers = (headers::TWO_STATIC, headers::FLOOR);
    for entry in &contest.entries {
        let this = (entry.name.as_str(), entry.floor);
        report(&table::time(entry), times.over(&entry.name, entry.floor));
        report(&table::against_ours(entry), times.ratio(this, ours));
        report(
            &table::against_static(entry),
            times.ratio(this, static_headers),
        );
    }
}

/// Reports how many allocations a request costs in each case. `count` does what it is given and
/// counts them.
pub fn report_allocations(count: impl Fn(&mut dyn FnMut()) -> u64) {
    let contest = contest::contest();
    let _context = poll::runtime().enter();
    for mut work in contest.work {
        let mut counted = 0;
        for _warm in 0..3 {
            work.measure(&mut |work| counted = count(work));
        }
        report(work.name(), counted as f64 / BATCH as f64);
    }
}
