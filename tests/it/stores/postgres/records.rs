use std::time::Duration;

use notion_auth::{
    PostgresStore,
    store::{
        AttemptId, Change, CredentialStore, Expected, Filter, Labels, NewRecord, OnceKey,
        RecordKey, RecordState, Saved,
        StoreErrorKind::{Corrupt, Misconfigured},
    },
};

use super::{assert_says, connect_subject, holding, key, place, save};

#[tokio::test]
async fn a_damaged_record_stops_only_its_subject_and_is_listed_as_unreadable() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    for subject in ["zoe", "ben"] {
        connect_subject(&store, subject).await;
    }
    for (change, column) in [
        ("generation = -1", "generation"),
        ("committed_by = '\\x00', generation = 1", "committed_by"),
        ("claim_lease = 5, committed_by = '\\x00'", "claim_since"),
        ("state = 'canary', claim_lease = NULL", "state"),
    ] {
        place.sql(&format!(
            "UPDATE notion_auth_credentials SET {change} WHERE subject = 'zoe'"
        ));
        let error = store.load(&key("zoe")).await.expect_err("it is damaged");
        assert_says(&error, Corrupt, column);
        assert!(!error.to_string().contains("zoe"), "{error}");
        assert!(store.load(&key("ben")).await.unwrap().is_some());
        let page = store.list("test", None, 9, Filter::All).await.unwrap();
        assert_eq!(page.len(), 2);
    }
    let page = store.list("test", None, 9, Filter::NeedsReauthorization);
    let page = page.await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].subject.as_str(), "zoe");
}

#[tokio::test]
async fn tombstones_are_swept_after_a_day_and_marks_when_they_are_over() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    connect_subject(&store, "ann").await;
    connect_subject(&store, "ben").await;
    let tombstone = holding(Change::Disconnect, "");
    let ben = key("ben");
    let saved = store.save(
        &ben,
        tombstone,
        Expected::Generation(1),
        AttemptId::random(),
    );
    assert_eq!(saved.await.unwrap(), Saved::Done(2));
    for number in [1, 2] {
        let mark = OnceKey::new("test", [number; 32]);
        store.once(&mark, Duration::from_secs(600)).await.unwrap();
    }
    let age = |interval| {
        place.sql(&format!(
            "UPDATE notion_auth_credentials SET updated_at = updated_at - interval '{interval}'"
        ));
    };
    age("23 hours 50 minutes");
    assert_eq!(store.sweep().await.unwrap(), 0);
    age("10 minutes");
    place.sql(
        "UPDATE notion_auth_credentials_marks SET ends_at = now() \
         WHERE digest = decode(repeat('01', 32), 'hex')",
    );
    assert_eq!(store.sweep().await.unwrap(), 2);
    let ann = store.load(&key("ann")).await.unwrap();
    assert_eq!(ann.unwrap().state, RecordState::Active);
    assert!(store.load(&ben).await.unwrap().is_none());
    assert_eq!(
        place.sql("SELECT count(*) FROM notion_auth_credentials_marks"),
        "1"
    );
}

#[tokio::test]
async fn names_that_the_server_cannot_keep_are_refused_each_with_its_cure() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    for key in [
        key("canary\0"),
        RecordKey::new("canary\0", key("ann").subject().clone()),
    ] {
        let new = holding(Change::Connect, "canary");
        let saved = store.save(&key, new, Expected::Absent, AttemptId::random());
        let error = saved.await.expect_err("it has a NUL");
        assert_says(&error, Misconfigured, "NUL");
    }
    let listed = store.list("test", Some("canary\0"), 1, Filter::All).await;
    assert_says(&listed.expect_err("a NUL"), Misconfigured, "NUL");

    // Random, since the server packs what repeats itself.
    let name =
        |length: usize| -> String { (0..length).map(|_| fastrand::alphanumeric()).collect() };
    let longest = name(2_600 - "test".len());
    connect_subject(&store, &longest).await;
    assert!(store.load(&key(&longest)).await.unwrap().is_some());
    let error = store.load(&key(&format!("{longest}x"))).await;
    assert_says(&error.expect_err("too long"), Misconfigured, "too long");
}

#[tokio::test]
async fn labels_of_any_kind_do_not_hinder_a_save() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    let bot: String = (0..20_000).map(|_| fastrand::alphanumeric()).collect();
    let labels = Labels {
        workspace_name: Some("a\0b".to_owned()),
        bot_id: Some(format!("\0{bot}")),
    };
    let new = NewRecord {
        labels: labels.clone(),
        ..holding(Change::Connect, "canary")
    };
    let ann = key("ann");
    let saved = store.save(&ann, new, Expected::Absent, AttemptId::random());
    assert_eq!(saved.await.unwrap(), Saved::Done(1));
    let filter = Filter::Bot(labels.bot_id.unwrap_or_default());
    let page = store.list("test", None, 9, filter).await.unwrap();
    assert_eq!(page[0].labels.workspace_name.as_deref(), Some("a\u{fffd}b"));
}

#[tokio::test]
async fn times_without_end_are_kept_as_late_as_they_can_be() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    let mark = OnceKey::new("test", [1; 32]);
    store.once(&mark, Duration::MAX).await.unwrap();
    connect_subject(&store, "ann").await;
    let (ann, mine) = (key("ann"), AttemptId::random());
    store
        .claim(&ann, 1, mine, Duration::MAX, None)
        .await
        .unwrap();
    assert!(store.load(&ann).await.unwrap().unwrap().claim.is_some());
}

#[tokio::test]
async fn what_the_server_says_of_a_row_is_not_in_an_error() {
    let Some(place) = place() else { return };
    let store = place.store().await;
    for obstacle in [
        "ALTER TABLE notion_auth_credentials ADD CONSTRAINT no CHECK (generation > 1)",
        "ALTER TABLE notion_auth_credentials DROP CONSTRAINT no; \
         ALTER TABLE notion_auth_credentials ADD more text NOT NULL",
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'no %', NEW; END $$; \
         CREATE TRIGGER tell BEFORE INSERT ON notion_auth_credentials \
         FOR EACH ROW EXECUTE FUNCTION tell()",
    ] {
        place.sql(obstacle);
        let saved = save(&store, "canary", Expected::Absent, "canary").await;
        assert_says(&saved.expect_err("refused"), Misconfigured, "constraint");
    }
}

#[tokio::test]
async fn a_store_shows_no_password() {
    let Some(place) = place() else { return };
    let url = place.url().replace("postgres@", "postgres:canary@");
    let store = PostgresStore::connect(&url).await.unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains("notion_auth_credentials"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    for url in [
        "mysql://a:canary@b/c",
        "postgres://a:canary@b:canary/c",
        "canary",
    ] {
        let error = PostgresStore::connect(url).await.expect_err(url);
        assert_says(&error, Misconfigured, "");
    }
}

#[tokio::test]
async fn subjects_are_listed_by_their_bytes_whatever_the_database_speaks() {
    let Some(mut place) = place() else { return };
    let english = format!("{}_english", place.database);
    place.sql(&format!(
        "CREATE DATABASE {english} LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"
    ));
    place.database = english;
    assert_eq!(place.sql("SELECT 'a' < 'B'"), "t", "as people sort");
    let store = place.store().await;
    for subject in ["b", "a", "B"] {
        connect_subject(&store, subject).await;
    }
    let page = store.list("test", Some("A"), 2, Filter::All).await.unwrap();
    let subjects: Vec<_> = page.iter().map(|it| it.subject.as_str()).collect();
    assert_eq!(subjects, ["B", "a"]);
}
