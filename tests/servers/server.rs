//! What all servers have in common: a life.

use std::{process::Command, thread};

use super::{directory::Directory, port, process::Process};

/// How often another port is tried.
const ATTEMPTS: usize = 5;

/// A kind of server.
pub(crate) trait Program {
    /// The signal on which it leaves in order, and soon.
    const STOP: &'static str;
    /// The signal on which it leaves at once and puts nothing in order.
    const KILL: &'static str;

    fn command(&self, directory: &Directory, port: u16) -> Command;

    /// Whether this process, and not another that got the port, does what it is for.
    fn answers(&self, directory: &Directory, port: u16, process: u32) -> bool;
}

/// A server on a port of `127.0.0.1`. Gone, with all that it stored, when this is dropped. What it
/// printed is shown if a panic drops it.
pub(crate) struct Server<P: Program> {
    pub(crate) program: P,
    pub(crate) port: u16,
    pub(crate) directory: Directory,
    process: Option<Process>,
}

impl<P: Program> Server<P> {
    /// Starts one which has its files in the directory.
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

    /// As who maintains it stops it. Waits for what must come to its end.
    pub(crate) fn stop(&mut self) {
        self.end(P::STOP);
    }

    /// As if it crashed.
    pub(crate) fn kill(&mut self) {
        self.end(P::KILL);
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill): same port, same files.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "the server runs");
        assert!(self.starts(), "the server does not start again");
    }

    /// Whether it does, and answers. If it ends instead, the port was somebody else's, in all
    /// likelihood.
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
