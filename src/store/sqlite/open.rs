use std::{fs, io, path::Path, time::Duration};

use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use super::failure::{NAME, failed, is_busy};
use crate::store::StoreError;

/// "nAUT": the application ID in SQLite's header, by which the database is recognized.
const APPLICATION: i64 = 0x6e41_5554;
const SCHEMA: i64 = 1;

/// Less than the provider waits for an operation.
const PATIENCE: Duration = Duration::from_secs(4);

/// Pause between two tries of operations for which SQLite does not wait.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes wait for each other, so more connections would only wait as well.
const CONNECTIONS: u32 = 4;

/// Opens the database at this path. Creates it if there is none.
pub(super) async fn open(path: &Path) -> Result<SqlitePool, StoreError> {
    check_path(path)?;
    create(path).map_err(|error| {
        StoreError::misconfigured(
            NAME,
            format!(
                "the database {} cannot be created: its directory must exist, and this process must have \
                 the right to write there",
                path.display()
            ),
        )
        .with_source(error)
    })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        // With NORMAL, a power failure may undo the last commits, including a rotation.
        .synchronous(SqliteSynchronous::Full)
        // Overwrites tokens that were replaced or encrypted, instead of only freeing their space.
        .pragma("secure_delete", "ON")
        .busy_timeout(PATIENCE);
    // A separate connection, which closes with its transaction if this future is dropped, and which changes
    // nothing in another application's database.
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .map_err(failed)?;
    prepare(&mut connection).await?;
    write_ahead(&mut connection).await?;
    connection.close().await.map_err(failed)?;
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        // One connection stays open, because SQLite deletes the log when the last one closes.
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await
        .map_err(failed)
}

/// Refuses paths that SQLite can't open, and URLs. SQLite parses `file:` as a URL, which may select an in-memory
/// database. The URL of another database would become a file name, and be shown in errors with its password.
fn check_path(path: &Path) -> Result<(), StoreError> {
    let text = path.to_str().ok_or_else(|| {
        StoreError::misconfigured(
            NAME,
            "the path is not UTF-8, which SQLite expects: use another",
        )
    })?;
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let message = match scheme {
        Some("") if text == ":memory:" => {
            "`:memory:` keeps nothing: use `MemoryStore`, or give the path of a file"
        }
        // A single letter is a Windows drive.
        Some(scheme) if scheme.len() > 1 && scheme.bytes().all(is_of_scheme) => {
            "a path is expected and this begins like a URL: give the path of the file alone, with `./` in \
             front if the file's own name has a colon"
        }
        _ => return Ok(()),
    };
    Err(StoreError::misconfigured(NAME, message))
}

/// A character of a URI scheme (RFC 3986 section 3.1).
fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// Creates the file. SQLite gives the files next to a database the same permissions.
#[cfg(unix)]
fn create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                tracing::warn!(
                    mode = format!("{:o}", mode & 0o777),
                    "the credentials' database is readable by other users of this machine: chmod 600"
                );
            }
            Ok(())
        }
        made => made.map(drop),
    }
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map(drop)
}

/// Creates the schema in an empty database, and refuses one that is not this crate's.
async fn prepare(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // If several processes find the database empty, one of them creates the schema.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    if read_version(&mut transaction).await? == Version::Empty {
        sqlx::raw_sql(include_str!("schema.sql"))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        // A pragma takes no bound parameters.
        let stamp = sqlx::AssertSqlSafe(format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}"
        ));
        sqlx::raw_sql(stamp)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Switches the database to write-ahead logging, so that readers do not wait for writers.
///
/// If several processes open a new database at the same time, SQLite refuses the switch immediately instead
/// of waiting.
async fn write_ahead(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&mut *connection)
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && Instant::now() < end => sleep(PAUSE).await,
            Err(error) => return Err(failed(error)),
        }
    }
}

#[derive(PartialEq, Eq)]
pub(super) enum Version {
    Empty,
    Current,
}

/// Reads the application and schema version of the database.
pub(super) async fn read_version(connection: &mut SqliteConnection) -> Result<Version, StoreError> {
    let (application, schema, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT application_id FROM pragma_application_id), \
                (SELECT user_version FROM pragma_user_version), \
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    match (application, schema, tables) {
        (APPLICATION, SCHEMA, _) => Ok(Version::Current),
        (0, 0, 0) => Ok(Version::Empty),
        (APPLICATION, newer, _) if newer > SCHEMA => Err(StoreError::misconfigured(
            NAME,
            format!(
                "the database has schema {newer}, of a newer version of this crate, which knows only \
                 {SCHEMA}: upgrade this process too"
            ),
        )),
        _ => Err(StoreError::misconfigured(
            NAME,
            "the database is another application's: give the path of a file of its own, which is made \
             if there is none",
        )),
    }
}
