//! PgBouncer in front of PostgreSQL, in transaction mode.

use std::{fs, path::PathBuf, process::Command};

use super::{
    directory::Directory,
    installed,
    postgres::{self, Postgres},
    server::{Program, Server},
};

/// Maximum number of its connections to a database.
pub(crate) const CONNECTIONS: usize = 4;

/// A PgBouncer server for one test. [`stop`](Server::stop) waits for open transactions.
pub(crate) type PgBouncer = Server<Installation>;

/// Starts a server. Prints a message and returns `None` if PgBouncer is not installed.
pub(crate) fn start(postgres: &Postgres) -> Option<PgBouncer> {
    start_with(postgres, &[])
}

/// Starts a server with these settings.
pub(crate) fn start_with(postgres: &Postgres, settings: &[(&str, &str)]) -> Option<PgBouncer> {
    let Some(program) = installed::program(&["pgbouncer"]) else {
        return installed::skipped("PgBouncer", "pgbouncer");
    };
    let settings = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    let installation = Installation {
        program,
        clients: postgres.program.directory.clone(),
        behind: postgres.port,
        settings,
    };
    let directory = Directory::without_root(Installation::KILL);
    Some(Server::new(installation, directory))
}

impl PgBouncer {
    /// Returns a URL whose clients are PostgreSQL's superuser.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }
}

pub(crate) struct Installation {
    program: PathBuf,
    /// Directory of PostgreSQL's programs.
    clients: PathBuf,
    /// PostgreSQL's port.
    behind: u16,
    settings: String,
}

impl Program for Installation {
    const STOP: &'static str = "INT";
    const KILL: &'static str = "KILL";

    fn command(&self, directory: &Directory, port: u16) -> Command {
        let file = directory.path().join("pgbouncer.ini");
        let text = self.configuration(port);
        fs::write(&file, text).expect("a file of settings");
        let mut command = directory.command(&self.program);
        command.arg(file);
        command
    }

    /// Asks for its own database, which works without PostgreSQL. If another process had the port, it would
    /// have exited.
    fn answers(&self, _directory: &Directory, port: u16, _process: u32) -> bool {
        postgres::is_ready(&self.clients, "127.0.0.1", port, "pgbouncer")
    }
}

impl Installation {
    fn configuration(&self, port: u16) -> String {
        let Self {
            behind, settings, ..
        } = self;
        format!(
            "[databases]\n\
             * = host=127.0.0.1 port={behind} user=postgres\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {CONNECTIONS}\n\
             server_login_retry = 0.1\n\
             ignore_startup_parameters = extra_float_digits\n\
             {settings}"
        )
    }
}
