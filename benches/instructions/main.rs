//! How many instructions a hit takes, exactly.
//!
//! `cargo bench --bench instructions`, and with `--profile bench-lto`. It fails when a benchmark is
//! more than 2 %, or for a hit 8 instructions, above `baseline.toml`; with `-- --accept` at the end it rewrites that file.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "../support/mod.rs"]
mod support;

mod baseline;
mod cases;
mod counted;
mod counts;
mod tools;

use std::{env, process::ExitCode};

use baseline::Baseline;
use counts::Counts;
use support::{
    goal::{Want, goal},
    processes::{profile, role},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |argument: &str| arguments.iter().any(|it| it == argument);
    if has("--gungraun-run") {
        // Started by gungraun's runner, under valgrind.
        notion_auth::testing::fix_subject_seed(1);
        counted::run();
        ExitCode::SUCCESS
    } else if role().as_deref() == Some(counts::ROLE) {
        counted::run();
        ExitCode::SUCCESS
    } else if has("--bench") {
        match count_and_judge(has("--accept")) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(message) => {
                eprintln!("error: {message}");
                ExitCode::FAILURE
            }
        }
    } else {
        println!("instructions are counted by `cargo bench` only");
        ExitCode::SUCCESS
    }
}

/// Whether all is as it should be.
fn count_and_judge(accept: bool) -> Result<bool, String> {
    tools::require()?;
    let counts = Counts::count()?;
    let mut baseline = Baseline::read()?;
    counts.print(&baseline);
    if accept {
        baseline.accept(&counts)?;
    }
    let is_within = baseline.judge(&counts);
    let is_met = goal(
        &format!("instructions over floor, {}", profile()),
        counts.over_floor("hit")?,
        Want::AtMost,
        Some(930.0),
        810.0,
    );
    // What an application that cares for speed is built with is what the gate is for.
    Ok(is_within && (is_met || profile() != "LTO"))
}
