use std::time::{Duration, SystemTime};

use notion_auth::store::{
    CredentialStore, Filter, ListQuery, Nonce, RecordKey, RecordState,
    StoreErrorKind::{Misconfigured, Rejected},
    StoredRecord,
};

use super::{assert_says, database, insert, key, load, record};

#[tokio::test]
async fn list_under_a_locale_is_in_byte_order() {
    let Some(mut database) = database() else {
        return;
    };
    let english = format!("{}_english", database.name);
    database.sql(&format!(
        "CREATE DATABASE {english} LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"
    ));
    database.name = english;
    assert_eq!(database.sql("SELECT 'a' < 'B'"), "t", "as people sort");
    let store = database.store().await;
    for subject in ["b", "a", "B"] {
        insert(&store, subject).await;
    }
    let query = ListQuery::default().after(key("A").subject().clone());
    let page = store.list("test", &query.limit(2)).await.unwrap();
    let subjects: Vec<_> = page.iter().map(|it| it.subject.as_str()).collect();
    assert_eq!(subjects, ["B", "a"]);
}

#[tokio::test]
async fn list_by_prefix_or_bot_and_purge_read_no_more_than_they_return() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    database.sql(
        "INSERT INTO notion_auth_credentials \
         SELECT 'test', 'user ' || n, n, 'active', 'bot ' || n, now(), '' \
         FROM generate_series(1, 20000) AS n; \
         ANALYZE notion_auth_credentials; SELECT pg_stat_reset()",
    );
    let all = ListQuery::default().limit(100_000);
    let prefix = all.clone().prefix("user 1234");
    assert_eq!(store.list("test", &prefix).await.unwrap().len(), 11);
    let bot = all.filter(Filter::Bot("bot 7".to_owned()));
    assert_eq!(store.list("test", &bot).await.unwrap().len(), 1);
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    // A server process updates its statistics when it exits.
    store.pool().close().await;
    database.sql(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let reads = database.sql(
        "SELECT indexrelname, idx_scan, idx_tup_read FROM pg_stat_user_indexes \
         WHERE relname = 'notion_auth_credentials' ORDER BY 1",
    );
    assert_eq!(
        reads,
        "notion_auth_credentials_by_bot|1|1\n\
         notion_auth_credentials_pkey|1|11\n\
         notion_auth_credentials_tombstones|1|0"
    );
}

#[tokio::test]
async fn record_of_an_unknown_state_is_unreadable_and_matches_no_state() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    insert(&store, "ann").await;
    database.sql("UPDATE notion_auth_credentials SET state = 'dormant', bytes = ''");
    let loaded = load(&store).await.unwrap();
    assert_eq!(loaded.state, RecordState::Unreadable);
    for (filter, listed) in [
        (Filter::All, 1),
        (Filter::Active, 0),
        (Filter::NeedsReauthorization, 0),
        (Filter::Disconnected, 0),
    ] {
        let page = store
            .list("test", &ListQuery::default().filter(filter))
            .await;
        assert_eq!(page.unwrap().len(), listed);
    }
}

#[tokio::test]
async fn purge_removes_tombstones_after_a_day_and_expired_nonces() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let now = store.load(&key("ann")).await.unwrap().now;
    let tombstone = StoredRecord {
        state: RecordState::Disconnected,
        updated_at: now,
        ..record("")
    };
    insert(&store, "ann").await;
    assert!(
        store
            .compare_and_swap(&key("ben"), None, &tombstone)
            .await
            .unwrap()
    );
    for number in [1, 2] {
        let nonce = Nonce::new("test", [number; 32]);
        assert!(
            store
                .consume_nonce(&nonce, Duration::from_secs(600))
                .await
                .unwrap()
        );
    }
    let age = |interval| {
        database.sql(&format!(
            "UPDATE notion_auth_credentials SET updated_at = updated_at - interval '{interval}' \
             WHERE subject = 'ben'"
        ));
    };
    age("23 hours 50 minutes");
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    age("10 minutes");
    database.sql(
        "UPDATE notion_auth_nonces SET ends_at = now() WHERE digest = decode(repeat('01', 32), 'hex')",
    );
    assert_eq!(store.purge_expired().await.unwrap(), 2);
    assert!(load(&store).await.is_some());
    assert!(store.load(&key("ben")).await.unwrap().record.is_none());
    assert_eq!(database.sql("SELECT count(*) FROM notion_auth_nonces"), "1");
}

#[tokio::test]
async fn text_with_a_nul_is_refused_by_name() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let nonce = Nonce::new("canary\0", [1; 32]);
    let after = key("canary\0").subject().clone();
    let of_one = [
        store.load(&key("canary\0")).await.err(),
        store
            .compare_and_swap(&key("canary\0"), None, &record(""))
            .await
            .err(),
        store
            .list("test", &ListQuery::default().prefix("canary\0"))
            .await
            .err(),
        store
            .list("test", &ListQuery::default().after(after))
            .await
            .err(),
    ];
    let of_all = [
        store
            .load(&RecordKey::new("canary\0", key("ann").subject().clone()))
            .await
            .err(),
        store
            .consume_nonce(&nonce, Duration::from_secs(1))
            .await
            .err(),
        store.list("canary\0", &ListQuery::default()).await.err(),
    ];
    for (errors, kind) in [(&of_one[..], Rejected), (&of_all, Misconfigured)] {
        for error in errors {
            let error = error.as_ref().expect("it has a NUL");
            assert_says(error, kind, "a NUL character in");
        }
    }
}

#[tokio::test]
async fn key_too_long_for_the_index_is_refused() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    // Random, because the server compresses repeated text.
    let longest: String = (0..2_600 - "test".len())
        .map(|_| fastrand::alphanumeric())
        .collect();
    insert(&store, &longest).await;
    assert!(store.load(&key(&longest)).await.unwrap().record.is_some());
    let error = store.load(&key(&format!("{longest}x"))).await;
    assert_says(&error.expect_err("too long"), Rejected, "is too long");
}

#[tokio::test]
async fn any_bot_id_can_be_saved() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let bot: String = (0..20_000).map(|_| fastrand::alphanumeric()).collect();
    let bot = format!("\0{bot}");
    let new = StoredRecord {
        bot_id: Some(bot.clone()),
        ..record("canary")
    };
    assert!(
        store
            .compare_and_swap(&key("ann"), None, &new)
            .await
            .unwrap()
    );
    let query = ListQuery::default().filter(Filter::Bot(bot));
    let page = store.list("test", &query).await.unwrap();
    assert_eq!(page[0].record.bytes, new.bytes);
}

#[tokio::test]
async fn times_beyond_the_maximum_are_clamped() {
    let Some(database) = database() else { return };
    let store = database.store().await;
    let nonce = Nonce::new("test", [1; 32]);
    assert!(store.consume_nonce(&nonce, Duration::MAX).await.unwrap());
    assert!(!store.consume_nonce(&nonce, Duration::MAX).await.unwrap());
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    for updated_at in [late, SystemTime::UNIX_EPOCH] {
        let new = StoredRecord {
            updated_at,
            ..record("")
        };
        let seen = load(&store).await.map(|it| it.revision);
        assert!(
            store
                .compare_and_swap(&key("ann"), seen, &new)
                .await
                .unwrap()
        );
        let year_2255 = SystemTime::UNIX_EPOCH + Duration::from_micros(1 << 53);
        let kept = load(&store).await.unwrap().updated_at;
        assert_eq!(kept, updated_at.min(year_2255));
    }
}
