//! A failed connection is replaced: the next operation after the first failure works.

use std::time::{Duration, Instant};

use notion_auth::{
    RedisStore,
    integrations::redis::Client,
    store::{CredentialStore, StoreError, StoreErrorKind},
};
use tokio::task::JoinSet;

use super::{
    active, assert_says, connected, key, loaded, pass,
    proxy::{Proxy, speaker},
    write,
};
use crate::servers::redis::{Redis, start, start_with};

/// Longer than any pause before a new connection.
const PAUSE: Duration = Duration::from_secs(1);

async fn failure(store: &RedisStore) -> StoreError {
    store.load(&key("ann")).await.expect_err("it fails")
}

fn become_replica(server: &Redis) {
    // A replica of an unreachable primary keeps its data.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
}

#[tokio::test]
async fn demoted_primary_is_replaced_by_the_one_at_its_address() {
    for stale in ["yes", "no"] {
        let Some(old) = start_with(&[("replica-serve-stale-data", stale)]) else {
            return;
        };
        let Some(new) = start() else { return };
        let (before, after) = (active(), active());
        write(&connected(&new).await, "ann", &after).await;
        let proxy = Proxy::to(&old).await;
        let store = RedisStore::connect(proxy.url()).await.unwrap();
        write(&store, "ann", &before).await;

        become_replica(&old);
        proxy.lead_to(&new);
        let error = failure(&store).await;
        assert_says(&error, StoreErrorKind::Unavailable, "it is a replica");
        assert_eq!(loaded(&store, "ann").await, Some(after.clone()));
        assert_eq!(proxy.connections(), 2, "stale data: {stale}");

        let seen = Some(after.revision);
        let swapped = store.compare_and_swap(&key("ann"), seen, &active()).await;
        assert!(swapped.unwrap());
    }
}

#[tokio::test]
async fn every_operation_detects_a_demoted_primary() {
    use notion_auth::store::{ListQuery, Nonce};

    let Some(server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = RedisStore::connect(proxy.url()).await.unwrap();
    let ann = active();
    write(&store, "ann", &ann).await;
    for operation in 0..6 {
        become_replica(&server);
        let before = proxy.connections();
        let key = key("ann");
        let done = match operation {
            0 => store.load(&key).await.map(drop),
            1 => {
                let seen = Some(ann.revision);
                let swapped = store.compare_and_swap(&key, seen, &active()).await;
                swapped.map(drop)
            }
            2 => store
                .compare_and_swap(&key, None, &active())
                .await
                .map(drop),
            3 => {
                let nonce = Nonce::new("test", [1; 32]);
                let lifetime = Duration::from_secs(60);
                store.consume_nonce(&nonce, lifetime).await.map(drop)
            }
            4 => store.list("test", &ListQuery::default()).await.map(drop),
            _ => store.health().await,
        };
        let error = done.expect_err("a replica");
        assert_says(&error, StoreErrorKind::Unavailable, "it is a replica");
        server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
        assert_eq!(loaded(&store, "ann").await, Some(ann.clone()));
        assert_eq!(proxy.connections(), before + 1, "operation {operation}");
    }
}

#[tokio::test]
async fn dead_connection_is_replaced_after_the_first_timeout() {
    let Some(server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = RedisStore::connect(proxy.url()).await.unwrap();
    write(&store, "ann", &active()).await;
    proxy.swallow();
    let since = tokio::time::Instant::now();
    let (error, ()) = tokio::join!(failure(&store), async {
        proxy.has_swallowed(1).await;
        pass(Duration::from_secs(3)).await;
    });
    assert_says(&error, StoreErrorKind::Unavailable, "not answered in time");
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(loaded(&store, "ann").await.is_some());
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn dead_idle_connection_is_detected_before_use() {
    let Some(server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = RedisStore::connect(proxy.url()).await.unwrap();
    write(&store, "ann", &active()).await;
    proxy.swallow();
    pass(Duration::from_secs(1)).await;
    let (ann, ()) = tokio::join!(loaded(&store, "ann"), async {
        // The check of an idle connection.
        proxy.has_swallowed(1).await;
        pass(Duration::from_secs(1)).await;
    });
    assert!(ann.is_some());
    assert_eq!(proxy.connections(), 2);
}

/// As with a provider whose time limit is shorter than the store's.
#[tokio::test]
async fn dead_connection_is_replaced_if_operations_are_dropped() {
    let Some(server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = RedisStore::connect(proxy.url()).await.unwrap();
    write(&store, "ann", &active()).await;
    proxy.swallow();
    tokio::select! {
        ann = loaded(&store, "ann") => panic!("{ann:?}"),
        () = proxy.has_swallowed(1) => {}
    }
    pass(Duration::from_secs(3)).await;
    assert!(loaded(&store, "ann").await.is_some());
    assert_eq!(proxy.connections(), 2);
    assert_eq!(proxy.swallowed(), 1, "no check is sent");
}

#[tokio::test]
async fn failed_handshake_is_retried() {
    let Some(server) = start() else { return };
    let set_user = |rules: &[&str]| {
        let user = [&["ACL", "SETUSER", "app"], rules].concat();
        server.ask(&user).unwrap();
    };
    set_user(&["on", "allkeys", "+@all", ">right"]);
    let url = server.url().replace("redis://", "redis://app:right@");
    let store = RedisStore::connect(url).await.unwrap();
    write(&store, "ann", &active()).await;

    set_user(&["resetpass", ">canary"]);
    server.ask(&["CLIENT", "KILL", "USER", "app"]).unwrap();
    failure(&store).await;
    for _ in 0..7 {
        let error = failure(&store).await;
        assert_says(&error, StoreErrorKind::Misconfigured, "WRONGPASS");
        pass(PAUSE).await;
    }
    set_user(&["resetpass", ">right"]);
    assert!(loaded(&store, "ann").await.is_some());
}

#[tokio::test]
async fn restarted_server_is_used_again() {
    let Some(mut server) = start() else { return };
    let store = connected(&server).await;
    let ann = active();
    write(&store, "ann", &ann).await;
    for _ in 0..2 {
        server.kill();
        failure(&store).await;
        for _ in 0..7 {
            let error = failure(&store).await;
            assert_says(&error, StoreErrorKind::Unavailable, "no server listens");
            pass(PAUSE).await;
        }
        server.start();
        assert_eq!(loaded(&store, "ann").await, Some(ann.clone()));
    }
}

#[tokio::test]
async fn unready_server_is_replaced_by_the_one_at_its_address() {
    let Some(server) = start() else { return };
    write(&connected(&server).await, "ann", &active()).await;
    for answer in [
        "-LOADING Redis is loading the dataset in memory",
        "-MASTERDOWN Link with MASTER is down",
        "-READONLY You can't write against a read only replica.",
        "-NOREPLICAS Not enough good replicas to write.",
        "-CLUSTERDOWN The cluster is down",
        "-NOAUTH Authentication required.",
        "HTTP/1.1 502 Bad Gateway",
    ] {
        let proxy = Proxy::to_address(speaker(answer).await).await;
        let store = RedisStore::new(Client::open(proxy.url()).unwrap());
        failure(&store).await;
        proxy.lead_to(&server);
        pass(PAUSE).await;
        assert!(loaded(&store, "ann").await.is_some(), "{answer}");
        assert_eq!(proxy.connections(), 2, "{answer}");
    }
}

#[tokio::test]
async fn store_of_a_client_connects_with_its_first_operation() {
    let Some(mut server) = start() else { return };
    server.stop();
    let store = RedisStore::new(Client::open(server.url()).unwrap());
    failure(&store).await;
    pass(PAUSE).await;
    server.start();
    write(&store, "ann", &active()).await;
}

#[tokio::test]
async fn connections_are_opened_one_at_a_time_with_pauses() {
    let Some(mut server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = RedisStore::connect(proxy.url()).await.unwrap();
    write(&store, "ann", &active()).await;
    server.stop();
    failure(&store).await;
    let since = Instant::now();
    let mut operations = JoinSet::new();
    for _ in 0..500 {
        let store = store.clone();
        operations.spawn(async move { store.load(&key("ann")).await.is_ok() });
    }
    let outcomes = operations.join_all().await;
    assert!(!outcomes.contains(&true));
    // The first two immediately, and one more after each pause of at least 50 ms.
    let most = 3 + since.elapsed().as_millis() / 50;
    let made = proxy.connections() - 1;
    assert!(made as u128 <= most, "{made} connections, at most {most}");
}

/// A replica completes the handshake, but its connection is unusable.
#[tokio::test]
async fn connections_to_a_replica_are_opened_with_pauses() {
    let Some(server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = RedisStore::connect(proxy.url()).await.unwrap();
    write(&store, "ann", &active()).await;
    become_replica(&server);
    let since = Instant::now();
    for _ in 0..500 {
        let error = failure(&store).await;
        assert_says(&error, StoreErrorKind::Unavailable, "it is a replica");
    }
    let most = 3 + since.elapsed().as_millis() / 50;
    let made = proxy.connections() - 1;
    assert!(made as u128 <= most, "{made} connections, at most {most}");
}

#[tokio::test]
async fn operations_share_one_connection() {
    let Some(server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = RedisStore::new(Client::open(proxy.url()).unwrap());
    let mut operations = JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        operations.spawn(async move { store.load(&key("ann")).await.unwrap() });
    }
    operations.join_all().await;
    assert_eq!(proxy.connections(), 1);
}
