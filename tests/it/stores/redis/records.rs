use std::time::Duration;

use notion_auth::{
    RedisStore,
    credentials::ReauthorizationReason,
    store::{
        Change, CredentialStore, Filter, OnceKey, RecordState, Revision, StoreError,
        StoreErrorKind, Summary, TOMBSTONE_AGE,
    },
};

use super::{assert_says, connect_subject, connected, hash, holding, key, save};
use crate::servers::redis::{Redis, start};

const UNREADABLE: RecordState =
    RecordState::NeedsReauthorization(ReauthorizationReason::Unreadable);

async fn all(store: &RedisStore) -> Vec<Summary> {
    store.list("test", None, 99, Filter::All).await.unwrap()
}

#[tokio::test]
async fn a_damaged_record_stops_only_its_subject_and_is_listed_as_unreadable() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for subject in ["zoe", "ann"] {
        connect_subject(&store, subject).await;
    }
    let zoe = hash("zoe");
    for (command, words) in [
        (["HSET", &zoe, "state", "canary"], "column state"),
        (["HSET", &zoe, "generation", "canary"], "column generation"),
        (["HSET", &zoe, "generation", "-1"], "column generation"),
        (
            ["HSET", &zoe, "committed_by", "canary"],
            "column committed_by",
        ),
        (["HSET", &zoe, "claim_since", "1"], "column claim_since"),
        (["HSET", &zoe, "v", "canary"], "column v"),
        (
            ["HSET", &zoe, "v", "2"],
            "newer version of this crate: upgrade",
        ),
        (["HDEL", &zoe, "v", "v"], "column v"),
        (["HDEL", &zoe, "payload", "payload"], "column payload"),
        (
            ["HDEL", &zoe, "updated_at", "updated_at"],
            "column updated_at",
        ),
    ] {
        server.ask(&command).unwrap();
        let error = store.load(&key("zoe")).await.expect_err("it is damaged");
        assert_says(&error, StoreErrorKind::Corrupt, words);
        assert!(!error.to_string().contains("zoe"), "{error}");
        assert!(
            !replaced(&store, "zoe", None).await.unwrap(),
            "it is not overwritten"
        );

        let page = all(&store).await;
        let page: Vec<_> = page
            .iter()
            .map(|it| (it.subject.as_str(), it.state))
            .collect();
        assert_eq!(
            page,
            [("ann", RecordState::Active), ("zoe", UNREADABLE)],
            "{words}"
        );
        assert!(store.load(&key("ann")).await.unwrap().is_some());

        server.ask(&["DEL", &zoe]).unwrap();
        connect_subject(&store, "zoe").await;
    }
}

/// Whether Ann's record was put in that subject's place.
async fn replaced(
    store: &RedisStore,
    subject: &str,
    seen: Option<Revision>,
) -> Result<bool, StoreError> {
    let ann = store.load(&key("ann")).await.unwrap().unwrap();
    store.replace(&key(subject), seen, &ann).await
}

#[tokio::test]
async fn a_key_of_another_type_is_said_to_be_another_applications() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for subject in ["zoe", "ann"] {
        connect_subject(&store, subject).await;
    }
    server.ask(&["SET", &hash("zoe"), "canary"]).unwrap();

    let error = store.load(&key("zoe")).await.expect_err("it is no hash");
    assert_says(&error, StoreErrorKind::Corrupt, "another application's");
    assert!(!replaced(&store, "zoe", None).await.unwrap());
    let seen = Some(Revision::from_bytes([7; 8]));
    let error = replaced(&store, "zoe", seen)
        .await
        .expect_err("it is no hash");
    assert_says(&error, StoreErrorKind::Corrupt, "another application's");
    let page = all(&store).await;
    assert_eq!(page.len(), 2);
    assert_eq!(page[1].state, UNREADABLE);
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(server.ask(&["GET", &hash("zoe")]).unwrap(), "canary");
}

fn age(server: &Redis, subject: &str, micros: u128) {
    let micros = format!("-{micros}");
    let aged = server.ask(&["HINCRBY", &hash(subject), "updated_at", &micros]);
    aged.unwrap();
}

#[tokio::test]
async fn tombstones_are_swept_after_a_day_and_nothing_else_is() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for subject in ["ann", "ben", "eve"] {
        save(&store, subject, holding(Change::Connect, Some("bot"))).await;
    }
    save(&store, "ben", holding(Change::Disconnect, Some("bot"))).await;
    save(&store, "eve", holding(Change::Disconnect, Some("bot"))).await;
    // Of a newer version, which may mean something else by it.
    server.ask(&["HSET", &hash("eve"), "v", "2"]).unwrap();
    let second = 1_000_000;
    for subject in ["ann", "ben", "eve"] {
        age(&server, subject, TOMBSTONE_AGE.as_micros() - 60 * second);
    }
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert!(store.load(&key("ben")).await.unwrap().is_some());
    for subject in ["ann", "ben", "eve"] {
        age(&server, subject, 60 * second);
    }
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert!(store.load(&key("ben")).await.unwrap().is_none());
    let page = all(&store).await;
    let left: Vec<_> = page.iter().map(|it| it.subject.as_str()).collect();
    assert_eq!(left, ["ann", "eve"]);
    assert_eq!(store.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn records_never_expire_and_marks_do() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    assert_eq!(server.ask(&["TTL", &hash("ann")]).unwrap(), "-1");
    let mark = OnceKey::new("test", [0xab; 32]);
    for ttl in [Duration::MAX, Duration::ZERO] {
        store.once(&mark, ttl).await.unwrap();
        let key = format!("notion-auth:mark:{{test/{}}}", "ab".repeat(32));
        assert_ne!(server.ask(&["PTTL", &key]).unwrap(), "-1");
        server.ask(&["DEL", &key]).unwrap();
    }
}
