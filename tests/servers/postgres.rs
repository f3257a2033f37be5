//! PostgreSQL.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::{
    authority::Issued,
    directory::{CERTIFICATE, Directory, KEY, program_without_settings},
    installed,
    server::{Program, Server},
};

/// A PostgreSQL server for one test, without passwords.
pub(crate) type Postgres = Server<Installation>;

/// Starts a durable server, as by default. Prints a message and returns `None` if PostgreSQL is not
/// installed.
pub(crate) fn start() -> Option<Postgres> {
    start_with(&[])
}

/// Starts a server with these settings.
pub(crate) fn start_with(settings: &[(&str, &str)]) -> Option<Postgres> {
    Some(start_installed(Installation::find(settings)?, None))
}

/// Starts a server that also supports TLS.
pub(crate) fn start_with_tls(issued: &Issued) -> Option<Postgres> {
    // Relative to the data directory.
    let (certificate, key) = (format!("../{CERTIFICATE}"), format!("../{KEY}"));
    let settings = [
        ("ssl", "on"),
        ("ssl_cert_file", &certificate),
        ("ssl_key_file", &key),
    ];
    Some(start_installed(
        Installation::find(&settings)?,
        Some(issued),
    ))
}

/// Returns the server that tests share, each with a [`fresh_database`]. It cannot be stopped.
pub(crate) fn shared() -> Option<&'static Postgres> {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    let installation = Installation::find(&[])?;
    Some(SHARED.get_or_init(|| start_installed(installation, None)))
}

/// Creates a database for a test. Returns its name.
pub(crate) fn fresh_database(postgres: &Postgres) -> String {
    let name = format!("test_{:016x}", fastrand::u64(..));
    postgres.psql(&postgres.url(), &format!("CREATE DATABASE {name}"));
    name
}

impl Postgres {
    /// Returns the superuser's URL of the database `postgres`.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres", "postgres")
    }

    /// Returns a URL with `sslmode`, so that the variable PGSSLMODE does not apply.
    pub(crate) fn url_of(&self, user: &str, database: &str) -> String {
        format!(
            "postgres://{user}@{}/{database}?sslmode=disable",
            self.address("127.0.0.1")
        )
    }

    /// Returns the server's address with another name of this machine.
    pub(crate) fn address(&self, host: &str) -> String {
        format!("{host}:{}", self.port)
    }

    /// Runs statements in `psql`. Returns a line for each row, with `|` between columns. The address may be
    /// another server's.
    pub(crate) fn psql(&self, url: &str, statements: &str) -> String {
        let options = ["-XAqt", "-v", "ON_ERROR_STOP=1", "-c", statements, url];
        let output = program_without_settings(&self.program.directory.join("psql"))
            .args(options)
            .output()
            .expect("a client starts");
        let answer = String::from_utf8(output.stdout).expect("text");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}: {errors}");
        answer.trim_end().to_owned()
    }
}

/// PostgreSQL's programs, and the server's settings.
pub(crate) struct Installation {
    pub(crate) directory: PathBuf,
    settings: Vec<(String, String)>,
}

impl Installation {
    fn find(settings: &[(&str, &str)]) -> Option<Self> {
        let Some(directory) = installed::postgresql() else {
            return installed::skipped("PostgreSQL", "postgresql");
        };
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Some(Self {
            directory,
            settings,
        })
    }
}

impl Program for Installation {
    /// "Fast" shutdown: rolls back open transactions and does not wait for clients.
    const STOP: &'static str = "INT";
    /// "Immediate" shutdown, after which the server recovers from its log. `KILL` would only reach its
    /// first process and leave shared memory behind.
    const KILL: &'static str = "QUIT";

    fn command(&self, directory: &Directory, port: u16) -> Command {
        let mut command = directory.command(&self.directory.join("postgres"));
        command
            .args(["-D", "data", "-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=200"])
            .arg("-c")
            .arg(format!(
                "unix_socket_directories={}",
                directory.path().display()
            ));
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        command
    }

    /// Asks at the socket in the server's directory, where no other server can be.
    fn answers(&self, directory: &Directory, port: u16, _process: u32) -> bool {
        is_ready(&self.directory, directory.path(), port, "postgres")
    }
}

/// Returns whether a PostgreSQL server responds. The host may be the directory of a socket.
pub(super) fn is_ready(
    programs: &Path,
    host: impl AsRef<OsStr>,
    port: u16,
    database: &str,
) -> bool {
    program_without_settings(&programs.join("pg_isready"))
        .arg("-h")
        .arg(host)
        .args(["-p", &port.to_string(), "-U", "postgres", "-d", database])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("a client starts")
        .success()
}

fn start_installed(installation: Installation, issued: Option<&Issued>) -> Postgres {
    let directory = Directory::without_root(Installation::KILL);
    if let Some(issued) = issued {
        directory.write_certificate(issued);
    }
    // Only the creation of the data directory is not synced. The server's own writes are.
    let made = directory
        .command(&installation.directory.join("initdb"))
        .args(["-D", "data", "-U", "postgres", "-A", "trust"])
        .args(["--no-locale", "-E", "UTF8", "--no-sync"])
        .status()
        .expect("initdb starts");
    assert!(made.success(), "initdb fails: {}", directory.said());
    Server::new(installation, directory)
}
