use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use notion_auth::{
    integrations::sqlx::{self, Connection, PgConnection},
    store::{CredentialStore, Nonce, StoreErrorKind::Unavailable},
};
use tokio::time::timeout;

use super::{assert_says, database, insert, load, record, replace};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn swap_of_a_locked_row_times_out_and_works_later() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let seen = insert(&store, "ann").await;
    let mut operator = PgConnection::connect(&database.url()).await.unwrap();
    let mut transaction = operator.begin().await.unwrap();
    sqlx::query("SELECT FROM notion_auth_credentials FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let new = record("canary");
    let replaced = timeout(PATIENCE, replace(&store, &seen, &new)).await;
    let error = replaced.expect("it gives up").expect_err("it is locked");
    let reason = "SQLSTATE 55P03: canceling statement due to lock timeout";
    assert_says(&error, Unavailable, reason);
    transaction.rollback().await.unwrap();
    assert!(replace(&store, &seen, &new).await.unwrap());
}

/// Polls a swap until its change is made and not committed, and then stops, like a suspended process.
#[tokio::test]
async fn swap_suspended_before_its_commit_does_not_block_others() {
    const CHANGED: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL \
         AND state = 'idle in transaction' AND datname = current_database()";

    let Some(database) = database() else { return };
    let (store, other) = (database.store().await, database.connect().await);
    let mut seen = insert(&store, "ann").await;
    let suspended = 'suspended: loop {
        let (store, old, new) = (store.clone(), seen.clone(), record("late"));
        seen = new.clone();
        let mut swap = Box::pin(async move { replace(&store, &old, &new).await });
        loop {
            match poll_fn(|context| Poll::Ready(swap.as_mut().poll(context))).await {
                Poll::Ready(swapped) => break assert!(swapped.unwrap()),
                Poll::Pending if database.sql(CHANGED) == "1" => break 'suspended swap,
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
    };
    let seen = load(&other).await.unwrap();
    let new = record("done");
    let mut tries = 0;
    loop {
        match replace(&other, &seen, &new).await {
            Ok(swapped) => break assert!(swapped),
            Err(error) => assert_says(&error, Unavailable, "SQLSTATE 55P03"),
        }
        tries += 1;
        assert!(tries < 3, "the row is locked for ever");
    }
    let error = suspended.await.expect_err("its change is undone");
    assert_says(&error, Unavailable, "SQLSTATE 25P03");
    assert_eq!(load(&other).await, Some(new));
}

/// Drops operations after each number of steps. The application's next transaction on the same pool must be
/// committed.
#[tokio::test]
async fn operation_dropped_after_any_step_leaves_no_transaction_open() {
    let Some(database) = database() else { return };
    let store = database.store_on_a_pool().await;
    database.sql("CREATE TABLE application (number bigint)");
    let is_done = async |number: u8, steps: usize| {
        let nonce = Nonce::new("test", [number; 32]);
        let mut consume = pin!(store.consume_nonce(&nonce, Duration::from_secs(60)));
        let mut step = 0;
        poll_fn(|context| {
            step += 1;
            match consume.as_mut().poll(context) {
                Poll::Ready(consumed) => {
                    consumed.unwrap();
                    Poll::Ready(true)
                }
                Poll::Pending if step == steps => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    };
    // On a busy machine, several responses may be ready at once, so that a step is skipped.
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
        let kept = database.sql("SELECT count(*) FROM application");
        assert_eq!(kept, dropped.to_string(), "after {steps} steps");
        steps += 1;
    }
}
