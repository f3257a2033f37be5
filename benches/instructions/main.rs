//! How many instructions a hit takes, exactly.
//!
//! `cargo bench -p notion-auth-benches --bench instructions`, and with `--profile bench-lto`. It fails when a benchmark
//! is more than 2 %, or for a hit 8 instructions, above `baseline.toml`; with `-- --accept` at the end it rewrites that
//! file.

// A benchmark ends where it cannot go on, and says why.
#![allow(clippy::cast_possible_truncation, clippy::expect_used, clippy::panic)]

#[path = "../harness/mod.rs"]
mod harness;

mod counted;
mod gate;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    // Kept until the end: what was freed before changes how many instructions the allocator takes.
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |argument: &str| arguments.iter().any(|it| it == argument);
    if has("--gungraun-run") {
        // Started by gungraun's runner, under valgrind.
        notion_auth::testing::fix_subject_seed(1);
        counted::run();
    } else if harness::role().is_some() {
        counted::run();
    } else if has("--bench") {
        return gate::run(has("--accept"));
    } else {
        println!("instructions are counted by `cargo bench` only");
    }
    ExitCode::SUCCESS
}
