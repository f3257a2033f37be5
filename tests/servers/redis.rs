//! Redis, or Valkey, which behaves the same here.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::Command,
};

use super::{
    authority::Issued,
    directory::{CERTIFICATE, Directory, KEY},
    installed, resp,
    server::{Program, Server},
};

/// A Redis server for one test, which acknowledges only durable writes.
pub(crate) type Redis = Server<Installation>;

/// Starts a server. Prints a message and returns `None` if Redis is not installed.
pub(crate) fn start() -> Option<Redis> {
    start_with(&[])
}

/// Starts a server with these settings.
pub(crate) fn start_with(settings: &[(&str, &str)]) -> Option<Redis> {
    let installation = Installation::find(settings, false)?;
    let directory = Directory::new(Installation::KILL);
    Some(Server::new(installation, directory))
}

/// Starts a server that also supports TLS, at another port.
pub(crate) fn start_with_tls(issued: &Issued) -> Option<Redis> {
    let mut installation = Installation::find(&[], false)?;
    installation.has_tls = true;
    let directory = Directory::new(Installation::KILL);
    directory.write_certificate(issued);
    Some(Server::new(installation, directory))
}

/// Starts a cluster of one node, which refuses commands with keys in different slots. It takes two seconds,
/// during which the node waits for other nodes.
pub(crate) fn start_cluster() -> Option<Redis> {
    let installation = Installation::find(&[], true)?;
    let directory = Directory::new(Installation::KILL);
    Some(Server::new(installation, directory))
}

/// Starts a Valkey server, if it is installed. It is never required, because not every system has a
/// package.
pub(crate) fn start_valkey() -> Option<Redis> {
    let Some(program) = installed::program(&["valkey-server"]) else {
        let _ = writeln!(io::stderr(), "skipped, no Valkey");
        return None;
    };
    let installation = Installation {
        program,
        settings: Vec::new(),
        cluster: false,
        has_tls: false,
    };
    let directory = Directory::new(Installation::KILL);
    Some(Server::new(installation, directory))
}

impl Redis {
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Returns the URL of the TLS port.
    pub(crate) fn tls_url(&self, host: &str) -> String {
        format!("rediss://{host}:{}/", self.port + 1)
    }

    /// Returns the server's address with another name of this machine.
    pub(crate) fn address(&self, host: &str) -> String {
        format!("{host}:{}", self.port)
    }

    /// Runs a command on a new connection. Returns its response, which must be one line or one string. An
    /// error response is an error.
    pub(crate) fn ask(&self, command: &[&str]) -> io::Result<String> {
        resp::ask(self.port, command)
    }
}

pub(crate) struct Installation {
    program: PathBuf,
    settings: Vec<(String, String)>,
    cluster: bool,
    has_tls: bool,
}

impl Installation {
    fn find(settings: &[(&str, &str)], cluster: bool) -> Option<Self> {
        let Some(program) = installed::program(&["redis-server", "valkey-server"]) else {
            return installed::skipped("Redis", "redis-server");
        };
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Some(Self {
            program,
            settings,
            cluster,
            has_tls: false,
        })
    }
}

impl Program for Installation {
    const STOP: &'static str = "TERM";
    const KILL: &'static str = "KILL";

    fn command(&self, directory: &Directory, port: u16) -> Command {
        let mut command = directory.command(&self.program);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always"])
            .arg("--dir")
            .arg(directory.path());
        if self.cluster {
            let among_nodes = (port + 1).to_string();
            command
                .args(["--cluster-enabled", "yes"])
                .args(["--cluster-port", &among_nodes]);
        }
        if self.has_tls {
            command
                .args(["--tls-port", &(port + 1).to_string()])
                .args(["--tls-cert-file", CERTIFICATE, "--tls-key-file", KEY])
                .args(["--tls-auth-clients", "no"]);
        }
        for (name, value) in &self.settings {
            command.args([&format!("--{name}"), value]);
        }
        command
    }

    fn answers(&self, _directory: &Directory, port: u16, process: u32) -> bool {
        let itself = format!("process_id:{process}\r\n");
        let says = |command: &[&str], what: &str| {
            resp::ask(port, command).is_ok_and(|answer| answer.contains(what))
        };
        // It answers `INFO` before it has loaded its data, but not yet `PONG`.
        if !says(&["INFO", "server"], &itself) || !says(&["PING"], "PONG") {
            return false;
        }
        if !self.cluster {
            return true;
        }
        let state = ["CLUSTER", "INFO"];
        if says(&state, "cluster_slots_assigned:0\r\n") {
            let _ = resp::ask(port, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        }
        says(&state, "cluster_state:ok\r\n")
    }
}
