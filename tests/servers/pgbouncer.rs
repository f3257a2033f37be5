//! PgBouncer in front of a PostgreSQL, with a connection lent for a transaction at a time.

use std::{fs, path::PathBuf, process::Command};

use super::{
    directory::Directory,
    installed,
    postgres::{self, Postgres},
    server::{Program, Server},
};

/// How many connections it has to a database, at most.
pub(crate) const CONNECTIONS: usize = 4;

/// A PgBouncer of one's own. [`stop`](Server::stop) waits for open transactions.
pub(crate) type PgBouncer = Server<Installation>;

/// Starts one. `None`, and says so, if it is not installed.
pub(crate) fn start(postgres: &Postgres) -> Option<PgBouncer> {
    start_with(postgres, &[])
}

/// Starts one with these settings.
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
    /// Whoever comes is PostgreSQL's superuser behind it.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }
}

pub(crate) struct Installation {
    program: PathBuf,
    /// Where PostgreSQL's programs are.
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

    /// Asked for its own database, for which it does not need PostgreSQL. It is the only one on its
    /// port: without, it would end.
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
