//! `RedisStore`, on servers of its own.
//!
//! [`conformance`] is the contract, on a server, in a cluster, through two connections; [`health`] what a
//! server must be set to; [`records`] and [`index`] what is in the keys, and what becomes of it when
//! somebody else has been there; [`outages`] servers that end, or are not reached, through a [`proxy`] that
//! loses what they say; [`connecting`] and [`errors`] what is said about all that, and what is not.

mod conformance;
mod connecting;
mod errors;
mod health;
mod index;
mod outages;
mod proxy;
mod records;

use notion_auth::{
    RedisStore, Subject,
    store::{
        AttemptId, Change, CredentialStore, Expected, Labels, NewRecord, Payload, RecordKey, Saved,
        StoreError, StoreErrorKind,
    },
};

use crate::servers::redis::Redis;

async fn connected(server: &Redis) -> RedisStore {
    RedisStore::connect(server.url()).await.unwrap()
}

fn key(subject: &str) -> RecordKey {
    RecordKey::new("test", Subject::new(subject))
}

/// The key of that subject's hash.
fn hash(subject: &str) -> String {
    format!("notion-auth:record:{{test/{subject}}}")
}

const INDEX: &str = "notion-auth:index:{test}";

fn holding(change: Change, bot: Option<&str>) -> NewRecord {
    NewRecord {
        change,
        payload: Payload::from_bytes(b"canary".to_vec()),
        labels: Labels {
            workspace_name: None,
            bot_id: bot.map(str::to_owned),
        },
    }
}

/// Saves over whatever is there, and answers the generation.
async fn save(store: &RedisStore, subject: &str, new: NewRecord) -> u64 {
    let key = key(subject);
    let current = store.load(&key).await.unwrap();
    let expected = current.map_or(Expected::Absent, |it| Expected::Generation(it.generation));
    let saved = store.save(&key, new, expected, AttemptId::random());
    match saved.await.unwrap() {
        Saved::Done(generation) => generation,
        other => panic!("nobody else saves: {other:?}"),
    }
}

async fn connect_subject(store: &RedisStore, subject: &str) {
    save(store, subject, holding(Change::Connect, None)).await;
}

/// What the error and its causes say, to people and to developers.
fn whole_text(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(" {error} {error:?}");
        cause = error.source();
    }
    text
}

#[track_caller]
fn assert_says(error: &StoreError, kind: StoreErrorKind, words: &str) {
    let text = error.to_string();
    assert!(text.starts_with("redis store: "), "{text}");
    assert!(text.contains(words), "{text}");
    assert_eq!(error.kind(), kind, "{text}");
    let whole = whole_text(error);
    assert!(!whole.contains("canary"), "{whole}");
}
