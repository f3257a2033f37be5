use notion_auth::{
    PostgresStore,
    store::{CredentialStore, Expected, OnceKey, StoreErrorKind::Misconfigured},
};
use std::{fs, time::Duration};

use super::{assert_says, connect_subject, key, place, save};
use crate::servers::postgres;

#[tokio::test]
async fn settings_that_lose_what_was_saved_are_refused_unless_accepted_by_name() {
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
}

#[tokio::test]
async fn commits_that_wait_for_less_than_a_standby_are_good() {
    let Some(place) = place() else { return };
    place.store().await;
    for value in ["local", "remote_write", "on", "remote_apply"] {
        place.sql(&format!(
            "ALTER DATABASE {} SET synchronous_commit = '{value}'",
            place.database
        ));
        place.connect().await.health().await.unwrap();
    }
}

#[tokio::test]
async fn an_encoding_that_has_not_all_characters_is_refused() {
    let Some(mut place) = place() else { return };
    let latin = format!("{}_latin", place.database);
    place.sql(&format!(
        "CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0"
    ));
    place.database = latin;
    let store = place.store().await;
    let error = store.health().await.expect_err("it cannot keep all");
    assert_says(&error, Misconfigured, "server_encoding is LATIN1");
    let saved = save(&store, "\u{1f389}", Expected::Absent, "canary").await;
    let error = saved.expect_err("it cannot keep this");
    assert_says(&error, Misconfigured, "encoding must be UTF8");
    connect_subject(&store, "é").await;
    let store = store.accept_setting("server_encoding").unwrap();
    store.health().await.unwrap();
}

#[tokio::test]
async fn a_database_that_can_only_be_read_is_said() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    connect_subject(&store, "ann").await;
    place.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        place.database
    ));
    let store = place.connect().await;
    let error = store.health().await.expect_err("it cannot be written");
    assert_says(&error, Misconfigured, "default_transaction_read_only");
    let saved = save(&store, "ann", Expected::Generation(1), "canary").await;
    let error = saved.expect_err("it cannot be written");
    assert_says(&error, Misconfigured, "can only be read");
    assert!(store.load(&key("ann")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_a_standby_says_is_not_believed() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let store = PostgresStore::connect(&postgres.url()).await.unwrap();
    store.migrate().await.unwrap();
    connect_subject(&store, "ann").await;
    let data = postgres.psql(&postgres.url(), "SHOW data_directory");
    postgres.stop();
    let signal = format!("{data}/standby.signal");
    fs::write(&signal, "").unwrap();
    postgres.start();

    let store = PostgresStore::connect(&postgres.url()).await.unwrap();
    for error in [
        store.health().await.err(),
        store.load(&key("ann")).await.err(),
        store.load(&key("nobody")).await.err(),
    ] {
        assert_says(&error.unwrap(), Misconfigured, "the primary");
    }
    let mark = OnceKey::new("test", [1; 32]);
    let error = store.once(&mark, Duration::from_secs(1)).await;
    assert_says(&error.expect_err("read only"), Misconfigured, "the primary");
}

#[tokio::test]
async fn a_table_that_a_crash_empties_is_refused() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    place.sql("ALTER TABLE notion_auth_credentials SET UNLOGGED");
    let error = store.health().await.expect_err("a crash empties it");
    assert_says(&error, Misconfigured, "SET LOGGED");
}
