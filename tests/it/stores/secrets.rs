//! Secrets of a connection URL and of stored records are in no log and no error of this crate or of its
//! dependencies.

use std::{net::Ipv4Addr, time::SystemTime};

use notion_auth::{
    PostgresStore, RedisStore, SqliteStore, Subject,
    store::{
        CredentialStore, ListQuery, RecordBytes, RecordKey, RecordState, Revision, StoreError,
        StoredRecord,
    },
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    secrets::Readable,
    servers::{postgres, redis},
};

/// Each part is a separate canary, so that a part of a password is found.
const SECRETS: [(&str, &str); 3] = [
    ("the first half of the password", "canary-of-the"),
    ("the second half of the password", "-second-half"),
    ("what is stored", "canary-payload"),
];

async fn postgres(url: &str) -> Result<(), StoreError> {
    PostgresStore::connect(url).await?.health().await
}

async fn sqlite(url: &str) -> Result<(), StoreError> {
    SqliteStore::open(url).await.map(drop)
}

async fn redis(url: &str) -> Result<(), StoreError> {
    RedisStore::connect(url).await?.health().await
}

/// Returns the address of a server that closes each connection immediately.
async fn closed() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    address
}

/// Places in which users put passwords, deliberately or not.
const FORMS: [&str; 13] = [
    "SCHEME://ann:PASSWORD@HOST/",
    "SCHEME://:PASSWORD@HOST/",
    "SCHEME://PASSWORD@HOST/",
    "SCHEME://ann:PASSWORD@",
    "SCHEME://ann:12PASSWORD@HOST/",
    "SCHEME:PASSWORD@HOST",
    "SCHEME:/ann:PASSWORD@HOST/",
    "SCHEME://ann@HOST/?sslpassword=PASSWORD",
    "SCHEME://ann@HOST/?sslMode=PASSWORD",
    "SCHEME://ann@HOST/?sslmode=PASSWORD",
    "SCHEME://ann@HOST/?PASSWORD",
    "SCHEME://ann@HOST/?password=PASSWORD",
    "SCHEME://ann@HOST/#PASSWORD",
];

/// Text inside a password: characters with a meaning in URLs, and invalid encodings.
const MIDDLES: [&str; 16] = [
    "", "@", "#", "/", "?", ":", "&", "&x=", "%", "%zz", "%ff", "%00", " ", "\n", "[", "\\",
];

#[tokio::test]
async fn rule_15_no_log_and_no_error_shows_a_part_of_a_url() {
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    let host = closed().await;
    // All on this thread, whose logs are collected.
    let mut refused = JoinSet::new();
    for (middle, form) in MIDDLES.iter().flat_map(|it| FORMS.map(|form| (it, form))) {
        let password = format!("canary-of-the{middle}-second-half");
        let url = form.replace("PASSWORD", &password).replace("HOST", &host);
        let at = move |scheme: &str| url.replace("SCHEME", scheme);
        refused.spawn(async move {
            [
                postgres(&at("postgres")).await.expect_err("it is refused"),
                redis(&at("redis")).await.expect_err("it is refused"),
                redis(&at("rediss")).await.expect_err("it is refused"),
                redis(&at("unix")).await.expect_err("it is refused"),
                sqlite(&at("sqlite")).await.expect_err("it is refused"),
            ]
        });
    }
    for error in refused.join_all().await.iter().flatten() {
        readable.error(error);
    }
    readable.assert_free_of(&SECRETS);
}

#[tokio::test]
async fn rule_15_no_log_and_no_error_shows_a_refused_password() {
    let (Some(postgres_server), Some(redis_server)) = (postgres::shared(), redis::start()) else {
        return;
    };
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    redis_server
        .ask(&["CONFIG", "SET", "requirepass", "right"])
        .unwrap();
    // Neither the role nor the database exists. PostgreSQL's messages contain their names.
    let address = postgres_server.address("127.0.0.1");
    for url in [
        format!("postgres://canary-of-the:-second-half@{address}/postgres?sslmode=disable"),
        format!("postgres://postgres@{address}/canary-of-the-second-half?sslmode=disable"),
    ] {
        readable.error(&postgres(&url).await.unwrap_err());
    }
    let address = redis_server.address("127.0.0.1");
    for user in ["", "canary-of-the"] {
        let url = format!("redis://{user}:canary-of-the-second-half@{address}/");
        readable.error(&redis(&url).await.unwrap_err());
    }
    readable.assert_free_of(&SECRETS);
}

/// Saves, loads and lists a record.
async fn work(store: &impl CredentialStore) {
    let key = RecordKey::new("test", Subject::new("ann"));
    let new = StoredRecord {
        revision: Revision::from_i64(1),
        state: RecordState::Active,
        bot_id: None,
        updated_at: SystemTime::UNIX_EPOCH,
        bytes: RecordBytes::new(b"canary-payload".to_vec()),
    };
    assert!(store.compare_and_swap(&key, None, &new).await.unwrap());
    assert!(store.load(&key).await.unwrap().record.is_some());
    let listed = store.list("test", &ListQuery::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    store.health().await.unwrap();
}

/// An operator's trigger that prints what is saved.
const NOTICE: &str = "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     RAISE WARNING 'saved: %', encode(NEW.bytes, 'escape'); RETURN NEW; END $$; \
     CREATE TRIGGER note BEFORE INSERT ON notion_auth_credentials FOR EACH ROW EXECUTE FUNCTION note()";

#[tokio::test]
async fn rule_15_no_log_shows_what_is_stored() {
    let (Some(server), Some(redis_server)) = (postgres::shared(), redis::start()) else {
        return;
    };
    let url = server.url_of("postgres", &postgres::fresh_database(server));
    let store = PostgresStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    server.psql(&url, NOTICE);
    let redis = RedisStore::connect(redis_server.url()).await.unwrap();
    let directory = crate::temporary::Directory::new();
    let sqlite = SqliteStore::open(directory.path().join("a.db"))
        .await
        .unwrap();

    let readable = Readable::default();
    let _guard = readable.collect_logs();
    work(&store).await;
    work(&redis).await;
    work(&sqlite).await;
    // The logs of the database library were collected.
    readable.assert_says("INSERT INTO");
    readable.assert_free_of(&SECRETS);
}
