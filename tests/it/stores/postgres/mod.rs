//! The PostgreSQL store.

mod conformance;
mod errors;
mod health;
mod link;
mod lists;
mod recovery;
#[cfg(feature = "encryption")]
mod recovery_time;
mod schema;
mod transactions;

use std::time::{Duration, SystemTime};

use notion_auth::{
    PostgresStore, Subject,
    integrations::sqlx::{PgPool, postgres::PgPoolOptions},
    store::{
        CredentialStore, RecordBytes, RecordKey, RecordState, Revision, StoreError, StoreErrorKind,
        StoredRecord,
    },
};

use crate::servers::postgres::{self, Postgres};

/// A database for one test.
struct Database {
    server: &'static Postgres,
    name: String,
}

/// Prints a message and returns `None` if PostgreSQL is not installed.
fn database() -> Option<Database> {
    let server = postgres::shared()?;
    let name = postgres::fresh_database(server);
    Some(Database { server, name })
}

impl Database {
    fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, role: &str) -> String {
        self.server.url_of(role, &self.name)
    }

    async fn connect(&self) -> PostgresStore {
        PostgresStore::connect(&self.url()).await.unwrap()
    }

    /// Returns a store with its tables.
    async fn store(&self) -> PostgresStore {
        let store = self.connect().await;
        until_idle(store.pool()).await;
        store.migrate().await.unwrap();
        until_idle(store.pool()).await;
        store
    }

    /// Returns a store with its tables on an application's pool with a single connection.
    async fn store_on_a_pool(&self) -> PostgresStore {
        let store = PostgresStore::new(single(&self.url()));
        store.migrate().await.unwrap();
        store
    }

    /// Runs an operator's statements as superuser.
    fn sql(&self, statements: &str) -> String {
        self.server.psql(&self.url(), statements)
    }

    /// Returns a role name with a random suffix, because roles are shared by the whole server.
    fn role(&self, name: &str) -> String {
        let role = format!("{name}_{:016x}", fastrand::u64(..));
        self.sql(&format!("CREATE ROLE {role} LOGIN"));
        role
    }
}

/// Returns an application's pool with one connection and a short timeout.
fn single(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy(url)
        .unwrap()
}

/// Waits until the connection is idle. sqlx returns it to the pool in the background, after a check.
async fn until_idle(pool: &PgPool) {
    while pool.num_idle() == 0 {
        tokio::task::yield_now().await;
    }
}

fn key(subject: &str) -> RecordKey {
    RecordKey::new("test", Subject::new(subject))
}

fn record(bytes: &str) -> StoredRecord {
    StoredRecord {
        revision: Revision::from_i64(fastrand::i64(..)),
        state: RecordState::Active,
        bot_id: None,
        updated_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        bytes: RecordBytes::new(bytes.into()),
    }
}

async fn insert(store: &PostgresStore, subject: &str) -> StoredRecord {
    let new = record("canary");
    let swapped = store.compare_and_swap(&key(subject), None, &new).await;
    assert!(swapped.unwrap());
    until_idle(store.pool()).await;
    new
}

async fn replace(
    store: &PostgresStore,
    seen: &StoredRecord,
    new: &StoredRecord,
) -> Result<bool, StoreError> {
    store
        .compare_and_swap(&key("ann"), Some(seen.revision), new)
        .await
}

async fn load(store: &PostgresStore) -> Option<StoredRecord> {
    store.load(&key("ann")).await.unwrap().record
}

/// Asserts the error's kind and words, and that neither it nor its sources show a value.
#[track_caller]
fn assert_says(error: &StoreError, kind: StoreErrorKind, words: &str) {
    let text = error.to_string();
    assert!(text.starts_with("postgres store: "), "{text}");
    assert!(text.contains(words), "{text}: {error:?}");
    assert_eq!(error.kind(), kind, "{text}");
    let mut all = format!("{error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        all.push_str(&format!("\n{error}\n{error:?}"));
        cause = error.source();
    }
    assert!(!all.contains("canary"), "{all}");
    assert!(!all.contains("63616e617279"), "{all}");
}
