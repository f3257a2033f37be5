//! A program that a test starts.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// It is killed when this is dropped, also when the test panics.
pub(crate) struct Process {
    child: Child,
    /// Disconnected when nobody is left to print.
    output: Receiver<String>,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
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
        let said = Arc::default();

        // Both are read to their ends, so that the program never waits for room to print. What it
        // prints is shown with a test that fails.
        let readers = vec![
            read(output, &said, move |line| {
                println!("{line}");
                if let Some((_, rest)) = line.split_once(announcement) {
                    let _ = announce.send(rest.to_owned());
                }
            }),
            read(errors, &said, |line| eprintln!("{line}")),
        ];
        let process = Self {
            child,
            output: announced,
            said,
            readers,
        };
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

    #[allow(dead_code, reason = "not every test binary does")]
    /// What it has printed, to its output and among its errors.
    pub(crate) fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    #[allow(dead_code, reason = "not every test binary does")]
    /// Asks it to end, as an operator does.
    pub(crate) fn terminate(&self) {
        self.send("TERM");
    }

    #[allow(dead_code, reason = "not every test binary does")]
    /// Asks it to read its configuration again.
    pub(crate) fn hang_up(&self) {
        self.send("HUP");
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn send(&self, signal: &str) {
        // By a program, because the standard library only sends `KILL`.
        let sent = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    #[allow(dead_code, reason = "not every test binary does")]
    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    #[allow(dead_code, reason = "not every test binary does")]
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_none()
    }

    #[allow(dead_code, reason = "not every test binary does")]
    /// Waits until it has ended and all that it printed is read.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                for reader in self.readers.drain(..) {
                    let _ = reader.join();
                }
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn read(
    printed: impl Read + Send + 'static,
    said: &Arc<Mutex<String>>,
    tell: impl Fn(&str) + Send + 'static,
) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(printed).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
            drop(said);
            tell(&line);
        }
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
