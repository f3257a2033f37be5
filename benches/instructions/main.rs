//! Exact instruction count of a cache hit.
//!
//! `cargo bench -p notion-auth-benches --bench instructions`, and with `--profile bench-lto`. It fails if a benchmark exceeds
//! `baseline.toml` by more than 2 %, or by 8 instructions for a hit. With `-- --accept` at the end, it
//! rewrites that file.

// A benchmark panics if it cannot continue.
#![allow(clippy::cast_possible_truncation, clippy::expect_used, clippy::panic)]

#[path = "../harness/mod.rs"]
mod harness;

mod counted;
mod gate;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    // Kept until the end, because earlier frees change the allocator's instruction count.
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |argument: &str| arguments.iter().any(|it| it == argument);
    if has("--gungraun-run") {
        // This process was started by gungraun's runner, under valgrind.
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
