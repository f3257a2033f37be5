//! A program that a test starts.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// It is killed when this is dropped, also when the test panics.
pub(crate) struct Process {
    child: Child,
    /// Disconnected when nobody is left to print.
    output: Receiver<String>,
}

impl Process {
    /// Starts it, and answers what comes after `announcement` in the first such line that it prints.
    pub(crate) fn start(command: &mut Command, announcement: &'static str) -> (Self, String) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let output = child.stdout.take().expect("it is piped");
        let errors = child.stderr.take().expect("it is piped");
        let (announce, announced) = mpsc::channel();
        let process = Self {
            child,
            output: announced,
        };

        // Both are read to their ends, so that the program never waits for room to print. What it
        // prints is shown with a test that fails.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                println!("{line}");
                if let Some((_, rest)) = line.split_once(announcement) {
                    let _ = announce.send(rest.to_owned());
                }
            }
        });
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
        match process.output.recv_timeout(PATIENCE) {
            Ok(rest) => (process, rest),
            Err(_) => panic!("{command:?} does not say {announcement:?}"),
        }
    }

    #[allow(dead_code, reason = "not every test binary does")]
    /// Waits until it has ended, with what it has started itself.
    pub(crate) fn wait_for_the_end(&self) {
        let _ = self.output.recv_timeout(PATIENCE);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
