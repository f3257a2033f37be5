use std::sync::{Arc, atomic::Ordering};

use notion_auth::{
    RedisStore,
    store::{Change, CredentialStore, Filter},
};

use super::{INDEX, connect_subject, connected, hash, holding, key, proxy::Proxy, save};
use crate::servers::redis::{Redis, start};

async fn listed(store: &RedisStore, filter: Filter) -> Vec<String> {
    let page = store.list("test", None, 999, filter).await.unwrap();
    page.iter()
        .map(|it| it.subject.as_str().to_owned())
        .collect()
}

async fn of_bot(store: &RedisStore, bot: &str) -> Vec<String> {
    listed(store, Filter::Bot(bot.to_owned())).await
}

fn is_entered(server: &Redis, entry: &str) -> bool {
    // The score, or nothing.
    !server.ask(&["ZSCORE", INDEX, entry]).unwrap().is_empty()
}

#[tokio::test]
async fn an_entry_without_a_record_is_passed_over_and_swept() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    save(&store, "ann", holding(Change::Connect, Some("bot"))).await;
    for entry in ["subject:ben", "bot:3:bot:ben"] {
        server.ask(&["ZADD", INDEX, "0", entry]).unwrap();
    }
    assert_eq!(listed(&store, Filter::All).await, ["ann"]);
    assert_eq!(of_bot(&store, "bot").await, ["ann"]);

    assert_eq!(store.sweep().await.unwrap(), 0);
    for entry in ["subject:ben", "bot:3:bot:ben"] {
        assert!(!is_entered(&server, entry));
    }
    for entry in ["subject:ann", "bot:3:bot:ann"] {
        assert!(is_entered(&server, entry));
    }
    assert_eq!(listed(&store, Filter::All).await, ["ann"]);
}

#[tokio::test]
async fn a_bots_subjects_are_those_whose_records_say_so() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    for (subject, bot) in [("ann", "a"), ("ben", "a"), ("eve", "a:"), ("zoe", "")] {
        save(&store, subject, holding(Change::Connect, Some(bot))).await;
    }
    save(&store, "ben", holding(Change::Connect, Some("b"))).await;

    assert_eq!(of_bot(&store, "a").await, ["ann"]);
    assert_eq!(of_bot(&store, "b").await, ["ben"]);
    assert_eq!(of_bot(&store, "a:").await, ["eve"]);
    assert_eq!(of_bot(&store, "").await, ["zoe"]);
    assert!(
        is_entered(&server, "bot:1:a:ben"),
        "it was there, and nobody has swept"
    );
    store.sweep().await.unwrap();
    assert!(!is_entered(&server, "bot:1:a:ben"));
    assert_eq!(of_bot(&store, "b").await, ["ben"]);
    assert_eq!(
        listed(&store, Filter::All).await,
        ["ann", "ben", "eve", "zoe"]
    );
}

#[tokio::test]
async fn a_record_that_lost_its_entries_has_them_again_after_its_next_change() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    save(&store, "ann", holding(Change::Connect, Some("bot"))).await;
    server.ask(&["DEL", INDEX]).unwrap();
    assert!(listed(&store, Filter::All).await.is_empty());
    save(&store, "ann", holding(Change::Refresh, Some("bot"))).await;
    assert_eq!(listed(&store, Filter::All).await, ["ann"]);
    assert_eq!(of_bot(&store, "bot").await, ["ann"]);
}

#[tokio::test]
async fn what_is_entered_and_never_written_is_before_the_record() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    connect_subject(&store, "ann").await;
    let before = store.load(&key("ann")).await.unwrap().unwrap();
    // A sorted set that cannot take an entry: then the record is not changed, either.
    server.ask(&["SET", INDEX, "canary"]).unwrap();
    let ben = key("ben");
    let replaced = store.replace(&ben, None, &before).await;
    replaced.expect_err("it cannot be listed");
    assert_eq!(server.ask(&["EXISTS", &hash("ben")]).unwrap(), "0");
}

#[tokio::test]
async fn a_page_is_filled_from_as_many_entries_as_it_takes() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let subjects: Vec<String> = (0..600).map(|number| format!("{number:03}")).collect();
    for subject in &subjects {
        connect_subject(&store, subject).await;
    }
    for last in ["450", "599"] {
        save(&store, last, holding(Change::Disconnect, None)).await;
    }
    assert_eq!(listed(&store, Filter::All).await, subjects);
    assert_eq!(listed(&store, Filter::Disconnected).await, ["450", "599"]);
    let page = store.list("test", Some("450"), 1, Filter::Disconnected);
    assert_eq!(page.await.unwrap()[0].subject.as_str(), "599");
    store.sweep().await.unwrap();
    assert_eq!(listed(&store, Filter::All).await, subjects);
}

/// As a sweep does that looked before the record was there, and comes between.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_entries_are_swept_while_it_is_written_is_listed() {
    let Some(server) = start() else { return };
    let server = Arc::new(server);
    let sweeper = Arc::clone(&server);
    let removed = move || {
        let entries = ["ZREM", INDEX, "subject:ann", "bot:3:bot:ann"];
        sweeper.ask(&entries).unwrap();
    };
    let proxy = Proxy::that_waits(&server, "bot_id", removed).await;
    let slow = RedisStore::connect(proxy.url()).await.unwrap();
    save(&slow, "ann", holding(Change::Connect, Some("bot"))).await;
    let store = connected(&server).await;
    assert_ne!(proxy.seen.load(Ordering::Relaxed), 0);
    assert_eq!(listed(&store, Filter::All).await, ["ann"]);
    assert_eq!(of_bot(&store, "bot").await, ["ann"]);
}

/// As a writer does that comes between the sweep's look at the record and its removal of the entries.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_written_while_its_entries_are_swept_is_listed() {
    let Some(server) = start() else { return };
    let server = Arc::new(server);
    let store = connected(&server).await;
    save(&store, "ann", holding(Change::Connect, Some("bot"))).await;
    server.ask(&["RENAME", &hash("ann"), "aside"]).unwrap();
    let writer = Arc::clone(&server);
    let written = move || {
        writer.ask(&["RENAME", "aside", &hash("ann")]).unwrap();
    };
    let proxy = Proxy::that_waits(&server, "ZREM", written).await;
    let sweeper = RedisStore::connect(proxy.url()).await.unwrap();
    sweeper.sweep().await.unwrap();
    assert_eq!(proxy.seen.load(Ordering::Relaxed), 1);
    assert_eq!(listed(&store, Filter::All).await, ["ann"]);
    assert_eq!(of_bot(&store, "bot").await, ["ann"]);
}

/// Sweeps and writers at once, on subjects whose entries are there and whose records are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_hides_no_record_that_is_made_meanwhile() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let other = connected(&server).await;
    let subjects: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
    for round in 0..5 {
        let sweeps = tokio::spawn({
            let other = other.clone();
            async move {
                for _ in 0..20 {
                    other.sweep().await.unwrap();
                }
            }
        });
        for subject in &subjects {
            let bot = format!("bot-{round}");
            save(&store, subject, holding(Change::Connect, Some(&bot))).await;
        }
        sweeps.await.unwrap();
        assert_eq!(listed(&store, Filter::All).await, subjects);
        assert_eq!(of_bot(&store, &format!("bot-{round}")).await, subjects);
        for subject in &subjects {
            server.ask(&["DEL", &hash(subject)]).unwrap();
        }
    }
}
