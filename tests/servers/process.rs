//! A server's process.

use std::{
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Interval of polling, because there is no notification when a server is ready or has exited.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Process {
    child: Child,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Self {
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server is ready. Returns `false` if it has exited.
    pub(super) fn waits_until(&mut self, answers: impl Fn() -> bool) -> bool {
        let since = Instant::now();
        while !self.has_ended() {
            if answers() {
                return true;
            }
            assert!(since.elapsed() < PATIENCE, "the server does not answer");
            thread::sleep(PAUSE);
        }
        false
    }

    /// Sends the signal. Returns whether the process has exited.
    pub(super) fn ends_of(&mut self, signal: &str) -> bool {
        // Uses the shell's built-in command, because the standard library only supports `KILL`.
        let _ = Command::new("sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "sh"])
            .args([signal, &self.id().to_string()])
            .status();
        let since = Instant::now();
        while !self.has_ended() {
            if since.elapsed() > PATIENCE {
                return false;
            }
            thread::sleep(PAUSE);
        }
        true
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
