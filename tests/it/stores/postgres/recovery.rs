//! Connections to a standby or to a server that exits or cannot be reached are not used again.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Command,
    time::Duration,
};

use notion_auth::{
    PostgresStore,
    integrations::sqlx::{self, PgPool, postgres::PgPoolOptions},
    store::{
        CredentialStore, Nonce,
        StoreErrorKind::{Misconfigured, Unavailable},
    },
};

use super::{
    assert_says, database, insert, key, link::Link, load, record, replace, single, until_idle,
};
use crate::servers::postgres;

/// Returns the server process of a pool's only connection, which is idle afterwards.
async fn backend(pool: &PgPool) -> i32 {
    until_idle(pool).await;
    let asked = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(pool);
    let process = asked.await.unwrap();
    until_idle(pool).await;
    assert_eq!(pool.size(), 1);
    process
}

/// Makes a pool's only connection look like one to a standby, while new ones lead to the primary.
async fn demote(pool: &PgPool) {
    let demoted = sqlx::raw_sql("SET default_transaction_read_only = on").execute(pool);
    demoted.await.unwrap();
    until_idle(pool).await;
}

#[tokio::test]
async fn read_only_connection_of_an_own_pool_is_replaced_before_use() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let seen = insert(&store, "ann").await;
    let before = backend(store.pool()).await;
    demote(store.pool()).await;
    assert!(replace(&store, &seen, &record("new")).await.unwrap());
    assert_ne!(backend(store.pool()).await, before);
}

#[tokio::test]
async fn read_only_connection_of_an_applications_pool_fails_once() {
    let Some(database) = database() else { return };
    let store = database.store_on_a_pool().await;
    let seen = insert(&store, "ann").await;
    let before = backend(store.pool()).await;
    demote(store.pool()).await;
    let replaced = replace(&store, &seen, &record("canary")).await;
    let error = replaced.expect_err("it is read-only");
    assert_says(&error, Unavailable, "After a failover, try again");
    assert_says(&error, Unavailable, "SQLSTATE 25006: cannot execute UPDATE");
    assert!(replace(&store, &seen, &record("new")).await.unwrap());
    assert_ne!(backend(store.pool()).await, before);
}

#[tokio::test]
async fn terminated_connection_of_an_own_pool_is_replaced_before_use() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let before = backend(store.pool()).await;
    database.sql(&format!("SELECT pg_terminate_backend({before}, 60000)"));
    assert!(load(&store).await.is_none());
    assert_ne!(backend(store.pool()).await, before);
}

#[tokio::test]
async fn terminated_connection_of_an_unchecked_pool_fails_once() {
    let Some(database) = database() else { return };
    database.store().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false);
    let store = PostgresStore::new(pool.connect(&database.url()).await.unwrap());
    let before = backend(store.pool()).await;
    database.sql(&format!("SELECT pg_terminate_backend({before}, 60000)"));
    let error = store.load(&key("ann")).await.expect_err("it is terminated");
    assert_says(&error, Unavailable, "");
    assert!(load(&store).await.is_none());
    assert_ne!(backend(store.pool()).await, before);
}

#[tokio::test]
async fn dead_connections_of_an_own_pool_are_replaced_before_use() {
    let Some(database) = database() else { return };
    database.store().await;
    let link = Link::to(&database).await;
    let url = link.url_of(&database);
    let store = PostgresStore::connect(&url).await.unwrap();
    until_idle(store.pool()).await;
    assert!(load(&store).await.is_none());
    assert_eq!(link.accepted(), 1);
    until_idle(store.pool()).await;
    link.kill_connections();
    assert!(load(&store).await.is_none());
    assert_eq!(link.accepted(), 2);
}

#[tokio::test]
async fn dead_connections_of_an_applications_pool_fail_once() {
    let Some(database) = database() else { return };
    database.store().await;
    let link = Link::to(&database).await;
    // sqlx's own check waits for a dead connection until `acquire_timeout`.
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(500));
    let pool = pool.connect_lazy(&link.url_of(&database)).unwrap();
    let store = PostgresStore::new(pool);
    let connections = tokio::join!(store.pool().acquire(), store.pool().acquire());
    drop(connections);
    while store.pool().num_idle() < 2 {
        tokio::task::yield_now().await;
    }
    link.kill_connections();
    let error = store.load(&key("ann")).await.expect_err("it is dead");
    assert_says(&error, Unavailable, "led nowhere");
    assert!(load(&store).await.is_none());
}

#[tokio::test]
async fn server_stopped_and_killed_is_named_and_loses_nothing() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let store = PostgresStore::connect(&postgres.url()).await.unwrap();
    store.migrate().await.unwrap();
    let mut seen = insert(&store, "ann").await;
    for is_crash in [false, true] {
        match is_crash {
            false => postgres.stop(),
            true => postgres.kill(),
        }
        let (ann, new) = (key("ann"), record("canary"));
        let nonce = Nonce::new("test", [9; 32]);
        let operations = tokio::join!(
            store.load(&ann),
            replace(&store, &seen, &new),
            store.consume_nonce(&nonce, Duration::from_secs(60)),
            store.health(),
        );
        let errors = [
            operations.0.err(),
            operations.1.err(),
            operations.2.err(),
            operations.3.err(),
        ];
        for error in errors {
            let error = error.unwrap();
            assert_says(&error, Unavailable, "check that it runs");
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("refused"), "{cause}");
        }
        postgres.start();
        assert_eq!(load(&store).await.as_ref(), Some(&seen));
        assert!(replace(&store, &seen, &new).await.unwrap());
        store.health().await.unwrap();
        seen = new;
    }
}

#[tokio::test]
async fn server_that_shuts_down_is_named() {
    let Some(postgres) = postgres::start() else {
        return;
    };
    let client = PgPool::connect(&postgres.url()).await.unwrap();
    let client = client.acquire().await.unwrap();
    let file = postgres.psql(&postgres.url(), "SHOW data_directory") + "/postmaster.pid";
    let process = std::fs::read_to_string(file).unwrap();
    let process = process.lines().next().unwrap();
    // The server waits for its clients and accepts no new ones.
    let signalled = Command::new("kill").args(["-s", "TERM", process]).status();
    assert!(signalled.unwrap().success());
    let store = PostgresStore::new(single(&postgres.url()));
    // Until the signal has arrived, the only problem is the missing tables.
    let error = loop {
        match store.health().await.unwrap_err() {
            error if error.kind() == Misconfigured => {}
            error => break error,
        }
    };
    assert_says(
        &error,
        Unavailable,
        "SQLSTATE 57P03: the database system is shutting down",
    );
    drop(client);
}

#[tokio::test]
async fn server_that_does_not_answer_is_named() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let store = PostgresStore::new(single(&format!("postgres://ann@127.0.0.1:{port}/app")));
    let error = store.load(&key("ann")).await.expect_err("it is silent");
    assert_says(&error, Unavailable, "the network between");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("timed out"), "{cause}");
}

#[tokio::test]
async fn exhausted_pool_is_named_by_one_probe_for_all_operations() {
    let Some(database) = database() else { return };
    database.store().await;
    let link = Link::to(&database).await;
    let url = link.url_of(&database);
    let store = PostgresStore::new(single(&url));
    let taken = store.pool().acquire().await.unwrap();
    let ann = key("ann");
    let loaded = tokio::join!(store.load(&ann), store.load(&ann), store.load(&ann));
    for error in [loaded.0.err(), loaded.1.err(), loaded.2.err()] {
        let error = error.expect("none is free");
        assert_says(&error, Unavailable, "raise its `max_connections`");
    }
    assert_eq!(link.accepted(), 2);
    drop(taken);
    assert!(load(&store).await.is_none());
    store.pool().close().await;
    let error = store.load(&ann).await.expect_err("it is closed");
    assert_says(&error, Unavailable, "closed by this process");
}
