use std::fs;

use notion_auth::{
    RedisStore,
    store::{CredentialStore, StoreError, StoreErrorKind},
};

use super::{assert_says, connect_subject, connected, key, proxy::says};
use crate::servers::redis::{start, start_with};

async fn refusal(store: &RedisStore) -> StoreError {
    store.health().await.expect_err("it is refused")
}

#[tokio::test]
async fn a_server_that_keeps_what_it_is_told_is_healthy() {
    let Some(server) = start() else { return };
    connected(&server).await.health().await.unwrap();
}

#[tokio::test]
async fn a_setting_that_would_lose_a_rotation_is_refused_unless_accepted_by_name() {
    for (setting, value, cure) in [
        ("appendonly", "no", "set it to yes"),
        ("appendfsync", "everysec", "set it to always"),
        ("appendfsync", "no", "set it to always"),
        ("no-appendfsync-on-rewrite", "yes", "set it to no"),
        ("maxmemory-policy", "allkeys-lru", "set it to noeviction"),
        ("maxmemory-policy", "volatile-ttl", "set it to noeviction"),
    ] {
        let Some(server) = start_with(&[(setting, value)]) else {
            return;
        };
        let store = connected(&server).await;
        let error = refusal(&store).await;
        let found = format!("redis store: {setting} is {value:?}, ");
        assert_says(&error, StoreErrorKind::Misconfigured, &found);
        let ways = format!("{cure}, or accept it by `accept_setting(\"{setting}\")`");
        assert_says(&error, StoreErrorKind::Misconfigured, &ways);

        for other in [
            "appendonly",
            "appendfsync",
            "no-appendfsync-on-rewrite",
            "maxmemory-policy",
        ] {
            let accepting = store.clone().accept_setting(other).unwrap();
            let is_healthy = accepting.health().await.is_ok();
            assert_eq!(is_healthy, other == setting, "{setting} {value}: {other}");
        }
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once() {
    let settings = [
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "allkeys-lru"),
    ];
    let Some(server) = start_with(&settings) else {
        return;
    };
    let error = refusal(&connected(&server).await).await;
    assert_says(
        &error,
        StoreErrorKind::Misconfigured,
        "appendfsync is \"everysec\"",
    );
    assert_says(
        &error,
        StoreErrorKind::Misconfigured,
        "maxmemory-policy is \"allkeys-lru\"",
    );
}

/// As with servers that somebody else manages.
#[tokio::test]
async fn settings_that_cannot_be_read_are_refused_unless_accepted_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "rename-command CONFIG \"\"\n").unwrap();
    let path = file.path().to_str().unwrap();
    let Some(renamed) = start_with(&[("include", path)]) else {
        return;
    };
    let Some(forbidden) = start() else { return };
    forbidden
        .ask(&["ACL", "SETUSER", "default", "-config"])
        .unwrap();
    for server in [renamed, forbidden] {
        let store = connected(&server).await;
        let error = refusal(&store).await;
        for unread in [
            "appendfsync cannot be read",
            "no-appendfsync-on-rewrite cannot be read",
        ] {
            assert_says(&error, StoreErrorKind::Misconfigured, unread);
        }
        assert_says(
            &error,
            StoreErrorKind::Misconfigured,
            "accept_setting(\"appendfsync\")",
        );

        let accepting = store.accept_setting("appendfsync").unwrap();
        let error = refusal(&accepting).await;
        assert!(
            !error
                .to_string()
                .contains("accept_setting(\"appendfsync\")")
        );
        let accepting = accepting.accept_setting("no-appendfsync-on-rewrite");
        accepting.unwrap().health().await.unwrap();
    }
}

#[tokio::test]
async fn a_name_that_is_no_setting_is_an_error() {
    let Some(server) = start() else { return };
    let accepted = connected(&server).await.accept_setting("apendfsync");
    let error = accepted.expect_err("it is misspelt");
    assert_says(&error, StoreErrorKind::Misconfigured, "appendfsync");
}

#[tokio::test]
async fn a_replica_is_refused_and_neither_read_nor_written() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    let before = store.load(&key("ann")).await.unwrap().unwrap();
    // Of a primary that is not there: it goes on with what it has.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();

    let error = refusal(&store).await;
    assert_says(&error, StoreErrorKind::Misconfigured, "is a replica");
    let error = store.load(&key("ann")).await.expect_err("it may lag");
    assert_says(&error, StoreErrorKind::Unavailable, "is a replica");
    let ann = key("ann");
    let replaced = store.replace(&ann, Some(before.revision), &before);
    let error = replaced.await.expect_err("it takes no writes");
    assert_says(&error, StoreErrorKind::Unavailable, "is a replica");

    server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    store.health().await.unwrap();
    assert!(store.load(&key("ann")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    for (info, found) in [
        (
            "$33\r\nredis_version:6.2.14\r\nrole:master",
            "version is 6.2.14",
        ),
        ("$11\r\nrole:master", "version is unknown"),
    ] {
        let error = refusal(&says(info).await).await;
        assert_says(&error, StoreErrorKind::Misconfigured, found);
        assert_says(&error, StoreErrorKind::Misconfigured, "Redis 7");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_refused() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    server.ask(&["ACL", "SETUSER", "default", "-info"]).unwrap();
    let error = refusal(&store).await;
    assert_says(
        &error,
        StoreErrorKind::Misconfigured,
        "may not do what a store must",
    );
}
