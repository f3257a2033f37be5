use std::time::Duration;

use notion_auth::store::{
    CredentialStore, Filter, ListQuery, Nonce, RecordState, StoreErrorKind::Corrupt,
};

use super::{INDEX, active, assert_says, connected, hash, key, listed, loaded, tombstone, write};
use crate::servers::redis::start;

#[tokio::test]
async fn record_of_an_unknown_state_can_be_replaced() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    write(&store, "ann", &active()).await;
    server.ask(&["HSET", &hash("ann"), "state", "new"]).unwrap();
    let record = loaded(&store, "ann").await.unwrap();
    assert_eq!(record.state, RecordState::Unreadable);
    let all = store.list("test", &ListQuery::default()).await.unwrap();
    assert_eq!(all[0].record.state, RecordState::Unreadable);
    let active = ListQuery::default().filter(Filter::Active);
    assert!(store.list("test", &active).await.unwrap().is_empty());
    write(&store, "ann", &super::active()).await;
}

#[tokio::test]
async fn key_of_another_type_is_an_error_and_unchanged() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    server.ask(&["SET", &hash("ann"), "canary"]).unwrap();
    let error = store.load(&key("ann")).await.expect_err("it is no hash");
    assert_says(&error, Corrupt, "WRONGTYPE");
    let swapped = store.compare_and_swap(&key("ann"), None, &active()).await;
    assert_says(&swapped.expect_err("it is no hash"), Corrupt, "WRONGTYPE");
    assert_eq!(server.ask(&["GET", &hash("ann")]).unwrap(), "canary");

    server.ask(&["SET", INDEX, "canary"]).unwrap();
    let swapped = store.compare_and_swap(&key("ben"), None, &active()).await;
    let error = swapped.expect_err("it cannot be listed");
    assert_says(&error, Corrupt, "use another prefix");
    assert_eq!(server.ask(&["EXISTS", &hash("ben")]).unwrap(), "0");
}

#[tokio::test]
async fn nonces_expire_after_any_lifetime() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for lifetime in [Duration::MAX, Duration::ZERO, Duration::from_secs(60)] {
        let nonce = Nonce::new("test", [0xab; 32]);
        assert!(store.consume_nonce(&nonce, lifetime).await.unwrap());
        let key = format!("notion-auth:nonce:{{test}}:{}", "ab".repeat(32));
        assert_ne!(server.ask(&["PTTL", &key]).unwrap(), "-1");
        server.ask(&["DEL", &key]).unwrap();
    }
}

/// Whatever edits were made by hand.
#[tokio::test]
async fn record_with_damaged_fields_can_be_listed_replaced_and_deleted() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let hash = hash("ann");
    let damages: [&[&str]; 9] = [
        &["HDEL", &hash, "bytes"],
        &["HDEL", &hash, "revision"],
        &["HDEL", &hash, "state", "bot"],
        &["HDEL", &hash, "updated_at"],
        &["HDEL", &hash, "revision", "bytes", "updated_at", "state"],
        &["HSET", &hash, "revision", "canary"],
        &["HSET", &hash, "revision", ""],
        &["HSET", &hash, "revision", "1.5"],
        &["HSET", &hash, "updated_at", "canary"],
    ];
    for damage in damages {
        // As a connect and a disconnect write it.
        for new in [active(), tombstone()] {
            write(&store, "ann", &active()).await;
            write(&store, "ben", &active()).await;
            server.ask(damage).unwrap();
            assert!(loaded(&store, "ann").await.is_some(), "{damage:?}");
            let all = listed(&store, &ListQuery::default()).await;
            assert_eq!(all, ["ann", "ben"], "{damage:?}");
            write(&store, "ann", &new).await;
            let read = loaded(&store, "ann").await.unwrap();
            assert_eq!(
                (read.state, read.bytes),
                (new.state, new.bytes),
                "{damage:?}"
            );
        }
    }
}
