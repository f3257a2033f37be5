//! The store that the guide's page on stores shows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use notion_auth::integrations::sqlx::{Error, SqlitePool, query, query_as, raw_sql};
use notion_auth::{Subject, store::*};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS records (
        namespace TEXT, subject TEXT, revision INTEGER, state TEXT, bot_id TEXT,
        updated_at INTEGER, bytes BLOB, PRIMARY KEY (namespace, subject)
    );
    CREATE TABLE IF NOT EXISTS nonces (
        namespace TEXT, digest BLOB, ends_at INTEGER, PRIMARY KEY (namespace, digest)
    );";

type Result<T> = std::result::Result<T, StoreError>;
type Row = (String, String, i64, String, Option<String>, i64, Vec<u8>);

#[derive(Debug)]
pub struct SqlStore(pub SqlitePool);

#[async_trait]
impl CredentialStore for SqlStore {
    async fn load(&self, key: &RecordKey) -> Result<Loaded> {
        let row = query_as("SELECT * FROM records WHERE namespace = ? AND subject = ?")
            .bind(key.namespace()).bind(key.subject().as_str())
            .fetch_optional(&self.0).await.map_err(failed)?;
        Ok(Loaded { record: row.map(|row| listed(row).record), now: SystemTime::now() })
    }

    async fn compare_and_swap(
        &self, key: &RecordKey, seen: Option<Revision>, new: &StoredRecord,
    ) -> Result<bool> {
        let sql = match seen {
            None => "INSERT OR IGNORE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            Some(_) => "UPDATE records SET revision = ?3, state = ?4, bot_id = ?5, \
                        updated_at = ?6, bytes = ?7 \
                        WHERE namespace = ?1 AND subject = ?2 AND revision = ?8",
        };
        let time = new.updated_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let swap = query(sql).bind(key.namespace()).bind(key.subject().as_str())
            .bind(new.revision.to_i64()).bind(new.state.code()).bind(new.bot_id.as_deref())
            .bind(time as i64).bind(new.bytes.as_slice()).bind(seen.map(Revision::to_i64));
        Ok(swap.execute(&self.0).await.map_err(failed)?.rows_affected() == 1)
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool> {
        let sql = "INSERT INTO nonces VALUES (?, ?, unixepoch() + ?) ON CONFLICT DO UPDATE \
                   SET ends_at = excluded.ends_at WHERE ends_at <= unixepoch()";
        let insert = query(sql).bind(nonce.namespace()).bind(&nonce.digest()[..])
            .bind(lifetime.as_secs() as i64);
        Ok(insert.execute(&self.0).await.map_err(failed)?.rows_affected() == 1)
    }

    async fn list(&self, namespace: &str, asked: &ListQuery) -> Result<Vec<Listed>> {
        let rows = query_as("SELECT * FROM records WHERE namespace = ? ORDER BY subject")
            .bind(namespace).fetch_all(&self.0).await.map_err(failed)?;
        let admitted = |it: &Listed| asked.admits(it.subject.as_str(), &it.record);
        Ok(rows.into_iter().map(listed).filter(admitted).take(asked.limit).collect())
    }

    async fn purge_expired(&self) -> Result<u64> {
        let sql = "DELETE FROM nonces WHERE ends_at <= unixepoch(); DELETE FROM records \
                   WHERE state = 'disconnected' AND updated_at <= unixepoch() - 86400";
        Ok(raw_sql(sql).execute(&self.0).await.map_err(failed)?.rows_affected())
    }

    async fn migrate(&self) -> Result<()> {
        raw_sql(SCHEMA).execute(&self.0).await.map_err(failed).map(drop)
    }
}

fn listed((_, subject, revision, state, bot_id, updated_at, bytes): Row) -> Listed {
    let record = StoredRecord {
        revision: Revision::from_i64(revision), state: RecordState::from_code(&state),
        bot_id, updated_at: UNIX_EPOCH + Duration::from_secs(updated_at as u64),
        bytes: RecordBytes::new(bytes),
    };
    Listed { subject: Subject::new(subject), record }
}

fn failed(error: Error) -> StoreError {
    StoreError::unavailable("sql", "the database does not answer").with_source(error)
}

#[cfg(test)]
mod tests {
    use notion_auth::integrations::sqlx::sqlite::SqlitePoolOptions;
    use notion_auth::testing::store_conformance;

    use super::*;

    #[tokio::test]
    async fn store_keeps_the_contract() {
        let file = std::env::temp_dir().join(format!("own-store-{}.db", std::process::id()));
        let url = format!("sqlite:{}?mode=rwc", file.display());
        let pool = SqlitePoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let store = SqlStore(pool);
        store.migrate().await.unwrap();
        store_conformance(store).await;
        std::fs::remove_file(file).unwrap();
    }
}
