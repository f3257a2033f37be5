use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use notion_auth::{
    PostgresStore,
    sqlx::{self, Connection, PgConnection, postgres::PgPoolOptions},
    store::{
        AttemptId, Change, CredentialStore, Expected, OnceKey, Payload, Record, Revision, Saved,
        StoreErrorKind::{Misconfigured, Unavailable},
    },
};

use tokio::time::timeout;

use super::{
    super::small_disk::SmallDisk, assert_says, connect_subject, holding, key, payload, place, save,
};
use crate::servers::postgres;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_that_goes_and_comes_back_has_lost_nothing() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let url = postgres.url();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(500));
    let store = PostgresStore::new(pool.connect(&url).await.unwrap());
    store.migrate().await.unwrap();
    for (round, is_crash) in [(1, false), (2, true)] {
        let expected = match round {
            1 => Expected::Absent,
            _ => Expected::Generation(1),
        };
        let saved = save(&store, "ann", expected, &format!("{round}")).await;
        assert_eq!(saved.unwrap(), Saved::Done(round));
        match is_crash {
            false => postgres.stop(),
            true => postgres.kill(),
        }
        let mark = OnceKey::new("test", [9; 32]);
        for error in [
            store.load(&key("ann")).await.err(),
            save(&store, "ann", expected, "canary").await.err(),
            store.once(&mark, Duration::from_secs(60)).await.err(),
            store.health().await.err(),
        ] {
            assert_says(&error.unwrap(), Unavailable, "");
        }
        postgres.start();
        assert_eq!(payload(&store, "ann").await, format!("{round}"));
        store.health().await.unwrap();
    }
    drop(postgres);
    let error = PostgresStore::connect(&url).await.expect_err("it is gone");
    assert_says(&error, Unavailable, "the server is down");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let Some(place) = place() else { return };
    let url = place.url_of("nobody_of_that_name");
    let error = PostgresStore::connect(&url)
        .await
        .expect_err("no such role");
    assert_says(&error, Misconfigured, "the role's name");
    let url = place.postgres.url_of("postgres", "no_such_database");
    let error = PostgresStore::connect(&url)
        .await
        .expect_err("no such database");
    assert_says(&error, Misconfigured, "the database is not there");
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_said() {
    let Some(place) = place() else { return };
    place.store().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(100))
        .connect(&place.url())
        .await
        .unwrap();
    let store = PostgresStore::new(pool);
    let taken = store.pool().acquire().await.unwrap();
    let error = store.load(&key("ann")).await.expect_err("none is free");
    assert_says(&error, Unavailable, "in use");
    drop(taken);
    assert!(store.load(&key("ann")).await.unwrap().is_none());
    store.pool().close().await;
    let error = store.load(&key("ann")).await.expect_err("it is closed");
    assert_says(&error, Unavailable, "closed by this process");
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_unavailable_and_then_good() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    connect_subject(&store, "ann").await;
    let mut operator = PgConnection::connect(&place.url()).await.unwrap();
    let mut transaction = operator.begin().await.unwrap();
    sqlx::query("SELECT FROM notion_auth_credentials FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let saving = save(&store, "ann", Expected::Generation(1), "canary");
    let saved = timeout(PATIENCE, saving).await.expect("it gives up");
    assert_says(&saved.expect_err("it is held"), Unavailable, "locked");
    transaction.rollback().await.unwrap();
    let saved = save(&store, "ann", Expected::Generation(1), "canary").await;
    assert_eq!(saved.unwrap(), Saved::Done(2));
}

/// Polls a save, as a process runs, until its change is made and not committed; and no more.
#[tokio::test]
async fn who_is_suspended_between_change_and_commit_does_not_stop_the_others() {
    const CHANGED: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL \
         AND state = 'idle in transaction' AND datname = current_database()";

    let Some(place) = place() else { return };
    let (store, other) = (place.store().await, place.connect().await);
    connect_subject(&store, "ann").await;
    let mut generation = 1;
    let suspended = 'suspended: loop {
        let (store, expected) = (store.clone(), Expected::Generation(generation));
        let mut save = Box::pin(async move { save(&store, "ann", expected, "late").await });
        loop {
            match poll_fn(|context| Poll::Ready(save.as_mut().poll(context))).await {
                Poll::Ready(saved) => {
                    generation += 1;
                    assert_eq!(saved.unwrap(), Saved::Done(generation));
                    break;
                }
                Poll::Pending if place.sql(CHANGED) == "1" => break 'suspended save,
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
    };
    let mut tries = 0;
    loop {
        match save(&other, "ann", Expected::Generation(generation), "done").await {
            Ok(saved) => break assert_eq!(saved, Saved::Done(generation + 1)),
            Err(error) => assert_says(&error, Unavailable, "locked"),
        }
        tries += 1;
        assert!(tries < 3, "the row is held for ever");
    }
    let error = suspended.await.expect_err("its change is undone");
    assert_says(&error, Unavailable, "suspended");
    assert_eq!(payload(&other, "ann").await, "done");
}

/// Lets go of operations after each number of steps, and asks whether what the application does next on
/// the same connection is committed, as it would be on a fresh one.
#[tokio::test]
async fn an_operation_that_is_let_go_of_leaves_no_transaction_open() {
    let Some(place) = place() else { return };
    place.store().await;
    place.sql("CREATE TABLE application (number bigint)");
    let pool = PgPoolOptions::new().max_connections(1);
    let store = PostgresStore::new(pool.connect(&place.url()).await.unwrap());
    let is_done = async |number: u8, steps: usize| {
        let mark = OnceKey::new("test", [number; 32]);
        let mut once = pin!(store.once(&mark, Duration::from_secs(60)));
        let mut step = 0;
        poll_fn(|context| {
            step += 1;
            match once.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    answer.unwrap();
                    Poll::Ready(true)
                }
                Poll::Pending if step == steps => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    };
    // On a busy machine several answers are there at once, and a step is left out.
    let (mut dropped, mut steps) = (0, 1);
    while dropped < 8 {
        if is_done(dropped + u8::try_from(steps).unwrap(), steps).await {
            steps = 1;
            continue;
        }
        sqlx::query("INSERT INTO application VALUES (1)")
            .execute(store.pool())
            .await
            .unwrap();
        dropped += 1;
        let kept = place.sql("SELECT count(*) FROM application");
        assert_eq!(kept, dropped.to_string(), "after {steps} steps");
        steps += 1;
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_lost() {
    let Some(mut postgres) = postgres::start() else {
        return;
    };
    let Some(disk) = SmallDisk::mount("1m") else {
        return;
    };
    let store = PostgresStore::connect(&postgres.url()).await.unwrap();
    store.migrate().await.unwrap();
    connect_subject(&store, "ann").await;
    let path = disk.path().display();
    let owner = std::process::Command::new("chown")
        .arg("postgres")
        .arg(disk.path())
        .status();
    assert!(owner.unwrap().success());
    for sql in [
        format!("CREATE TABLESPACE small LOCATION '{path}'"),
        "ALTER TABLE notion_auth_credentials SET TABLESPACE small".to_owned(),
    ] {
        postgres.psql(&postgres.url(), &sql);
    }
    let before = store.load(&key("ann")).await.unwrap().unwrap();
    let large = Record {
        payload: Payload::from_bytes((0..2 << 20).map(|_| fastrand::u8(..)).collect()),
        revision: Revision::from_bytes([7; 8]),
        ..before.clone()
    };
    let ann = key("ann");
    let replaced = store.replace(&ann, Some(before.revision), &large).await;
    assert_says(
        &replaced.expect_err("no room"),
        Unavailable,
        "no disk space",
    );
    let after = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!(after.payload, before.payload);
    assert_eq!(after.revision, before.revision);
    let new = holding(Change::Refresh, "small");
    let saved = store.save(&ann, new, Expected::Generation(1), AttemptId::random());
    assert_eq!(saved.await.unwrap(), Saved::Done(2));
    postgres.stop();
}
