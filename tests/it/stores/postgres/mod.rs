//! Credentials in PostgreSQL.

mod conformance;
mod health;
mod outages;
mod records;
mod schema;

use notion_auth::{
    PostgresStore, Subject,
    store::{
        AttemptId, Change, CredentialStore, Expected, Labels, NewRecord, Payload, RecordKey, Saved,
        StoreError, StoreErrorKind,
    },
};

use crate::servers::postgres::{self, Postgres};

/// A database for one test.
struct Place {
    postgres: &'static Postgres,
    database: String,
}

/// `None`, and says so, if PostgreSQL is not installed.
fn place() -> Option<Place> {
    let postgres = postgres::shared()?;
    let database = postgres::fresh_database(postgres);
    Some(Place { postgres, database })
}

impl Place {
    fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, role: &str) -> String {
        self.postgres.url_of(role, &self.database)
    }

    async fn connect(&self) -> PostgresStore {
        PostgresStore::connect(&self.url()).await.unwrap()
    }

    /// With its tables.
    async fn store(&self) -> PostgresStore {
        let store = self.connect().await;
        store.migrate().await.unwrap();
        store
    }

    /// What an operator does, as superuser.
    fn sql(&self, statements: &str) -> String {
        self.postgres.psql(&self.url(), statements)
    }

    /// A role of this name, with a random suffix, since roles are the whole server's.
    fn role(&self, name: &str) -> String {
        let role = format!("{name}_{:016x}", fastrand::u64(..));
        self.sql(&format!("CREATE ROLE {role} LOGIN"));
        role
    }
}

fn key(subject: &str) -> RecordKey {
    RecordKey::new("test", Subject::new(subject))
}

fn holding(change: Change, payload: &str) -> NewRecord {
    NewRecord {
        change,
        payload: Payload::from_bytes(payload.into()),
        labels: Labels::default(),
    }
}

async fn save(
    store: &PostgresStore,
    subject: &str,
    expected: Expected,
    payload: &str,
) -> Result<Saved, StoreError> {
    let new = holding(Change::Connect, payload);
    store
        .save(&key(subject), new, expected, AttemptId::random())
        .await
}

async fn connect_subject(store: &PostgresStore, subject: &str) {
    let saved = save(store, subject, Expected::Absent, "canary").await;
    assert_eq!(saved.unwrap(), Saved::Done(1));
}

async fn payload(store: &PostgresStore, subject: &str) -> String {
    let record = store.load(&key(subject)).await.unwrap().unwrap();
    String::from_utf8(record.payload.as_bytes().to_vec()).unwrap()
}

/// Asserts what the error says, and that neither it nor any of its causes shows a value.
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
