use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use super::{
    failure::{NAME, failed},
    identity::OpenFiles,
    open::{Version, open, read_version},
};
use crate::{
    store::{
        CredentialStore, Filter, ListQuery, Listed, Loaded, Nonce, RecordBytes, RecordKey,
        RecordState, Revision, StoreError, StoredRecord, TOMBSTONE_AGE,
        record::{duration_to_micros, from_micros, to_micros},
    },
    subject::Subject,
};

/// Credential store in a file, for the processes of one machine.
///
/// ```no_run
/// use notion_auth::{Keyring, NotionAuthProvider, SqliteStore};
///
/// # #[cfg(feature = "encryption")]
/// # async fn example() -> Result<(), notion_auth::BoxError> {
/// let provider = NotionAuthProvider::builder_from_env()?
///     .store(SqliteStore::open("notion.db").await?)
///     .keys(Keyring::from_env()?) // feature `encryption`; or `plaintext_at_rest()`
///     .start() // checks the file, and purges expired records every hour
///     .await?;
/// # Ok(()) }
/// ```
///
/// Several processes may open the same file. It must be on a local disk, because locks and the log's shared
/// memory do not work over a network. Stop all processes before you move or replace the file. Operations
/// fail in a process that still has it open.
///
/// SQLite keeps two more files next to the database while it is open (`-wal`, `-shm`), so a copy of the
/// database file alone is not a backup. `sqlite3 notion.db ".backup copy.db"` creates one.
///
/// A process that is suspended during a write blocks all writes until it continues. Cached tokens can still
/// be used.
///
/// The store's clock is the machine's. Clones are handles of the same connections.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    files: Arc<OpenFiles>,
}

impl SqliteStore {
    /// Opens the database at this path. Creates it if there is none, readable only by this user.
    ///
    /// # Errors
    /// - The path is a URL or `:memory:`.
    /// - The database cannot be opened, created or written, or is locked for more than 4 seconds.
    /// - The database belongs to another application or to a newer version of this crate.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let pool = open(&path).await?;
        // SQLite resolves the path now. The process may change its working directory later, and the path
        // may be a link.
        let path = std::fs::canonicalize(&path).unwrap_or(path);
        let files = Arc::new(OpenFiles::of(&path));
        Ok(Self { pool, files })
    }

    /// Closes the database for all handles, after running operations have completed. Later operations fail.
    ///
    /// Call it on a clone of the store after [`shutdown`](crate::NotionAuthProvider::shutdown), because a refresh in
    /// progress must still save its tokens. If no other process has the database open, the log is merged, and only one
    /// file is left. Without this call nothing is lost: the next start merges the log.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Converts an error of SQLite. An error about a file that was deleted says so.
    fn failed(&self, error: sqlx::Error) -> StoreError {
        match self.files.check() {
            Ok(()) => failed(error),
            Err(gone) => gone.with_source(error),
        }
    }
}

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let row = sqlx::query(
            "SELECT revision, state, bot_id, updated_at, bytes FROM credentials \
             WHERE namespace = ?1 AND subject = ?2",
        )
        .bind(key.namespace())
        .bind(key.subject().as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(error))?;
        let record = row
            .as_ref()
            .map(stored)
            .transpose()
            .map_err(|error| self.failed(error))?;
        Ok(Loaded {
            record,
            now: SystemTime::now(),
        })
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError> {
        let statement = match seen {
            Some(_) => {
                "UPDATE credentials \
                 SET revision = ?4, state = ?5, bot_id = ?6, updated_at = ?7, bytes = ?8 \
                 WHERE namespace = ?1 AND subject = ?2 AND revision = ?3"
            }
            None => {
                "INSERT INTO credentials \
                 (namespace, subject, revision, state, bot_id, updated_at, bytes) \
                 SELECT ?1, ?2, ?4, ?5, ?6, ?7, ?8 WHERE ?3 IS NULL ON CONFLICT DO NOTHING"
            }
        };
        let done = sqlx::query(statement)
            .bind(key.namespace())
            .bind(key.subject().as_str())
            .bind(seen.map(Revision::to_i64))
            .bind(new.revision.to_i64())
            .bind(new.state.code())
            .bind(new.bot_id.as_deref())
            .bind(to_micros(new.updated_at))
            .bind(new.bytes.as_slice())
            .execute(&self.pool)
            .await
            .map_err(|error| self.failed(error))?;
        self.files.check()?;
        Ok(done.rows_affected() == 1)
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        let now = to_micros(SystemTime::now());
        let done = sqlx::query(
            "INSERT INTO nonces (namespace, digest, ends_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET ends_at = excluded.ends_at WHERE nonces.ends_at <= ?4",
        )
        .bind(nonce.namespace())
        .bind(&nonce.digest()[..])
        .bind(now.saturating_add(duration_to_micros(lifetime)))
        .bind(now)
        .execute(&self.pool)
        .await
        .map_err(|error| self.failed(error))?;
        self.files.check()?;
        Ok(done.rows_affected() == 1)
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        // The filter is part of the SQL text, and the value it compares with is a parameter. Prefixes are compared as bytes,
        // because the length of a text ends at a NUL character.
        let (state, bot) = match &query.filter {
            Filter::Bot(bot) => ("bot", Some(bot.as_str())),
            Filter::All => ("all", None),
            Filter::Active => ("active", None),
            Filter::NeedsReauthorization => ("needs reauthorization", None),
            Filter::Disconnected => ("disconnected", None),
        };
        let rows = sqlx::query(
            "SELECT subject, revision, state, bot_id, updated_at, bytes FROM credentials \
             WHERE namespace = ?1 AND (?2 IS NULL OR subject > ?2) \
             AND subject >= ?3 AND (?3 = '' OR \
                 substr(CAST(subject AS BLOB), 1, length(CAST(?3 AS BLOB))) = CAST(?3 AS BLOB)) \
             AND CASE ?4 WHEN 'all' THEN TRUE WHEN 'bot' THEN bot_id = ?5 \
                 WHEN 'needs reauthorization' \
                 THEN state IN ('revoked', 'rotation_lost', 'no_refresh_token', 'expired') \
                 ELSE state = ?4 END \
             ORDER BY subject LIMIT ?6",
        )
        .bind(namespace)
        .bind(query.after.as_ref().map(Subject::as_str))
        .bind(&query.prefix)
        .bind(state)
        .bind(bot)
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(error))?;
        let listed = rows.iter().map(|row| {
            Ok(Listed {
                subject: Subject::new(row.try_get::<String, _>("subject")?),
                record: stored(row)?,
            })
        });
        listed
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|error| self.failed(error))
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let now = to_micros(SystemTime::now());
        let tombstones = sqlx::query(
            "DELETE FROM credentials WHERE state = 'disconnected' AND updated_at <= ?1",
        )
        .bind(now.saturating_sub(duration_to_micros(TOMBSTONE_AGE)))
        .execute(&self.pool)
        .await
        .map_err(|error| self.failed(error))?;
        let nonces = sqlx::query("DELETE FROM nonces WHERE ends_at <= ?1")
            .bind(now)
            .execute(&self.pool)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(tombstones.rows_affected() + nonces.rows_affected())
    }

    async fn health(&self) -> Result<(), StoreError> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(|error| self.failed(error))?;
        let version = read_version(&mut connection).await?;
        // Changes nothing, but is a write, which fails if the database is read-only.
        sqlx::query("DELETE FROM nonces WHERE FALSE")
            .execute(&mut *connection)
            .await
            .map_err(|error| self.failed(error))?;
        self.files.check()?;
        match version {
            Version::Current => Ok(()),
            Version::Empty => Err(StoreError::misconfigured(
                NAME,
                "the database was emptied while it was open: restart the process",
            )),
        }
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

fn stored(row: &SqliteRow) -> Result<StoredRecord, sqlx::Error> {
    Ok(StoredRecord {
        revision: Revision::from_i64(row.try_get("revision")?),
        state: RecordState::from_code(row.try_get("state")?),
        bot_id: row.try_get("bot_id")?,
        updated_at: from_micros(row.try_get("updated_at")?),
        bytes: RecordBytes::new(row.try_get("bytes")?),
    })
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.files.path())
            .finish_non_exhaustive()
    }
}
