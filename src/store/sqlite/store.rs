use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sqlx::{AssertSqlSafe, FromRow, Row, SqlitePool, sqlite::SqliteRow};

use super::{
    failure::failed,
    open::{Version, open, read_version},
};
use crate::{
    store::{
        CredentialStore, Filter, OnceAnswer, OnceKey, Payload, Record, RecordKey, Revision,
        StoreError, Summary, TOMBSTONE_AGE,
        columns::{Columns, micros, revision_number, span, time},
    },
    subject::Subject,
};

pub(super) const NAME: &str = "sqlite";

/// Credentials in a file, for the processes of one machine.
///
/// ```no_run
/// use notion_auth::{Keyring, NotionAppCredentials, NotionAuthProvider, SqliteStore};
///
/// # #[cfg(feature = "encryption")]
/// # async fn example() -> Result<(), notion_auth::BoxError> {
/// let provider = NotionAuthProvider::builder()
///     .app(NotionAppCredentials::from_env()?)
///     .store(SqliteStore::open("notion.db").await?)
///     .keys(Keyring::from_env()?) // feature `encryption`; or `plaintext_at_rest()`
///     .build()?;
/// # Ok(()) }
/// ```
///
/// Several processes may have the same file open. It must be on a disk of this machine, not on one that is
/// shared over a network, where locks and the log's shared memory do not work. Do not move or replace it while a
/// process has it open: stop them, then restore a backup. Beside it are two more files
/// while it is in use (`-wal`, `-shm`): a copy of the first alone is no backup; `sqlite3 notion.db ".backup
/// copy.db"` makes one.
///
/// A process that is suspended (SIGSTOP, a frozen container) in the middle of a write holds up everybody's
/// writes until it goes on; tokens at hand are used meanwhile, and nothing is lost by it.
///
/// The clock is the machine's, so it should be set by small steps; a claim that a dead process left behind
/// lasts longer by whatever the clock is set back.
///
/// In clear are, also with keys: namespace, subject, state, workspace name, bot id, times, claims.
///
/// Clones are handles to the same connections.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the database at that path, and makes it, readable by this user alone, if there is none.
    ///
    /// # Errors
    /// When the path is a URL or `:memory:`, or the database cannot be opened or made, cannot be written, is another
    /// application's, is of a newer version of this crate, or is locked for more than 4 seconds.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let pool = open(&path).await?;
        Ok(Self { pool, path })
    }

    /// Closes the database, for all handles: waits for what is under way, and leaves one file behind,
    /// without those beside it, if no other process has it open. Operations fail from then on.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl CredentialStore for SqliteStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let row: Option<Columns> = sqlx::query_as(
            "SELECT generation, revision, state, payload, workspace_name, bot_id, committed_by, \
                    claim_attempt, claim_since, claim_lease, claim_replay, not_before, \
                    connected_at, updated_at, refreshed_at \
             FROM credentials WHERE namespace = ?1 AND subject = ?2",
        )
        .bind(key.namespace())
        .bind(key.subject().as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.map(|row| row.into_record(NAME, key, clock()))
            .transpose()
    }

    async fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        let statement = if seen.is_some() {
            "UPDATE credentials SET generation = ?4, revision = ?5, state = ?6, payload = ?7, \
                    workspace_name = ?8, bot_id = ?9, committed_by = ?10, claim_attempt = ?11, \
                    claim_since = ?12, claim_lease = ?13, claim_replay = ?14, not_before = ?15, \
                    connected_at = ?16, updated_at = ?17, refreshed_at = ?18 \
             WHERE namespace = ?1 AND subject = ?2 AND revision = ?3"
        } else {
            "INSERT INTO credentials (namespace, subject, generation, revision, state, payload, \
                    workspace_name, bot_id, committed_by, claim_attempt, claim_since, claim_lease, \
                    claim_replay, not_before, connected_at, updated_at, refreshed_at) \
             SELECT ?1, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18 \
             WHERE ?3 IS NULL \
             ON CONFLICT DO NOTHING"
        };
        let columns = Columns::of(new);
        let done = sqlx::query(statement)
            .bind(key.namespace())
            .bind(key.subject().as_str())
            .bind(seen.map(revision_number))
            .bind(columns.generation)
            .bind(columns.revision)
            .bind(&*columns.state)
            .bind(columns.payload.as_bytes())
            .bind(columns.workspace_name)
            .bind(columns.bot_id)
            .bind(columns.committed_by)
            .bind(columns.claim_attempt)
            .bind(columns.claim_since)
            .bind(columns.claim_lease)
            .bind(columns.claim_replay)
            .bind(columns.not_before)
            .bind(columns.connected_at)
            .bind(columns.updated_at)
            .bind(columns.refreshed_at)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        Ok(time(clock()))
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        let now = clock();
        let done = sqlx::query(
            "INSERT INTO marks (namespace, digest, ends_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET ends_at = excluded.ends_at WHERE marks.ends_at <= ?4",
        )
        .bind(key.namespace())
        .bind(&key.digest()[..])
        .bind(now.saturating_add(span(ttl)))
        .bind(now)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(match done.rows_affected() {
            0 => OnceAnswer::Seen,
            _ => OnceAnswer::First,
        })
    }

    async fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        let (condition, bot) = match &filter {
            Filter::All => ("?3 IS NULL", None),
            Filter::Active => ("?3 IS NULL AND state = 'active'", None),
            Filter::NeedsReauthorization => (
                "?3 IS NULL AND state NOT IN ('active', 'disconnected')",
                None,
            ),
            Filter::Disconnected => ("?3 IS NULL AND state = 'disconnected'", None),
            Filter::Bot(bot) => ("bot_id = ?3", Some(bot)),
        };
        let statement = AssertSqlSafe(format!(
            "SELECT subject, generation, revision, state, X'' AS payload, workspace_name, bot_id, \
                    committed_by, claim_attempt, claim_since, claim_lease, claim_replay, not_before, \
                    connected_at, updated_at, refreshed_at \
             FROM credentials \
             WHERE namespace = ?1 AND (?2 IS NULL OR subject > ?2) AND {condition} \
             ORDER BY subject LIMIT ?4",
        ));
        let rows = sqlx::query(statement)
            .bind(namespace)
            .bind(after)
            .bind(bot)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let summarise = |row: &SqliteRow| {
            let subject = Subject::new(row.try_get::<String, _>("subject")?);
            Ok(Columns::from_row(row)?.into_summary(subject))
        };
        let page: Result<Vec<_>, sqlx::Error> = rows.iter().map(summarise).collect();
        page.map_err(failed)
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let now = clock();
        let tombstones = sqlx::query(
            "DELETE FROM credentials WHERE state = 'disconnected' AND updated_at <= ?1",
        )
        .bind(now.saturating_sub(span(TOMBSTONE_AGE)))
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        let marks = sqlx::query("DELETE FROM marks WHERE ends_at <= ?1")
            .bind(now)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(tombstones.rows_affected() + marks.rows_affected())
    }

    async fn health(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let version = read_version(&mut connection).await?;
        // Changes nothing, but as a write: a database that can only be read is found out.
        sqlx::query("DELETE FROM marks WHERE FALSE")
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        match version {
            Version::Current => Ok(()),
            Version::Empty => Err(StoreError::misconfigured(
                NAME,
                "the database was emptied while it was open: start again",
            )),
        }
    }
}

impl FromRow<'_, SqliteRow> for Columns {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            generation: row.try_get("generation")?,
            revision: row.try_get("revision")?,
            state: row.try_get::<String, _>("state")?.into(),
            payload: Payload::from_bytes(row.try_get("payload")?),
            workspace_name: row.try_get("workspace_name")?,
            bot_id: row.try_get("bot_id")?,
            committed_by: row.try_get("committed_by")?,
            claim_attempt: row.try_get("claim_attempt")?,
            claim_since: row.try_get("claim_since")?,
            claim_lease: row.try_get("claim_lease")?,
            claim_replay: row.try_get("claim_replay")?,
            not_before: row.try_get("not_before")?,
            connected_at: row.try_get("connected_at")?,
            updated_at: row.try_get("updated_at")?,
            refreshed_at: row.try_get("refreshed_at")?,
        })
    }
}

/// The machine's clock, which all processes that can open the file share.
fn clock() -> i64 {
    micros(SystemTime::now())
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
