use notion_auth::{
    RedisStore,
    store::{CredentialStore, Filter, ListQuery, StoredRecord},
};

use super::{INDEX, active, connected, hash, key, listed, loaded, tombstone, write};
use crate::servers::redis::{Redis, start};

fn all() -> ListQuery {
    ListQuery::default().limit(999)
}

fn is_entered(server: &Redis, subject: &str) -> bool {
    // The response is the score, or empty.
    !server.ask(&["ZSCORE", INDEX, subject]).unwrap().is_empty()
}

#[tokio::test]
async fn list_skips_expired_tombstones_and_purge_removes_entries() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    write(&store, "ann", &active()).await;
    write(&store, "ben", &tombstone()).await;
    assert_eq!(listed(&store, &all()).await, ["ann", "ben"]);

    server.ask(&["PEXPIRE", &hash("ben"), "0"]).unwrap();
    for filter in [Filter::All, Filter::Disconnected] {
        let page = listed(&store, &all().filter(filter)).await;
        assert!(!page.contains(&"ben".to_owned()), "{page:?}");
    }
    assert!(is_entered(&server, "ben"));
    assert_eq!(store.purge_expired().await.unwrap(), 1);
    assert!(!is_entered(&server, "ben"));
    assert!(is_entered(&server, "ann"));
    assert_eq!(store.purge_expired().await.unwrap(), 0);
}

#[tokio::test]
async fn purge_covers_all_namespaces_of_only_its_prefix() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let other = store.clone().prefix("notion-auth:index:").unwrap();
    let old = StoredRecord {
        updated_at: std::time::UNIX_EPOCH,
        ..tombstone()
    };
    let namespaces = ["", "test", "a b", "*", "{x}", "}:index:{y}"];
    for namespace in namespaces {
        for store in [&store, &other] {
            let key = notion_auth::store::RecordKey::new(namespace, "ann".into());
            assert!(store.compare_and_swap(&key, None, &old).await.unwrap());
        }
    }
    let expected = namespaces.len() as u64;
    assert_eq!(store.purge_expired().await.unwrap(), expected);
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    assert_eq!(other.purge_expired().await.unwrap(), expected);
    assert_eq!(server.ask(&["DBSIZE"]).unwrap(), "0");
}

#[tokio::test]
async fn pages_are_filled_from_as_many_records_as_needed() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let subjects: Vec<String> = (0..450).map(|number| format!("{number:03}")).collect();
    for subject in &subjects {
        write(&store, subject, &active()).await;
    }
    for last in ["250", "449"] {
        write(&store, last, &tombstone()).await;
    }
    let disconnected = || all().filter(Filter::Disconnected);
    assert_eq!(listed(&store, &all()).await, subjects);
    assert_eq!(listed(&store, &all().limit(250)).await, subjects[..250]);
    assert_eq!(listed(&store, &disconnected()).await, ["250", "449"]);
    assert_eq!(listed(&store, &disconnected().limit(1)).await, ["250"]);
    let next = disconnected().after(notion_auth::Subject::new("250"));
    assert_eq!(listed(&store, &next.limit(1)).await, ["449"]);
    assert_eq!(listed(&store, &all().prefix("44")).await, subjects[440..]);
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    assert_eq!(listed(&store, &all()).await, subjects);
}

/// Purges and writes at the same time, on subjects with an index entry and without a record.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn purge_hides_no_concurrently_written_record() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let other = connected(&server).await;
    let subjects: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
    for _ in 0..3 {
        let purges = tokio::spawn({
            let other: RedisStore = other.clone();
            async move {
                for _ in 0..20 {
                    other.purge_expired().await.unwrap();
                }
            }
        });
        for subject in &subjects {
            write(&store, subject, &active()).await;
        }
        purges.await.unwrap();
        assert_eq!(listed(&store, &all()).await, subjects);
        for subject in &subjects {
            server.ask(&["DEL", &hash(subject)]).unwrap();
        }
    }
}

#[tokio::test]
async fn tombstones_expire_after_24_hours_but_not_reconnects() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let lifetime = || -> i64 {
        let ttl = server.ask(&["PTTL", &hash("ann")]).unwrap();
        ttl.parse().unwrap()
    };
    let day = 24 * 60 * 60 * 1_000;
    write(&store, "ann", &active()).await;
    assert_eq!(lifetime(), -1);
    for _ in 0..2 {
        write(&store, "ann", &tombstone()).await;
        assert!((day - 60_000..=day).contains(&lifetime()));
        write(&store, "ann", &active()).await;
        assert_eq!(lifetime(), -1);
    }
    // A refused swap does not change the expiry.
    let seen = Some(tombstone().revision);
    let swapped = store
        .compare_and_swap(&key("ann"), seen, &tombstone())
        .await;
    assert!(!swapped.unwrap());
    assert_eq!(lifetime(), -1);
    assert!(loaded(&store, "ann").await.is_some());
}
