//! The Redis store, on servers of the tests.
//!
//! - [`conformance`]: the contract, on one server, in a cluster, and through two connections
//! - [`health`]: required server settings
//! - [`records`] and [`lists`]: the contents of the keys
//! - [`recovery`] and [`outages`]: servers that exit, change or cannot be reached, through a [`proxy`]
//! - [`connecting`] and [`errors`]: error messages, and secrets that they must not contain

mod conformance;
mod connecting;
mod errors;
mod health;
mod lists;
mod outages;
mod proxy;
mod records;
mod recovery;
#[cfg(feature = "encryption")]
mod recovery_time;

use std::time::{Duration, SystemTime};

use notion_auth::{
    RedisStore, Subject,
    store::{
        CredentialStore, ListQuery, RecordBytes, RecordKey, RecordState, Revision, StoreError,
        StoreErrorKind, StoredRecord,
    },
};

use crate::servers::redis::Redis;

async fn connected(server: &Redis) -> RedisStore {
    RedisStore::connect(server.url()).await.unwrap()
}

fn key(subject: &str) -> RecordKey {
    RecordKey::new("test", Subject::new(subject))
}

/// Returns the key of this subject's hash.
fn hash(subject: &str) -> String {
    format!("notion-auth:record:{{test}}:{subject}")
}

const INDEX: &str = "notion-auth:index:{test}";

/// Returns a new revision of a record, whose bytes are a canary that no error may show.
fn record(state: RecordState) -> StoredRecord {
    StoredRecord {
        revision: Revision::from_bytes(fastrand::u64(..).to_be_bytes()),
        state,
        bot_id: None,
        updated_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        bytes: RecordBytes::new(b"canary".to_vec()),
    }
}

fn active() -> StoredRecord {
    record(RecordState::Active)
}

fn tombstone() -> StoredRecord {
    record(RecordState::Disconnected)
}

async fn loaded(store: &RedisStore, subject: &str) -> Option<StoredRecord> {
    store.load(&key(subject)).await.unwrap().record
}

/// Writes over any record.
async fn write(store: &RedisStore, subject: &str, new: &StoredRecord) {
    let seen = loaded(store, subject).await.map(|it| it.revision);
    let swapped = store.compare_and_swap(&key(subject), seen, new).await;
    assert!(swapped.unwrap());
}

async fn listed(store: &RedisStore, query: &ListQuery) -> Vec<String> {
    let listed = store.list("test", query).await.unwrap();
    listed
        .iter()
        .map(|it| it.subject.as_str().to_owned())
        .collect()
}

/// Advances the time of timers without waiting, in a single-threaded runtime.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[track_caller]
fn assert_says(error: &StoreError, kind: StoreErrorKind, words: &str) {
    let text = error.to_string();
    assert!(text.starts_with("redis store: "), "{text}");
    assert!(text.contains(words), "{words}: {text}");
    assert_eq!(error.kind(), kind, "{text}");
    let mut shown = format!("{error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        shown += &format!(" {error} {error:?}");
        cause = error.source();
    }
    assert!(!shown.contains("canary"), "{shown}");
}
