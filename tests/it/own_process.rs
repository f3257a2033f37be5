//! Runs a test in its own process, because all tests of a process share its environment variables.

use std::{
    env,
    process::{Command, Stdio},
};

/// Names the test of a child process.
const MARK: &str = "NOTION_AUTH_TEST_ALONE";

/// Returns whether this process runs `test` (its full name) alone.
///
/// If not, runs it in such a process and expects it to pass. `variables` are set there, or removed if they
/// have no value.
#[track_caller]
pub(crate) fn is_alone(test: &str, variables: &[(&str, Option<&str>)]) -> bool {
    if env::var_os(MARK).is_some_and(|it| it == test) {
        return true;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test]).env(MARK, test);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}");
    false
}
