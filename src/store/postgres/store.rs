use std::fmt;

use sqlx::PgPool;

use super::{
    connections::Connections,
    failure::NAME,
    health::Accepted,
    schema,
    transaction::Transaction,
    url::{self, Checked},
};
use crate::store::{StoreError, StoreErrorKind, tls};

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
/// Or with the application's own pool. [`sqlx`](crate::sqlx) is re-exported: its major version is part of this
/// crate's API, and this feature needs its Rust version, 1.94.
///
/// ```no_run
/// # async fn example(pool: notion_auth::sqlx::PgPool) -> Result<(), notion_auth::BoxError> {
/// use notion_auth::PostgresStore;
///
/// let store = PostgresStore::new(pool);
/// println!("{}", PostgresStore::schema_sql()); // for migrations of your own
/// # Ok(()) }
/// ```
///
/// # Requirements
///
/// - The primary. A standby may lag behind, so every operation on it is an error.
/// - The tables `notion_auth_credentials` and `notion_auth_nonces`, in a schema of the role's `search_path`. For
///   a schema of their own: `ALTER ROLE app SET search_path = auth`.
/// - A role with USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on both tables.
/// - If there is a pooler, its session or transaction mode. Each operation is a transaction of its own, and leaves
///   nothing on its connection.
///
/// # Durability
///
/// An operation that returned `Ok` is on the primary's disk, by settings that [`health`] checks. **It is on a second
/// machine only if replication is synchronous** (`synchronous_standby_names`). Otherwise a failover may undo the
/// last refreshes, and their refresh tokens are spent. The same happens when a backup is restored.
///
/// # Recovery
///
/// A connection on which an operation failed is closed, so that the next one gets another. In a pool that
/// [`connect`](Self::connect) makes, each idle connection is checked before use, for at most a second: after a
/// failover or a restart, no operation fails on an old one. An operation waits for a connection for at most 3
/// seconds. Then one connection beside the pool finds out why none came.
///
/// Times are the server's, so the clocks of the processes may differ.
///
/// Plaintext, also with keys: namespace, subject, and all of the record except the credentials. A server that logs
/// statements with their parameters logs what is saved.
///
/// Clones are handles to the same pool.
///
/// [`health`]: crate::store::CredentialStore::health
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) connections: Connections,
    pub(super) accepted: Accepted,
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
    /// cannot be read, the server's certificate is not trusted, or it does not let the role in. No error shows a
    /// parameter's value. A server that does not answer within 4 seconds is no error here: it may be starting.
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
        let connections = Connections::with_options(options);
        match connections.acquire().await {
            // It may be starting: `start` waits for it, and `health` reports it.
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {}
            acquired => drop(acquired?),
        }
        Ok(Self::of(connections))
    }

    /// Uses the application's pool, whose options, such as TLS, are the application's.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self::of(Connections::of_pool(pool))
    }

    fn of(connections: Connections) -> Self {
        Self {
            connections,
            accepted: Accepted::default(),
        }
    }

    /// Lets [`health`](crate::store::CredentialStore::health) accept any value of this setting of the server:
    /// `fsync`, `full_page_writes`, `synchronous_commit` or `server_encoding`. To accept one of the first three is to
    /// accept that a crash loses connections.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn accept_setting(mut self, name: &str) -> Result<Self, StoreError> {
        self.accepted = self.accepted.and(name)?;
        Ok(self)
    }

    /// Creates the tables that are missing. Several processes may do so at once, and each that starts: if the tables
    /// are there, no privilege to create them is needed. Existing ones are never changed.
    ///
    /// Dropping the future leaves them created or not created.
    ///
    /// # Errors
    /// When the server can't be reached, the role may not create tables, or a table of that name is another
    /// application's or of a newer version of this crate.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.connections).await?;
        schema::make(&mut transaction).await?;
        transaction.commit().await
    }

    /// Returns the statements by which [`migrate`](Self::migrate) creates the tables, for migrations of your own. The
    /// tables' comments are part of it: the tables are recognized by them.
    #[must_use]
    pub fn schema_sql() -> &'static str {
        schema::SQL
    }

    /// Returns the pool, such as to close it.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.connections.pool
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
