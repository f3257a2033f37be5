use std::fs;

use notion_auth::{
    PostgresStore,
    store::{
        CredentialStore, ListQuery,
        StoreErrorKind::{Misconfigured, Rejected, Unavailable},
    },
};

use super::{assert_says, database, insert, key, load, record, replace};
use crate::servers::postgres;

#[tokio::test]
async fn health_with_a_lossy_setting_fails_unless_it_is_accepted() {
    let settings = [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
    ];
    let Some(postgres) = postgres::start_with(&settings) else {
        return;
    };
    let mut store = PostgresStore::connect(&postgres.url()).await.unwrap();
    store.migrate().await.unwrap();
    for (name, value) in settings {
        let error = store.health().await.expect_err("it is off");
        assert_says(&error, Misconfigured, &format!("{name} is {value}"));
        let cure = format!("`accept_setting(\"{name}\")`");
        assert_says(&error, Misconfigured, &cure);
        store = store.accept_setting(name).unwrap();
    }
    store.health().await.unwrap();
    let error = store.accept_setting("fsnyc").expect_err("misspelt");
    assert_says(&error, Misconfigured, "fsync, full_page_writes");
}

#[tokio::test]
async fn health_accepts_any_synchronous_commit_except_off() {
    let Some(database) = database() else { return };
    database.store().await;
    for value in ["local", "remote_write", "on", "remote_apply"] {
        database.sql(&format!(
            "ALTER DATABASE {} SET synchronous_commit = '{value}'",
            database.name
        ));
        database.connect().await.health().await.unwrap();
    }
}

#[tokio::test]
async fn health_with_another_encoding_fails_unless_it_is_accepted() {
    let Some(mut database) = database() else {
        return;
    };
    let latin = format!("{}_latin", database.name);
    database.sql(&format!(
        "CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0"
    ));
    database.name = latin;
    let store = database.store().await;
    let error = store.health().await.expect_err("it cannot keep all");
    assert_says(&error, Misconfigured, "server_encoding is LATIN1");
    let new = record("canary");
    let swapped = store.compare_and_swap(&key("\u{1f389}"), None, &new).await;
    let error = swapped.expect_err("it cannot keep this");
    assert_says(&error, Rejected, "SQLSTATE 22P05");
    insert(&store, "\u{e9}").await;
    let store = store.accept_setting("server_encoding").unwrap();
    store.health().await.unwrap();
}

#[tokio::test]
async fn health_of_a_read_only_database_fails_and_loads_continue() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let seen = insert(&store, "ann").await;
    database.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        database.name
    ));
    let store = database.connect().await;
    let replaced = replace(&store, &seen, &record("canary")).await.err();
    for error in [store.health().await.err(), replaced] {
        let error = error.expect("it cannot be written");
        assert_says(&error, Unavailable, "default_transaction_read_only");
    }
    assert_eq!(load(&store).await, Some(seen));
}

#[tokio::test]
async fn every_operation_on_a_standby_fails_until_it_is_promoted() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let store = PostgresStore::connect(&postgres.url()).await.unwrap();
    store.migrate().await.unwrap();
    let seen = insert(&store, "ann").await;
    let data = postgres.psql(&postgres.url(), "SHOW data_directory");
    postgres.stop();
    fs::write(format!("{data}/standby.signal"), "").unwrap();
    postgres.start();

    for error in [
        store.health().await.err(),
        store.load(&key("ann")).await.err(),
        store.load(&key("ben")).await.err(),
        store.list("test", &ListQuery::default()).await.err(),
        replace(&store, &seen, &record("canary")).await.err(),
        store.purge_expired().await.err(),
    ] {
        assert_says(&error.unwrap(), Unavailable, "connect to the primary");
    }
    postgres.psql(&postgres.url(), "SELECT pg_promote()");
    assert_eq!(load(&store).await.as_ref(), Some(&seen));
    assert!(replace(&store, &seen, &record("promoted")).await.unwrap());
}

#[tokio::test]
async fn health_with_an_unlogged_table_fails() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    database.sql("ALTER TABLE notion_auth_credentials SET UNLOGGED");
    let error = store.health().await.expect_err("a crash empties it");
    assert_says(&error, Misconfigured, "SET LOGGED");
}
