use std::{fs, io, path::Path, time::Duration};

use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use super::failure::{NAME, failed, is_busy};
use crate::store::StoreError;

/// "nAUT": by this SQLite's header says whose database it is.
const APPLICATION: i64 = 0x6e41_5554;
const SCHEMA: i64 = 1;

/// Less than the provider waits for one operation.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between two tries of what SQLite itself does not wait for.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes wait for each other, so more connections would only wait as well.
const CONNECTIONS: u32 = 4;

/// The database at that path, made if there is none.
pub(super) async fn open(path: &Path) -> Result<SqlitePool, StoreError> {
    refuse_url(path)?;
    create(path).map_err(|error| {
        StoreError::misconfigured(
            NAME,
            format!(
                "the database {} cannot be made: its directory must exist, and this process must have \
                 the right to write there",
                path.display()
            ),
        )
        .with_source(error)
    })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        // What NORMAL leaves in the log may be gone after a power failure, and a rotation with it.
        .synchronous(SqliteSynchronous::Full)
        // Tokens that were replaced or sealed are overwritten, not only given up.
        .pragma("secure_delete", "ON")
        .busy_timeout(PATIENCE);
    // By a connection of its own, which ends with its transaction if this future is dropped, and which
    // changes nothing in another application's database.
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .map_err(failed)?;
    prepare(&mut connection).await?;
    write_ahead(&mut connection).await?;
    connection.close().await.map_err(failed)?;
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        // One stays open, or SQLite would delete the log with the last.
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await
        .map_err(failed)
}

/// SQLite reads `file:` as a URL, by which the database may be in memory. The URL of another database would
/// become a file's name, and be shown in errors with its password.
fn refuse_url(path: &Path) -> Result<(), StoreError> {
    let text = path.to_string_lossy();
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let message = match scheme {
        Some("") if text == ":memory:" => {
            "`:memory:` keeps nothing: use `MemoryStore`, or give the path of a file"
        }
        // One letter is a drive.
        Some(scheme) if scheme.len() > 1 && scheme.bytes().all(is_of_scheme) => {
            "a path is expected and this begins like a URL: give the path of the file alone, with `./` in \
             front if the file's own name has a colon"
        }
        _ => return Ok(()),
    };
    Err(StoreError::misconfigured(NAME, message))
}

/// RFC 3986 section 3.1.
fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// SQLite makes the files beside a database as readable as the database is.
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
                    "the credentials' database can be read by other users of this machine: chmod 600"
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

/// Makes the schema in an empty database, and refuses one that is not this crate's.
async fn prepare(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // Of several processes that find it empty, one makes it.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    if read_version(&mut transaction).await? == Version::Empty {
        sqlx::raw_sql(include_str!("schema.sql"))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        // A pragma takes no parameters.
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

/// Keeps the database's log ahead of it from now on, so that readers do not wait for writers.
///
/// Where several open a new database at once, SQLite refuses the change at once instead of waiting.
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

/// Whose database it is, and of which version.
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
