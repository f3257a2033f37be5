use std::time::Duration;

use notion_auth::{
    RedisStore,
    store::{CredentialStore, StoreError, StoreErrorKind},
};

use super::{assert_says, connected, pass};
use crate::{
    servers::redis::{start, start_with},
    temporary::Directory,
};

async fn refusal(store: &RedisStore) -> StoreError {
    store.health().await.expect_err("it is refused")
}

#[tokio::test]
async fn health_of_a_durable_server_succeeds() {
    let Some(server) = start() else { return };
    connected(&server).await.health().await.unwrap();
}

#[tokio::test]
async fn health_refuses_a_lossy_setting_unless_accepted() {
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
async fn health_names_all_wrong_settings_at_once() {
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

/// As with managed servers.
#[tokio::test]
async fn health_refuses_settings_it_cannot_read_unless_accepted() {
    let directory = Directory::new();
    let file = directory.file("renamed.conf", "rename-command CONFIG \"\"\n");
    let Some(renamed) = start_with(&[("include", file.to_str().unwrap())]) else {
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
async fn accept_setting_of_an_unknown_name_is_refused() {
    let Some(server) = start() else { return };
    let accepted = connected(&server).await.accept_setting("apendfsync");
    let error = accepted.expect_err("it is misspelt");
    assert_says(&error, StoreErrorKind::Misconfigured, "appendfsync");
}

#[tokio::test]
async fn health_of_a_writable_replica_fails() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    // A replica of an unreachable primary keeps its data.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    for read_only in ["yes", "no"] {
        let setting = ["CONFIG", "SET", "replica-read-only", read_only];
        server.ask(&setting).unwrap();
        let error = refusal(&store).await;
        assert_says(&error, StoreErrorKind::Unavailable, "it is a replica");
        pass(Duration::from_secs(1)).await;
    }
    server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    store.health().await.unwrap();
}
