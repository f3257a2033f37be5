use std::time::Duration;

use notion_auth::{
    RedisStore,
    store::{CredentialStore, Nonce, RecordBytes, StoreErrorKind, StoredRecord},
};

use super::{active, assert_says, connected, key, loaded, pass, proxy::Proxy, write};
use crate::servers::redis::start;

fn holding(number: u32) -> StoredRecord {
    StoredRecord {
        bytes: RecordBytes::new(number.to_be_bytes().to_vec()),
        ..active()
    }
}

fn number(record: Option<StoredRecord>) -> u32 {
    record.map_or(0, |it| {
        u32::from_be_bytes(it.bytes.as_slice().try_into().unwrap())
    })
}

/// Writers that count, and a server that is killed. Acknowledged writes must be present afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_writes_survive_a_killed_server() {
    const WRITERS: usize = 8;
    let Some(mut server) = start() else { return };
    for round in 0..3 {
        let store = connected(&server).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let subject = format!("{round}-{number}");
                    let key = key(&subject);
                    let (mut seen, mut answered) = (None, 0);
                    loop {
                        let new = holding(answered + 1);
                        let swapped = store.compare_and_swap(&key, seen, &new);
                        match swapped.await {
                            Ok(swapped) => assert!(swapped, "no other writer"),
                            Err(_) => return (subject, answered),
                        }
                        seen = Some(new.revision);
                        answered += 1;
                    }
                })
            })
            .collect();
        let first = format!("{round}-0");
        while number(loaded(&store, &first).await) <= 20 {
            tokio::task::yield_now().await;
        }
        server.kill();
        let mut answered = Vec::new();
        for writer in writers {
            answered.push(writer.await.unwrap());
        }
        server.start();
        let store = connected(&server).await;
        for (subject, answered) in answered {
            let found = number(loaded(&store, &subject).await);
            assert!(
                found == answered || found == answered + 1,
                "{subject}: {answered} was answered, {found} is there"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_without_a_response_is_an_error_and_not_repeated() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let (before, after) = (active(), active());
    write(&store, "ann", &before).await;

    let proxy = Proxy::losing(&server, "HSET").await;
    let lossy = RedisStore::connect(proxy.url()).await.unwrap();
    let (ann, seen) = (key("ann"), Some(before.revision));
    let swapped = lossy.compare_and_swap(&ann, seen, &after).await;
    let error = swapped.expect_err("the answer was lost");
    assert_says(&error, StoreErrorKind::Unavailable, "was lost");
    assert_eq!(loaded(&store, "ann").await, Some(after));
    assert_eq!(proxy.heard(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonce_without_a_response_is_an_error_and_not_repeated() {
    let Some(server) = start() else { return };
    let proxy = Proxy::losing(&server, "NX").await;
    let lossy = RedisStore::connect(proxy.url()).await.unwrap();
    let nonce = Nonce::new("test", [1; 32]);
    let consumed = lossy.consume_nonce(&nonce, Duration::from_secs(60)).await;
    let error = consumed.expect_err("the answer was lost");
    assert_says(&error, StoreErrorKind::Unavailable, "was lost");
    assert_eq!(proxy.heard(), 1);
    assert_eq!(server.ask(&["DBSIZE"]).unwrap(), "1");
}

/// As a server or network closes idle connections.
#[tokio::test]
async fn connection_closed_while_idle_is_replaced() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for number in 0..3 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        pass(Duration::from_secs(1)).await;
        let nonce = Nonce::new("test", [number; 32]);
        let consumed = store.consume_nonce(&nonce, Duration::from_secs(60)).await;
        assert!(consumed.unwrap());
    }
}
