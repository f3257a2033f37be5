use std::{fmt, sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgPoolOptions};

use super::{
    failure::failed,
    health::Accepted,
    names::Names,
    schema,
    statements::Statements,
    transaction::Transaction,
    url::{self, Checked},
};
use crate::store::{StoreError, tls};

pub(super) const NAME: &str = "postgres";

/// Less than the provider waits for one operation.
const PATIENCE: Duration = Duration::from_secs(4);

const CONNECTIONS: u32 = 10;

/// Credentials in PostgreSQL, for processes on any number of hosts.
///
/// ```no_run
/// use notion_auth::{Keyring, NotionAppCredentials, NotionAuthProvider, PostgresStore};
///
/// # #[cfg(feature = "encryption")]
/// # async fn example() -> Result<(), notion_auth::BoxError> {
/// let store = PostgresStore::connect("postgres://app@db.internal/app").await?;
/// store.migrate().await?;
/// let provider = NotionAuthProvider::builder()
///     .app(NotionAppCredentials::from_env()?)
///     .store(store)
///     .keys(Keyring::from_env()?) // feature `encryption`; or `plaintext_at_rest()`
///     .build()?;
/// # Ok(()) }
/// ```
///
/// Or with the application's own pool, and tables where it wants them. [`sqlx`](crate::sqlx) is re-exported:
/// its major version is part of this crate's API, and its Rust version, 1.94, is needed for this feature.
///
/// ```no_run
/// # async fn example(pool: notion_auth::sqlx::PgPool) -> Result<(), notion_auth::BoxError> {
/// use notion_auth::PostgresStore;
///
/// let store = PostgresStore::new(pool).schema("auth")?.table("notion")?;
/// println!("{}", store.schema_sql()); // for a team that migrates itself
/// # Ok(()) }
/// ```
///
/// Give such a pool an `acquire_timeout` below 5 seconds: the provider waits no longer for an operation, and
/// its error would not say what the pool waited for.
///
/// # What it needs
///
/// - The primary. A standby may lag behind, so what it answers is an error.
/// - A role with USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on both tables (the
///   second has the suffix `_marks`), and no other right.
/// - If there is a pooler, its session or transaction mode. Each operation is a transaction of its own,
///   and leaves nothing on its connection.
///
/// # What it promises
///
/// An operation that was answered is on the primary's disk, by settings that [`health`] looks at. **It is on a
/// second machine only if replication is synchronous** (`synchronous_standby_names`): otherwise a
/// failover may undo the last rotations, and the refresh tokens that they spent are lost with their successors.
/// After a backup was restored it is the same. What a process has seen it never takes back: it then reports an
/// older generation.
///
/// Times and leases run by the server's clock; those of the processes may differ.
///
/// In clear are, also with keys: namespace, subject, state, workspace name, bot id, times, claims. A server
/// that logs statements with their parameters logs what is saved.
///
/// Clones are handles to the same pool.
///
/// [`health`]: crate::store::CredentialStore::health
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) pool: PgPool,
    pub(super) tables: Arc<Tables>,
    pub(super) accepted: Accepted,
}

/// Where the records are, and what is said to the server about them.
pub(super) struct Tables {
    pub(super) names: Names,
    pub(super) statements: Statements,
}

impl Tables {
    fn of(names: Names) -> Arc<Self> {
        Arc::new(Self {
            statements: Statements::of(&names),
            names,
        })
    }
}

impl PostgresStore {
    /// Connects to the server at `postgres://user:password@host:port/database`, with up to 10 connections.
    /// Makes no tables: see [`migrate`](Self::migrate).
    ///
    /// # TLS
    ///
    /// A connection to another machine uses TLS with a checked certificate, unless the URL's `sslmode`, or
    /// else the variable `PGSSLMODE`, has another of libpq's values:
    ///
    /// | `sslmode` | the connection |
    /// |---|---|
    /// | not set, `verify-full` | TLS; the certificate must name the URL's host |
    /// | `verify-ca` | TLS; the certificate may be any host's. Needs `sslrootcert` |
    /// | `require` | TLS; the certificate is not checked without `sslrootcert`, and as by `verify-ca` with it |
    /// | `disable` | plain text, for a network that you trust |
    /// | `allow`, `prefer` | refused, because the connection may be plain text |
    ///
    /// To a server on this machine (`localhost`, a loopback address or a Unix socket) all are accepted, and
    /// `prefer` is the default.
    ///
    /// The authorities that count are the system's, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    /// `sslrootcert` is a file with more of them. sqlx adds it to the others, so prefer `verify-full` to
    /// `verify-ca`.
    ///
    /// # Parameters
    ///
    /// The other parameters are `sslcert` and `sslkey` (a client's certificate), `host`, `hostaddr`, `port`, `user`, `password`,
    /// `dbname`, `application_name`, `options` and `statement-cache-capacity`. What the URL leaves out is read from
    /// libpq's environment variables, such as `PGPASSWORD`. `~/.pgpass` and `PGPASSFILE` are not read.
    ///
    /// For anything else, give [`new`](Self::new) a pool. Its options are not checked.
    ///
    /// # Errors
    /// When the URL is not valid, has an unknown parameter or one that is set twice, the root certificates
    /// cannot be read, the server does not answer within 4 seconds, its certificate is not trusted, or it does not
    /// let the role in. No error shows a parameter's value.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let Checked {
            mut options,
            needs_roots,
        } = url::check(url, url::environment)?;
        if needs_roots {
            options = options.ssl_root_cert_from_pem(tls::roots(NAME).await?);
        }
        // Poolers refuse what is asked for beside this.
        options = options.extra_float_digits(None);
        if options.get_application_name().is_none() {
            options = options.application_name(env!("CARGO_PKG_NAME"));
        }
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(failed)?;
        Ok(Self::new(pool))
    }

    /// Uses the application's pool, whose options, such as TLS, are the application's.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            tables: Tables::of(Names::default()),
            accepted: Accepted::default(),
        }
    }

    /// The schema of the tables. Default: whichever the connection's `search_path` finds first.
    ///
    /// # Errors
    /// When the name is not of letters from A to Z, digits and underscores, up to 50. It counts as
    /// written, also in upper case.
    pub fn schema(mut self, schema: &str) -> Result<Self, StoreError> {
        self.tables = Tables::of(self.tables.names.clone().in_schema(schema)?);
        Ok(self)
    }

    /// The name of the table of records; that of marks has `_marks` appended. Default:
    /// `notion_auth_credentials`.
    ///
    /// # Errors
    /// As of [`schema`](Self::schema).
    pub fn table(mut self, table: &str) -> Result<Self, StoreError> {
        self.tables = Tables::of(self.tables.names.clone().of_table(table)?);
        Ok(self)
    }

    /// Lets [`health`](crate::store::CredentialStore::health) pass whatever value this setting of the server has:
    /// `fsync`, `full_page_writes`, `synchronous_commit` or `server_encoding`. Who accepts one of the first three
    /// accepts that a crash loses connections.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn accept_setting(mut self, name: &str) -> Result<Self, StoreError> {
        self.accepted = self.accepted.and(name)?;
        Ok(self)
    }

    /// Makes the tables, if they are not there. They may be made by several processes at once, and by
    /// each that starts: if they are there, no right to make tables is needed. Existing ones are never changed.
    ///
    /// Dropping the future leaves them made or not made.
    ///
    /// # Errors
    /// When the server cannot be reached, the role may not make tables, the schema is not there, or a
    /// table of that name is another application's or of a newer version of this crate.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.pool).await?;
        let made = schema::make(&mut transaction, &self.tables.names).await;
        transaction.end(made).await
    }

    /// The statements by which [`migrate`](Self::migrate) makes the tables, for those who run them
    /// themselves. The tables' comments are part of it: by them the tables are known.
    ///
    /// Needs no connection: `PgPool::connect_lazy` makes a pool without one.
    #[must_use]
    pub fn schema_sql(&self) -> String {
        schema::sql(&self.tables.names)
    }

    /// The pool, such as to close it.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field(
                "table",
                &format_args!("{}", self.tables.names.credentials()),
            )
            .finish_non_exhaustive()
    }
}
