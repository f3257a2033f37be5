use std::{sync::atomic::Ordering, time::Duration};

use notion_auth::{
    RedisStore,
    store::{
        AttemptId, Change, CredentialStore, Expected, OnceKey, Record, Revision, Saved,
        StoreErrorKind,
    },
};

use super::{assert_says, connect_subject, connected, holding, key, proxy::Proxy, save};
use crate::servers::redis::start;

#[tokio::test]
async fn an_address_where_nobody_answers_is_said() {
    let Some(mut server) = start() else { return };
    server.stop();
    let refused = RedisStore::connect(server.url()).await;
    let error = refused.expect_err("it is not there");
    assert_says(&error, StoreErrorKind::Unavailable, "nobody answers");
}

/// Each writer goes on from what it was told; whatever else happened, that must be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_answered_is_there_after_the_server_was_killed() {
    const WRITERS: usize = 8;
    let Some(mut server) = start() else { return };
    let store = connected(&server).await;
    for round in 0..3 {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let subject = format!("{round}-{number}");
                    let key = key(&subject);
                    let mut expected = Expected::Absent;
                    let mut answered = 0;
                    while let Ok(saved) = store
                        .save(
                            &key,
                            holding(Change::Connect, None),
                            expected,
                            AttemptId::random(),
                        )
                        .await
                    {
                        let Saved::Done(generation) = saved else {
                            panic!("nobody else saves: {saved:?}");
                        };
                        answered = generation;
                        expected = Expected::Generation(generation);
                    }
                    (subject, answered)
                })
            })
            .collect();
        let first = format!("{round}-0");
        while !matches!(store.load(&key(&first)).await, Ok(Some(it)) if it.generation > 20) {
            tokio::task::yield_now().await;
        }
        server.kill();
        let mut answered = Vec::new();
        for writer in writers {
            answered.push(writer.await.unwrap());
        }
        server.start();
        for (subject, generation) in answered {
            let found = store.load(&key(&subject)).await.unwrap();
            let found = found.map_or(0, |record| record.generation);
            assert!(
                found == generation || found == generation + 1,
                "{subject}: {generation} was answered, {found} is there"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_was_started_again_is_found_by_the_first_who_asks() {
    let Some(mut server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    server.stop();
    let error = store.load(&key("ann")).await.expect_err("it is not there");
    assert_says(&error, StoreErrorKind::Unavailable, "nobody answers");
    server.start();
    assert_eq!(save(&store, "ann", holding(Change::Refresh, None)).await, 2);
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_said_and_then_good() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    server.ask(&["CLIENT", "PAUSE", "6000"]).unwrap();
    let error = store.load(&key("ann")).await.expect_err("it is paused");
    assert_says(&error, StoreErrorKind::Unavailable, "not answered in time");
    assert!(store.load(&key("ann")).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_an_error_and_not_made_again() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    let before = store.load(&key("ann")).await.unwrap().unwrap();
    let after = Record {
        revision: Revision::from_bytes([7; 8]),
        generation: 7,
        ..before.clone()
    };

    let proxy = Proxy::start(&server, "EVAL").await;
    let lossy = RedisStore::connect(proxy.url()).await.unwrap();
    let ann = key("ann");
    let replaced = lossy.replace(&ann, Some(before.revision), &after).await;
    let error = replaced.expect_err("nobody knows whether it was made");
    assert_says(&error, StoreErrorKind::Unavailable, "was lost");
    assert_eq!(proxy.seen.load(Ordering::Relaxed), 1);
    let found = store.load(&ann).await.unwrap().unwrap();
    assert_eq!((found.generation, found.revision), (7, after.revision));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_whose_answer_was_lost_is_known_by_its_attempt() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    let proxy = Proxy::start(&server, "EVAL").await;
    let lossy = RedisStore::connect(proxy.url()).await.unwrap();
    let (ann, attempt) = (key("ann"), AttemptId::random());
    let expected = Expected::Generation(1);
    for store in [&lossy, &store, &lossy] {
        let saved = store.save(&ann, holding(Change::Refresh, None), expected, attempt);
        match saved.await {
            Ok(saved) => assert_eq!(saved, Saved::Done(2)),
            Err(error) => assert_says(&error, StoreErrorKind::Unavailable, "was lost"),
        }
    }
    assert_eq!(store.load(&ann).await.unwrap().unwrap().generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_whose_answer_is_lost_is_an_error_and_never_seen_by_who_set_it() {
    let Some(server) = start() else { return };
    let proxy = Proxy::start(&server, "PX").await;
    let lossy = RedisStore::connect(proxy.url());
    let mark = OnceKey::new("test", [1; 32]);
    let lossy = lossy.await.unwrap();
    let error = lossy.once(&mark, Duration::from_secs(60)).await;
    let error = error.expect_err("nobody knows whether it was set");
    assert_says(&error, StoreErrorKind::Unavailable, "was lost");
    assert_eq!(proxy.seen.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_whose_connection_is_lost_is_done_again() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    // As a server does with clients that were idle for too long.
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    assert!(store.load(&key("ann")).await.unwrap().is_some());
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    assert_eq!(save(&store, "ann", holding(Change::Refresh, None)).await, 2);
}
