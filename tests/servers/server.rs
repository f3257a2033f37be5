//! The life cycle that all servers share.

use std::{process::Command, thread};

use super::{directory::Directory, port, process::Process};

/// Number of ports that are tried.
const ATTEMPTS: usize = 5;

/// Kind of server.
pub(crate) trait Program {
    /// Signal for an orderly and fast shutdown.
    const STOP: &'static str;
    /// Signal for an immediate exit without cleanup.
    const KILL: &'static str;

    fn command(&self, directory: &Directory, port: u16) -> Command;

    /// Returns whether this process, and not another one with the same port, is ready.
    fn answers(&self, directory: &Directory, port: u16, process: u32) -> bool;
}

/// A server on a port of `127.0.0.1`. It is removed with its data on drop. If a panic drops it, its output
/// is printed.
pub(crate) struct Server<P: Program> {
    pub(crate) program: P,
    pub(crate) port: u16,
    pub(crate) directory: Directory,
    process: Option<Process>,
}

impl<P: Program> Server<P> {
    /// Starts a server with its files in the directory.
    pub(super) fn new(program: P, directory: Directory) -> Self {
        let mut server = Self {
            program,
            port: 0,
            directory,
            process: None,
        };
        for _ in 0..ATTEMPTS {
            server.port = port::free();
            if server.starts() {
                return server;
            }
        }
        panic!("the server does not start");
    }

    /// Stops the server in an orderly way. Waits until it has exited.
    pub(crate) fn stop(&mut self) {
        self.end(P::STOP);
    }

    /// Kills the server, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.end(P::KILL);
    }

    /// Starts the server again after [`stop`](Self::stop) or [`kill`](Self::kill), with the same port and
    /// files.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "the server runs");
        assert!(self.starts(), "the server does not start again");
    }

    /// Starts the server and waits until it is ready. If it exits instead, another process probably has the
    /// port.
    fn starts(&mut self) -> bool {
        let mut command = self.program.command(&self.directory, self.port);
        let process = self.process.insert(Process::start(&mut command));
        let id = process.id();
        self.directory.runs(Some(id));
        let answers = || self.program.answers(&self.directory, self.port, id);
        let started = process.waits_until(answers);
        if !started {
            self.process = None;
            self.directory.runs(None);
        }
        started
    }

    fn end(&mut self, signal: &str) {
        let process = self.process.as_mut().expect("the server runs");
        assert!(process.ends_of(signal), "the server does not end");
        self.process = None;
        self.directory.runs(None);
    }
}

impl<P: Program> Drop for Server<P> {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.ends_of(P::KILL);
            drop(process);
            self.directory.runs(None);
        }
        if thread::panicking() {
            eprintln!("{}", self.directory.said());
        }
    }
}
