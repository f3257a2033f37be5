use std::{cell::RefCell, time::Duration};

use notion_auth::PostgresStore;

use super::{database, link::Link, until_idle};
use crate::{servers::postgres::start, stores::recovery_time::measure};

const AIM: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes two minutes"]
async fn requests_succeed_within_10_seconds_after_a_killed_server_is_back() {
    let Some(server) = start() else { return };
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let server = RefCell::new(server);
    for seconds in [1, 20] {
        let (down, up) = (
            || server.borrow_mut().kill(),
            || server.borrow_mut().start(),
        );
        let lasts = Duration::from_secs(seconds);
        measure("PostgreSQL killed", store.clone(), down, lasts, up, AIM).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes two minutes"]
async fn requests_succeed_within_10_seconds_after_a_failover() {
    let Some(server) = start() else { return };
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let directory = server.psql(&server.url(), "SHOW data_directory");
    let server = RefCell::new(server);
    // The server at the address becomes a standby, and is promoted later.
    let demote = || {
        let mut server = server.borrow_mut();
        server.stop();
        std::fs::write(format!("{directory}/standby.signal"), "").unwrap();
        server.start();
    };
    let promote = || {
        let server = server.borrow();
        let promoted = server.psql(&server.url(), "SELECT pg_promote()");
        assert_eq!(promoted, "t");
    };
    for seconds in [1, 20] {
        let lasts = Duration::from_secs(seconds);
        measure(
            "PostgreSQL a standby",
            store.clone(),
            demote,
            lasts,
            promote,
            AIM,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes half a minute"]
async fn requests_succeed_within_10_seconds_after_all_connections_died() {
    let Some(database) = database() else { return };
    database.store().await;
    let link = Link::to(&database).await;
    let store = PostgresStore::connect(&link.url_of(&database))
        .await
        .unwrap();
    until_idle(store.pool()).await;
    let down = || link.kill_connections();
    let what = "PostgreSQL connections lead nowhere";
    measure(what, store, down, Duration::ZERO, || (), AIM).await;
}
