//! A test that needs other environment variables than this process has, which are those of all its tests.

use std::{
    env,
    process::{Command, Stdio},
};

/// Names the test that a process is for.
const MARK: &str = "NOTION_AUTH_TEST_ALONE";

/// Whether this is the process for `test` (its full name) alone. If not, runs it in such a process, with
/// `variables` set, or removed where there is no value, and expects it to pass: there is nothing left to do
/// here.
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
