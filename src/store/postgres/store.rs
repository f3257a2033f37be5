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

/// Credential store in PostgreSQL, for processes on any number of hosts.
///
/// ```no_run
/// use notion_auth::{Keyring, NotionAuthProvider, PostgresStore};
///
/// # #[cfg(feature = "encryption")]
/// # async fn example() -> Result<(), notion_auth::BoxError> {
/// let provider = NotionAuthProvider::builder_from_env()?
///     .store(PostgresStore::connect("postgres://app@db.internal/app").await?)
///     .keys(Keyring::from_env()?) // feature `encryption`; or `plaintext_at_rest()`
///     .start() // creates the tables
///     .await?;
/// # Ok(()) }
/// ```
///
/// With the application's own pool, use [`new`](Self::new). [`sqlx`](crate::integrations::sqlx) is re-exported. Its major
/// version is part of this crate's API, and this feature requires Rust 1.94 as sqlx does.
///
/// ```no_run
/// # async fn example(pool: notion_auth::integrations::sqlx::PgPool) -> Result<(), notion_auth::BoxError> {
/// use notion_auth::PostgresStore;
///
/// let store = PostgresStore::new(pool);
/// println!("{}", PostgresStore::schema_sql()); // for migrations of your own
/// # Ok(()) }
/// ```
///
/// # Requirements
///
/// - The primary server. Every operation on a standby is an error, because a standby may lag behind.
/// - The tables `notion_auth_credentials` and `notion_auth_nonces`, in a schema of the role's
///   `search_path`. For a separate schema, use `ALTER ROLE app SET search_path = auth`.
/// - A role with USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on both tables.
/// - With a pooler, its session or transaction mode. Each operation is one transaction, and leaves no state
///   on its connection.
///
/// # Durability
///
/// When an operation returns `Ok`, its change is on the primary's disk, if the settings that [`health`]
/// checks are correct. **It is on a second machine only if replication is synchronous**
/// (`synchronous_standby_names`). With asynchronous replication, a failover may undo the last refreshes,
/// whose refresh tokens are then spent. Restoring a backup has the same effect.
///
/// # Recovery
///
/// A connection on which an operation failed is closed, and the next operation uses another one. In a pool
/// created by [`connect`](Self::connect), each idle connection is checked before use, for at most one
/// second. Therefore no operation fails because of an old connection after a failover or restart. An
/// operation waits for a connection for at most 3 seconds. After that, one connection attempt outside the
/// pool determines the cause.
///
/// All times are the server's, so the clocks of the processes may differ.
///
/// # Encryption
///
/// Credentials are encrypted if the provider has keys. Namespace, subject, and the rest of the record are
/// always plaintext. A server that logs statements with their parameters logs what is saved.
///
/// Clones are handles of the same pool.
///
/// [`health`]: crate::store::CredentialStore::health
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) connections: Connections,
    pub(super) accepted: Accepted,
}

impl PostgresStore {
    /// Connects to the server at `postgres://user:password@host:port/database`, with up to 10 connections.
    /// It does not create the tables, see [`migrate`](Self::migrate).
    ///
    /// # TLS
    ///
    /// A connection to another machine uses TLS with a verified certificate, unless `sslmode` in the URL,
    /// or else the variable `PGSSLMODE`, has another of libpq's values:
    ///
    /// | `sslmode` | the connection |
    /// |---|---|
    /// | not set, `verify-full` | TLS; the certificate must name the URL's host |
    /// | `verify-ca` | TLS; the certificate may be any host's. Needs `sslrootcert` |
    /// | `require` | TLS; the certificate is not checked without `sslrootcert`, and as by `verify-ca` with it |
    /// | `disable` | plain text, for a network that you trust |
    /// | `allow`, `prefer` | refused, because the connection may be plain text |
    ///
    /// To a server on this machine (`localhost`, a loopback address or a Unix socket), all values are
    /// accepted, and `prefer` is the default.
    ///
    /// Trusted authorities are the system's, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`. `sslrootcert`
    /// is a file with additional ones. Because sqlx adds it to the others, prefer `verify-full` to
    /// `verify-ca`.
    ///
    /// # Parameters
    ///
    /// The other parameters are `sslcert` and `sslkey` (a client certificate), `host`, `hostaddr`, `port`,
    /// `user`, `password`, `dbname`, `application_name`, `options` and `statement-cache-capacity`. Values
    /// that are missing in the URL are read from libpq's environment variables, such as `PGPASSWORD`.
    /// `~/.pgpass` and `PGPASSFILE` are not read.
    ///
    /// For other options, pass a pool to [`new`](Self::new). Its options are not checked.
    ///
    /// # Errors
    /// - The URL is not valid, or has an unknown or repeated parameter.
    /// - The root certificates cannot be read, or the server's certificate is not trusted.
    /// - The server refuses the role.
    ///
    /// No error shows a parameter's value. It is not an error if the server does not answer within 4 seconds,
    /// because it may be starting.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let Checked {
            mut options,
            needs_roots,
        } = url::check(url, url::environment)?;
        if needs_roots {
            options = options.ssl_root_cert_from_pem(tls::roots(NAME).await?);
        }
        // Poolers reject startup parameters that they do not know.
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

    /// Uses the application's pool. The application is responsible for its options, such as TLS.
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

    /// Makes [`health`](crate::store::CredentialStore::health) accept any value of this server setting:
    /// `fsync`, `full_page_writes`, `synchronous_commit` or `server_encoding`.
    ///
    /// Accepting another value of one of the first three means that a crash may lose connections.
    ///
    /// # Errors
    /// If the name is none of these.
    pub fn accept_setting(mut self, name: &str) -> Result<Self, StoreError> {
        self.accepted = self.accepted.and(name)?;
        Ok(self)
    }

    /// Creates the tables that are missing.
    ///
    /// Several processes may do this at the same time, and each process may do it at every start. If the
    /// tables exist, no privilege to create them is needed, and they are not changed.
    ///
    /// # Errors
    /// If the server cannot be reached, or the role may not create tables. Also if a table with that name
    /// belongs to another application or to a newer version of this crate.
    ///
    /// # Cancel safety
    /// If the future is dropped, the tables are either created or not.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut transaction = Transaction::begin(&self.connections).await?;
        schema::make(&mut transaction).await?;
        transaction.commit().await
    }

    /// Returns the statements by which [`migrate`](Self::migrate) creates the tables, for your own
    /// migrations. Keep the tables' comments, by which the tables are recognized.
    #[must_use]
    pub fn schema_sql() -> &'static str {
        schema::SQL
    }

    /// Returns the pool, for example to close it.
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
