//! Each shared store, and how it goes down for a while.

#[cfg(any(feature = "postgres", feature = "redis"))]
use std::sync::Mutex;
use std::time::Duration;

use super::{run::survive, setup::Database};
#[cfg(any(feature = "postgres", feature = "redis"))]
use crate::servers;

/// How long the store is down: longer than one operation may take.
const OUTAGE: Duration = Duration::from_secs(3);

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_suspended_processes_lose_nothing_in_sqlite() {
    use sqlx::{Connection, SqliteConnection};

    let directory = crate::temporary::Directory::new();
    let path = directory.path().join("notion.db");
    let url = format!("sqlite://{}", path.display());
    survive(Database::Sqlite(path), async || {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let lock = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        tokio::time::sleep(OUTAGE).await;
        lock.rollback().await.unwrap();
    })
    .await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_suspended_processes_lose_nothing_in_postgres() {
    let Some(server) = servers::postgres::start() else {
        return;
    };
    let url = server.url();
    notion_auth::PostgresStore::connect(&url)
        .await
        .unwrap()
        .migrate()
        .await
        .unwrap();
    let server = Mutex::new(server);
    survive(Database::Postgres(url), async || {
        tokio::task::block_in_place(|| server.lock().unwrap().kill());
        tokio::time::sleep(OUTAGE).await;
        tokio::task::block_in_place(|| server.lock().unwrap().start());
    })
    .await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_suspended_processes_lose_nothing_in_redis() {
    let Some(server) = servers::redis::start() else {
        return;
    };
    let url = server.url();
    let server = Mutex::new(server);
    survive(Database::Redis(url), async || {
        tokio::task::block_in_place(|| server.lock().unwrap().kill());
        tokio::time::sleep(OUTAGE).await;
        tokio::task::block_in_place(|| server.lock().unwrap().start());
    })
    .await;
}
