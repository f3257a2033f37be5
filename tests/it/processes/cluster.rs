//! The replicas as processes, and the lines between them and the test.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    replica::{Command, MARK, Report},
    setup::{SUSPENSION, Setup, VARIABLE},
};

pub(super) const REPLICAS: usize = 8;

pub(super) struct Cluster {
    setup: String,
    replicas: Vec<Replica>,
    sender: mpsc::UnboundedSender<Line>,
    receiver: mpsc::UnboundedReceiver<Line>,
}

struct Replica {
    child: Child,
    /// How many were killed in its place.
    life: u32,
    /// When it continues.
    suspended_until: Option<Instant>,
}

struct Line {
    replica: usize,
    life: u32,
    report: Report,
}

/// A replica's report, and whether the process that sent it still lives.
pub(super) struct Received {
    pub(super) replica: usize,
    pub(super) report: Report,
    pub(super) is_alive: bool,
}

impl Cluster {
    pub(super) fn start(setup: &Setup) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let setup = serde_json::to_string(setup).unwrap();
        let replicas = (0..REPLICAS)
            .map(|replica| Replica {
                child: spawn(&setup, replica, 0, sender.clone()),
                life: 0,
                suspended_until: None,
            })
            .collect();
        Self {
            setup,
            replicas,
            sender,
            receiver,
        }
    }

    pub(super) fn send(&mut self, replica: usize, command: &Command) {
        let line = serde_json::to_string(command).unwrap();
        let stdin = self.replicas[replica].child.stdin.as_mut().unwrap();
        // The process may have been killed a moment ago.
        let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
    }

    /// SIGKILL, and a new process in its place.
    pub(super) fn kill(&mut self, replica: usize) {
        let killed = &mut self.replicas[replica];
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
        killed.life += 1;
        killed.suspended_until = None;
        killed.child = spawn(&self.setup, replica, killed.life, self.sender.clone());
    }

    pub(super) fn suspend(&mut self, replica: usize) {
        self.signal(replica, "STOP");
        self.replicas[replica].suspended_until = Some(Instant::now() + SUSPENSION);
    }

    pub(super) fn is_suspended(&self, replica: usize) -> bool {
        self.replicas[replica].suspended_until.is_some()
    }

    fn signal(&self, replica: usize, signal: &str) {
        let id = self.replicas[replica].child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", signal, &id])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Returns the next report; `None` if there is none until then.
    pub(super) async fn receive(&mut self, until: Instant) -> Option<Received> {
        loop {
            let resumption = self.resume();
            let next = resumption.map_or(until, |at| at.min(until));
            match timeout_at(next, self.receiver.recv()).await {
                Ok(line) => {
                    let line = line.unwrap();
                    return Some(Received {
                        replica: line.replica,
                        report: line.report,
                        is_alive: line.life == self.replicas[line.replica].life,
                    });
                }
                Err(_) if Instant::now() >= until => return None,
                Err(_) => {}
            }
        }
    }

    /// Continues the replicas that were suspended for long enough, and returns when the next one's time comes.
    fn resume(&mut self) -> Option<Instant> {
        let now = Instant::now();
        for replica in 0..REPLICAS {
            let until = self.replicas[replica].suspended_until;
            if until.is_some_and(|until| until <= now) {
                self.signal(replica, "CONT");
                self.replicas[replica].suspended_until = None;
                self.send(replica, &Command::Continue);
            }
        }
        self.replicas
            .iter()
            .filter_map(|it| it.suspended_until)
            .min()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for replica in &mut self.replicas {
            let _ = replica.child.kill();
            let _ = replica.child.wait();
        }
    }
}

fn spawn(setup: &str, replica: usize, life: u32, sender: mpsc::UnboundedSender<Line>) -> Child {
    let mut child = std::process::Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "processes::replica::replica",
            "--ignored",
            "--nocapture",
        ])
        .env(VARIABLE, setup)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let Some(report) = line.strip_prefix(MARK) else {
                continue;
            };
            // The last line of a killed process may be incomplete.
            let Ok(report) = serde_json::from_str(report) else {
                continue;
            };
            let line = Line {
                replica,
                life,
                report,
            };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    child
}

/// Longer than anything takes that works.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
