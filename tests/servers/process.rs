//! A server's process.

use std::{
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody says when a server answers or has ended, so it is asked again and again.
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

    /// Whether it answers: not so if it has ended.
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

    /// Sends it the signal, and answers whether it has ended of that.
    pub(super) fn ends_of(&mut self, signal: &str) -> bool {
        // By the shell, which has it built in: the standard library knows only `KILL`.
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
