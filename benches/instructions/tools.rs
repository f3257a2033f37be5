//! What counting needs beside cargo.

use std::process::Command;

/// The runner must be of the version that the crate `gungraun` has.
const RUNNER: &str = "0.20.0";

/// Says what is missing, and how to get it.
pub(crate) fn require() -> Result<(), String> {
    let mut missing = String::new();
    if version("valgrind").is_none() {
        missing +=
            "\n\nvalgrind is not installed, or not on the PATH:\n    apt-get install valgrind";
    }
    let runner = version("gungraun-runner");
    if runner.as_deref() != Some(RUNNER) {
        let found = match runner {
            Some(other) => format!("gungraun-runner is {other} and must be {RUNNER}"),
            None => "gungraun-runner is not installed, or not on the PATH".to_owned(),
        };
        missing += &format!(
            "\n\n{found}:\n    cargo install --locked --version ={RUNNER} gungraun-runner"
        );
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "instructions are counted by valgrind, which gungraun-runner starts.{missing}\n"
        ))
    }
}

/// The last word of what a program says about its version.
fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().last().map(str::to_owned)
}
