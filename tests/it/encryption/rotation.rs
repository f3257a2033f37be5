//! Key rotation: all records are encrypted again with a new key while they are in use.

use std::error::Error as _;

use notion_auth::{
    MemoryStore, NotionAuthProvider, Subject,
    provider::Rotation,
    testing::{
        MockNotion, TestClock,
        notion::{Call, Fault},
    },
};
use serde_json::json;
use tokio::time::{Duration, sleep, timeout};

use super::setup::{Setup, chain, keyring, payload, unreadable};
use crate::{
    faulty_store::{FaultyStore, IgnoresAfter},
    support::{World, edit_record},
};

/// Rotates all pages. Returns the sum.
async fn rotate_all(provider: &NotionAuthProvider, limit: usize) -> Rotation {
    let mut sum = Rotation::default();
    loop {
        let page = provider.rotate(sum.next.as_ref(), limit).await.unwrap();
        let found = page.re_encrypted + page.current + page.pending.len() + page.unreadable.len();
        assert!(found <= limit);
        sum.re_encrypted += page.re_encrypted;
        sum.current += page.current;
        sum.pending.extend(page.pending);
        sum.unreadable.extend(page.unreadable);
        if page.next.is_none() {
            assert_eq!(found, 0);
            return sum;
        }
        sum.next = page.next;
    }
}

fn counts(rotation: &Rotation) -> [usize; 4] {
    [
        rotation.re_encrypted,
        rotation.current,
        rotation.pending.len(),
        rotation.unreadable.len(),
    ]
}

#[tokio::test(start_paused = true)]
async fn rotation_over_a_store_that_ignores_after_ends_with_an_error() {
    let store = FaultyStore::new(MemoryStore::with_clock(TestClock::new()), IgnoresAfter);
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.store(store).keys(keyring(&[1]))
    });
    for subject in ["ann", "ben"] {
        world.connect(subject).await;
    }
    let page = world.provider.rotate(None, 2).await.unwrap();
    assert_eq!(counts(&page), [0, 2, 0, 0]);
    let error = world.provider.rotate(page.next.as_ref(), 2).await;
    let error = error.unwrap_err();
    let cause = error.source().expect("an error of the store").to_string();
    assert!(cause.contains("only subjects behind `after`"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn rotation_re_encrypts_other_keys_records_and_nothing_else() {
    let setup = Setup::new(&[1]);
    let new = setup.provider(&[2, 1]);
    for subject in ["a", "b", "dead", "gone", "strange", "damaged"] {
        setup.world.connect(subject).await;
    }
    setup.connect_by(&new, "c").await;
    setup.connect_by(&setup.provider(&[9]), "lost").await;
    let dead = setup.world.provider.acquire(&"dead".into()).await.unwrap();
    setup.world.notion.revoke_grant(dead.expose());
    let error = setup.world.provider.refresh(&"dead".into()).await;
    error.unwrap_err();
    setup
        .world
        .provider
        .disconnect(&"gone".into())
        .await
        .unwrap();
    setup.write_payload("strange", b"\x07...").await;
    setup.disk.damage("damaged");
    let mut before = setup.record("a").await;

    let rotation = rotate_all(&new, 3).await;
    assert_eq!(counts(&rotation), [3, 1, 0, 3], "{rotation:?}");
    let mut unread: Vec<&Subject> = Vec::new();
    for error in &rotation.unreadable {
        unread.push(error.subject().unwrap());
    }
    unread.sort_by_key(|subject| subject.as_str());
    assert_eq!(
        unread,
        [&"damaged".into(), &"lost".into(), &"strange".into()]
    );
    assert!(chain(&rotation.unreadable[0]).contains("a column cannot be read"));
    let lost = unreadable("lost", &rotation.unreadable[1]);
    assert!(lost.contains("NOTION_AUTH_KEYS"), "{lost}");
    let after = setup.record("a").await;
    assert_ne!(payload(&after)[1..9], payload(&before)[1..9]);
    before["payload"] = after["payload"].clone();
    assert_eq!(after, before, "only the payload changes");

    // The old key is not needed any more, and unreadable records are unchanged.
    let rotation = rotate_all(&setup.provider(&[2]), 100).await;
    assert_eq!(counts(&rotation), [0, 4, 0, 3]);
    let kept = setup.provider(&[9]).load_credentials(&"lost".into()).await;
    assert!(kept.unwrap().is_some());
    setup.provider(&[2]).refresh(&"a".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn interrupted_rotation_can_be_repeated_or_continued() {
    let setup = Setup::new(&[1]);
    let subjects: Vec<_> = (0..20).map(|at| format!("subject-{at:02}")).collect();
    for subject in &subjects {
        setup.world.connect(subject).await;
    }
    // Another process continues after the first page.
    let page = setup.provider(&[2, 1]).rotate(None, 5).await.unwrap();
    assert_eq!(counts(&page), [5, 0, 0, 0]);
    assert_eq!(page.next.as_ref().unwrap().as_str(), "subject-04");
    let page = setup.provider(&[2, 1]).rotate(page.next.as_ref(), 5).await;
    assert_eq!(counts(&page.unwrap()), [5, 0, 0, 0]);

    // The future is dropped in the middle of a page.
    setup.disk.set_load_delay(Duration::from_millis(100));
    let new = setup.provider(&[2, 1]);
    let cut_off = timeout(Duration::from_millis(1350), new.rotate(None, 100)).await;
    assert!(cut_off.is_err());
    setup.disk.set_load_delay(Duration::ZERO);
    for subject in &subjects {
        assert!(new.status(&(&**subject).into()).await.unwrap().is_some());
        assert!(new.load_credentials(&(&**subject).into()).await.is_ok());
    }

    let rotation = rotate_all(&new, 7).await;
    let [re_encrypted, current, ..] = counts(&rotation);
    assert!(re_encrypted > 0 && current > 10 && re_encrypted + current == 20);
    assert_eq!(
        counts(&rotate_all(&setup.provider(&[2]), 7).await),
        [0, 20, 0, 0]
    );
}

#[tokio::test(start_paused = true)]
async fn record_being_refreshed_is_pending_and_left_alone() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    setup.world.connect("ben").await;
    let new = setup.provider(&[2, 1]);
    let slow = Fault::DelayAfter(Duration::from_secs(5));
    setup.world.notion.script(Call::Refresh, [slow]);
    let refreshing = tokio::spawn({
        let provider = setup.world.provider.clone();
        async move { provider.refresh(&"ann".into()).await }
    });
    sleep(Duration::from_secs(1)).await;

    let rotation = rotate_all(&new, 10).await;
    assert_eq!(counts(&rotation), [1, 0, 1, 0]);
    assert_eq!(rotation.pending, [Subject::new("ann")]);
    refreshing.await.unwrap().unwrap();
    // The refreshing process did not have the new key first.
    assert_eq!(counts(&rotate_all(&new, 10).await), [1, 1, 0, 0]);
    let only_new = setup.provider(&[2]);
    only_new.refresh(&"ann".into()).await.unwrap();
    setup.assert_no_token_was_reused();
}

#[tokio::test(start_paused = true)]
async fn lease_of_a_dead_process_is_pending_until_a_refresh() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    edit_record(&setup.world.store, "ann", |json| {
        json["lease"] = json!({
            "attempt": "00112233445566778899aabbccddeeff",
            "since": json["connected_at"],
            "duration": 30_000_000,
            "in_doubt": false,
        });
    })
    .await;
    let new = setup.provider(&[2, 1]);
    for _ in 0..3 {
        assert_eq!(counts(&rotate_all(&new, 10).await), [0, 0, 1, 0]);
        sleep(Duration::from_secs(60)).await;
    }
    // The refresh fails until the lease was seen unchanged for long enough.
    while let Err(error) = new.refresh(&"ann".into()).await {
        assert!(error.is_transient(), "{error}");
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(counts(&rotate_all(&new, 10).await), [0, 1, 0, 0]);
    setup.provider(&[2]).acquire(&"ann".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn concurrent_change_wins_over_re_encryption() {
    for change in ["refresh", "reconnect", "disconnect", "delete"] {
        let setup = Setup::new(&[1]);
        let ann = "ann".into();
        setup.world.connect("ann").await;
        let new = setup.provider(&[2, 1]);
        setup.disk.set_load_delay(Duration::from_secs(1));
        let rotating = tokio::spawn({
            let new = new.clone();
            async move { new.rotate(None, 10).await }
        });
        sleep(Duration::from_millis(500)).await;
        // The rotation has read the record, and the store's response is delayed.
        setup.disk.set_load_delay(Duration::ZERO);
        let old = &setup.world.provider;
        match change {
            "refresh" => drop(old.refresh(&ann).await.unwrap()),
            "reconnect" => drop(setup.world.connect("ann").await),
            "disconnect" => drop(old.disconnect(&ann).await.unwrap()),
            _ => old.delete_credentials(&ann).await.unwrap(),
        }
        let rotation = rotating.await.unwrap().unwrap();
        if matches!(change, "disconnect" | "delete") {
            assert_eq!(counts(&rotation), [0, 0, 0, 0], "{change}");
            assert!(new.acquire(&ann).await.unwrap_err().is_not_connected());
            assert_eq!(setup.record("ann").await["payload"], "");
        } else {
            assert_eq!(counts(&rotation), [1, 0, 0, 0], "{change}");
            let generation = if change == "refresh" { 2 } else { 1 };
            assert_eq!(setup.record("ann").await["generation"], generation);
            assert_eq!(
                new.load_credentials(&ann).await.unwrap().map(drop),
                Some(())
            );
            new.refresh(&ann).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn key_rotation_during_refreshes_loses_nothing() {
    let setup = Setup::new(&[1]);
    let subjects: Vec<Subject> = (0..12).map(|at| format!("s{at:02}").into()).collect();
    for subject in &subjects {
        setup.world.connect(subject.as_str()).await;
    }
    setup.disk.set_load_delay(Duration::from_millis(3));
    let steps: [[&[u8]; 2]; 5] = [
        [&[1], &[1, 2]],
        [&[1, 2], &[1, 2]],
        [&[1, 2], &[2, 1]],
        [&[2, 1], &[2, 1]],
        [&[2, 1], &[2]],
    ];
    for (step, replicas) in steps.into_iter().enumerate() {
        let replicas = replicas.map(|keys| setup.provider(keys));
        let mut tasks = Vec::new();
        for (at, subject) in subjects.iter().enumerate() {
            let (provider, subject) = (replicas[at % 2].clone(), subject.clone());
            tasks.push(tokio::spawn(async move {
                sleep(Duration::from_millis(at as u64 * 5)).await;
                provider.refresh(&subject).await.unwrap();
            }));
        }
        let rotation = rotate_all(&replicas[1], 5).await;
        assert_eq!(counts(&rotation)[3], 0, "{step}: {rotation:?}");
        for task in tasks {
            task.await.unwrap();
        }
        if step == 3 {
            let rotation = rotate_all(&replicas[0], 5).await;
            assert_eq!(counts(&rotation)[2..], [0, 0], "{rotation:?}");
        }
    }
    let ledger = setup.world.notion.ledger();
    assert!(ledger.refresh_token_reuses().is_empty());
    let last = setup.provider(&[2]);
    assert_eq!(counts(&rotate_all(&last, 5).await), [0, 12, 0, 0]);
    for subject in &subjects {
        let stored = last.load_credentials(subject).await.unwrap().unwrap();
        let living = ledger.living_pair(stored.bot_id().unwrap()).unwrap();
        assert_eq!(stored.access_token.expose(), living.0);
        assert_eq!(stored.refresh_token.unwrap().expose(), living.1);
    }
}

#[tokio::test(start_paused = true)]
async fn rotation_without_keys_fails_and_limit_zero_is_one() {
    let setup = Setup::plaintext();
    setup.world.connect("ann").await;
    let error = setup.world.provider.rotate(None, 10).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    assert!(error.to_string().contains("keys"), "{error}");

    let moving = setup.build(|builder| builder.keys(keyring(&[1])).plaintext_at_rest());
    let page = moving.rotate(None, 0).await.unwrap();
    assert_eq!(counts(&page), [1, 0, 0, 0]);
    assert!(page.next.is_some());
}
