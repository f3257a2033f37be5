//! All records are sealed anew, while they are used.

use notion_auth::{
    NotionAuthProvider, Subject,
    provider::Rotation,
    store::{AttemptId, ClaimAnswer, CredentialStore as _, RecordKey},
    testing::notion::{Call, Fault},
};
use tokio::time::{Duration, sleep, timeout};

use super::vault::{Vault, keyring, told, unreadable};

/// Goes through all pages, and adds them up.
async fn rotate_all(provider: &NotionAuthProvider, limit: usize) -> Rotation {
    let mut sum = Rotation::default();
    loop {
        let page = provider.rotate(sum.next.as_ref(), limit).await.unwrap();
        let found = page.resealed + page.current + page.pending.len() + page.unreadable.len();
        assert!(found <= limit);
        sum.resealed += page.resealed;
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
        rotation.resealed,
        rotation.current,
        rotation.pending.len(),
        rotation.unreadable.len(),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_another_key_has_sealed_is_sealed_by_the_first_and_nothing_else_is_touched() {
    let vault = Vault::new(&[1]);
    let new = vault.provider(&[2, 1]);
    for subject in ["a", "b", "dead", "gone", "strange", "damaged"] {
        vault.world.connect(subject).await;
    }
    vault.connect_by(&new, "c").await;
    vault.connect_by(&vault.provider(&[9]), "lost").await;
    let dead = vault.world.provider.acquire(&"dead".into()).await.unwrap();
    vault.world.notion.revoke_grant(dead.expose_token());
    let error = vault.world.provider.refresh(&"dead".into()).await;
    error.unwrap_err();
    vault
        .world
        .provider
        .disconnect(&"gone".into())
        .await
        .unwrap();
    vault.plant_payload("strange", b"\x07...".to_vec()).await;
    vault.disk.damage("damaged");
    let before = vault.record("a").await;

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
    assert!(told(&rotation.unreadable[0]).contains("a column cannot be read"));
    assert!(unreadable("lost", &rotation.unreadable[1]).contains("no key"));
    let after = vault.record("a").await;
    assert_eq!(after.generation, before.generation);
    assert_eq!(after.updated_at, before.updated_at);
    assert_eq!(after.labels, before.labels);

    // The old key is not needed any more, and what could not be read is as it was.
    let rotation = rotate_all(&vault.provider(&[2]), 100).await;
    assert_eq!(counts(&rotation), [0, 4, 0, 3]);
    let kept = vault.provider(&[9]).load_credentials(&"lost".into()).await;
    assert!(kept.unwrap().is_some());
    vault.provider(&[2]).refresh(&"a".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rotation_can_be_cut_off_and_begun_again_or_gone_on_with() {
    let vault = Vault::new(&[1]);
    let subjects: Vec<_> = (0..20).map(|at| format!("subject-{at:02}")).collect();
    for subject in &subjects {
        vault.world.connect(subject).await;
    }
    // A page is done, and the process is another one then.
    let page = vault.provider(&[2, 1]).rotate(None, 5).await.unwrap();
    assert_eq!(counts(&page), [5, 0, 0, 0]);
    assert_eq!(page.next.as_ref().unwrap().as_str(), "subject-04");
    let page = vault.provider(&[2, 1]).rotate(page.next.as_ref(), 5).await;
    assert_eq!(counts(&page.unwrap()), [5, 0, 0, 0]);

    // It is dropped in the middle of a page.
    vault.disk.set_load_delay(Duration::from_millis(100));
    let new = vault.provider(&[2, 1]);
    let cut_off = timeout(Duration::from_millis(1350), new.rotate(None, 100)).await;
    assert!(cut_off.is_err());
    vault.disk.set_load_delay(Duration::ZERO);
    for subject in &subjects {
        assert!(new.status(&(&**subject).into()).await.unwrap().is_some());
        assert!(new.load_credentials(&(&**subject).into()).await.is_ok());
    }

    let rotation = rotate_all(&new, 7).await;
    let [resealed, current, ..] = counts(&rotation);
    assert!(resealed > 0 && current > 10 && resealed + current == 20);
    assert_eq!(
        counts(&rotate_all(&vault.provider(&[2]), 7).await),
        [0, 20, 0, 0]
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_being_refreshed_is_left_to_whoever_refreshes_it() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    vault.world.connect("ben").await;
    let new = vault.provider(&[2, 1]);
    let slow = Fault::DelayAfter(Duration::from_secs(5));
    vault.world.notion.script(Call::Refresh, [slow]);
    let refreshing = tokio::spawn({
        let provider = vault.world.provider.clone();
        async move { provider.refresh(&"ann".into()).await }
    });
    sleep(Duration::from_secs(1)).await;

    let rotation = rotate_all(&new, 10).await;
    assert_eq!(counts(&rotation), [1, 0, 1, 0]);
    assert_eq!(rotation.pending, [Subject::new("ann")]);
    refreshing.await.unwrap().unwrap();
    // It did not have the new key in front: there is something left to do.
    assert_eq!(counts(&rotate_all(&new, 10).await), [1, 1, 0, 0]);
    let only_new = vault.provider(&[2]);
    only_new.refresh(&"ann".into()).await.unwrap();
    assert!(
        vault
            .world
            .notion
            .ledger()
            .refresh_token_reuses()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_was_refreshing_is_pending_until_somebody_refreshes_it() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    let key = RecordKey::new("notion", "ann".into());
    let (dead, lease) = (AttemptId::random(), Duration::from_secs(30));
    let claimed = vault.disk.claim(&key, 1, dead, lease, None).await.unwrap();
    assert_eq!(claimed, ClaimAnswer::Claimed);
    let new = vault.provider(&[2, 1]);
    for _ in 0..3 {
        assert_eq!(counts(&rotate_all(&new, 10).await), [0, 0, 1, 0]);
        sleep(Duration::from_secs(60)).await;
    }
    new.refresh(&"ann".into()).await.unwrap();
    assert_eq!(counts(&rotate_all(&new, 10).await), [0, 1, 0, 0]);
    vault.provider(&[2]).acquire(&"ann".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_while_a_record_is_sealed_anew_stands() {
    for change in ["refresh", "reconnect", "disconnect", "delete"] {
        let vault = Vault::new(&[1]);
        let ann = "ann".into();
        vault.world.connect("ann").await;
        let new = vault.provider(&[2, 1]);
        vault.disk.set_load_delay(Duration::from_secs(1));
        let rotating = tokio::spawn({
            let new = new.clone();
            async move { new.rotate(None, 10).await }
        });
        sleep(Duration::from_millis(500)).await;
        // The rotation has read it, and does not know yet.
        vault.disk.set_load_delay(Duration::ZERO);
        let old = &vault.world.provider;
        match change {
            "refresh" => drop(old.refresh(&ann).await.unwrap()),
            "reconnect" => drop(vault.world.connect("ann").await),
            "disconnect" => drop(old.disconnect(&ann).await.unwrap()),
            _ => old.delete_credentials(&ann).await.unwrap(),
        }
        let rotation = rotating.await.unwrap().unwrap();
        if matches!(change, "disconnect" | "delete") {
            assert_eq!(counts(&rotation), [0, 0, 0, 0], "{change}");
            assert!(new.acquire(&ann).await.unwrap_err().is_not_connected());
            assert!(vault.record("ann").await.payload.as_bytes().is_empty());
        } else {
            assert_eq!(counts(&rotation), [1, 0, 0, 0], "{change}");
            assert_eq!(vault.record("ann").await.generation, 2);
            assert_eq!(
                new.load_credentials(&ann).await.unwrap().map(drop),
                Some(())
            );
            new.refresh(&ann).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_change_under_a_crowd_that_refreshes_and_nothing_is_lost() {
    let vault = Vault::new(&[1]);
    let subjects: Vec<Subject> = (0..12).map(|at| format!("s{at:02}").into()).collect();
    for subject in &subjects {
        vault.world.connect(subject.as_str()).await;
    }
    vault.disk.set_load_delay(Duration::from_millis(3));
    let steps: [[&[u8]; 2]; 5] = [
        [&[1], &[1, 2]],
        [&[1, 2], &[1, 2]],
        [&[1, 2], &[2, 1]],
        [&[2, 1], &[2, 1]],
        [&[2, 1], &[2]],
    ];
    for (step, replicas) in steps.into_iter().enumerate() {
        let replicas = replicas.map(|keys| vault.provider(keys));
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
    let ledger = vault.world.notion.ledger();
    assert!(ledger.refresh_token_reuses().is_empty());
    let last = vault.provider(&[2]);
    assert_eq!(counts(&rotate_all(&last, 5).await), [0, 12, 0, 0]);
    for subject in &subjects {
        let stored = last.load_credentials(subject).await.unwrap().unwrap();
        let living = ledger.living_pair(stored.bot_id().unwrap()).unwrap();
        assert_eq!(stored.access_token.expose(), living.0);
        assert_eq!(stored.refresh_token.unwrap().expose(), living.1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sealed_without_keys_and_a_limit_of_nothing_is_not_the_end() {
    let vault = Vault::in_clear();
    vault.world.connect("ann").await;
    let error = vault.world.provider.rotate(None, 10).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    assert!(error.to_string().contains("keys"), "{error}");

    let moving = vault.build(|builder| builder.keys(keyring(&[1])).plaintext_at_rest());
    let page = moving.unwrap().rotate(None, 0).await.unwrap();
    assert_eq!(counts(&page), [1, 0, 0, 0]);
    assert!(page.next.is_some());
}
