//! Several keys, and keys that are not there.

use notion_auth::{
    NotionAuthProvider, ReauthorizationReason,
    provider::Revocation,
    store::{Filter, Record, RecordState},
};
use tokio::time::{Duration, sleep};

use super::vault::{Vault, keyring, told, unreadable};
use crate::support::status;

/// Which key has sealed the subject's record.
async fn key_id(vault: &Vault, subject: &str) -> String {
    let payload = vault.record(subject).await.payload;
    let id = &payload.as_bytes()[1..9];
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn can_read(provider: &NotionAuthProvider, subject: &str) -> bool {
    provider.load_credentials(&subject.into()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn the_first_key_seals_and_all_of_them_open() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    let both = vault.provider(&[2, 1]);
    vault.connect_by(&both, "ben").await;

    let (anns, bens) = (key_id(&vault, "ann").await, key_id(&vault, "ben").await);
    assert_ne!(anns, bens);
    let readers: [(&[u8], bool, bool); 5] = [
        (&[1], true, false),
        (&[2], false, true),
        (&[2, 1], true, true),
        (&[1, 2], true, true),
        (&[3, 4, 2, 1], true, true),
    ];
    for (keys, ann, ben) in readers {
        let reader = vault.provider(keys);
        assert_eq!(can_read(&reader, "ann").await, ann, "{keys:?}");
        assert_eq!(can_read(&reader, "ben").await, ben, "{keys:?}");
    }
    // What is written next is sealed by whoever writes it, with its first key.
    both.refresh(&"ann".into()).await.unwrap();
    assert_eq!(key_id(&vault, "ann").await, bens);
    assert!(!can_read(&vault.provider(&[1]), "ann").await);
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_is_called_by_its_name_and_nothing_is_lost_until_it_is_back() {
    let vault = Vault::new(&[1]);
    let ann = "ann@example.org";
    vault.world.connect(ann).await;
    let elsewhere = vault.provider(&[2]);
    vault.connect_by(&elsewhere, "ben").await;
    let before = vault.record(ann).await;

    for _ in 0..3 {
        let errors = [
            elsewhere.load_credentials(&ann.into()).await.unwrap_err(),
            elsewhere.acquire(&ann.into()).await.unwrap_err(),
            elsewhere.refresh(&ann.into()).await.unwrap_err(),
        ];
        for error in errors {
            let text = unreadable(ann, &error);
            let name = format!("sealed by key {}", key_id(&vault, ann).await);
            assert!(text.contains(&name), "{text}");
            assert!(text.contains("NOTION_AUTH_KEYS"), "{text}");
            assert!(!text.contains("example.org"), "{text}");
        }
        let status = elsewhere.status(&ann.into()).await.unwrap().unwrap();
        let needed = RecordState::NeedsReauthorization(ReauthorizationReason::Unreadable);
        assert_eq!(status.state, needed);
        assert_eq!((status.generation, status.refreshed_at), (1, None));
        assert!(status.workspace_name.is_some());
        sleep(Duration::from_secs(600)).await;
    }
    // The others are served, by the same provider.
    elsewhere.acquire(&"ben".into()).await.unwrap();

    let after = vault.record(ann).await;
    assert_eq!(after.revision, before.revision, "it was written to");
    let condemned = elsewhere.list(Filter::NeedsReauthorization, None, 10);
    assert_eq!(condemned.await.unwrap(), []);
    assert!(vault.world.notion.ledger().refreshes().is_empty());
    vault.provider(&[2, 1]).refresh(&ann.into()).await.unwrap();
    vault.provider(&[1]).acquire(&ann.into()).await.unwrap_err();
    assert!(can_read(&vault.provider(&[3, 1, 2]), ann).await);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_has_the_token_at_hand_does_not_condemn_what_it_cannot_read_any_more() {
    let vault = Vault::new(&[1]);
    let credentials = vault.world.connect("ann").await;
    assert_eq!(
        status(vault.world.client(), vault.world.get("ann")).await,
        200
    );
    // A replica that is a step ahead refreshes, and this one is refused.
    let ahead = vault.provider(&[2, 1]);
    ahead.refresh(&"ann".into()).await.unwrap();
    vault
        .world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    let error = crate::support::send(vault.world.client(), vault.world.get("ann")).await;
    let error = error.unwrap_err();
    let text = unreadable("ann", crate::support::auth_error(&error));
    assert!(text.contains("no key of the keyring"), "{text}");

    sleep(Duration::from_secs(600)).await;
    assert_eq!(vault.record("ann").await.state, RecordState::Active);
    ahead.refresh(&"ann".into()).await.unwrap();
    let ledger = vault.world.notion.ledger();
    assert!(ledger.refresh_token_reuses().is_empty());
    assert_eq!(ledger.refreshes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_can_be_ended_and_connected_again() {
    for end in ["disconnect", "delete", "reconnect"] {
        let vault = Vault::new(&[1]);
        vault.world.connect("ann").await;
        let elsewhere = vault.provider(&[2]);
        let ann = "ann".into();
        elsewhere.acquire(&ann).await.unwrap_err();
        let mut expected = 2;
        match end {
            "disconnect" => {
                let Revocation::Unreadable(error) = elsewhere.disconnect(&ann).await.unwrap()
                else {
                    panic!("nobody could have revoked it");
                };
                unreadable("ann", &error);
            }
            "delete" => elsewhere.delete_credentials(&ann).await.unwrap(),
            _ => expected -= 1,
        }
        if end != "reconnect" {
            assert_eq!(elsewhere.status(&ann).await.unwrap(), None);
            assert!(
                elsewhere
                    .acquire(&ann)
                    .await
                    .unwrap_err()
                    .is_not_connected()
            );
        }
        vault.connect_by(&elsewhere, "ann").await;
        assert_eq!(vault.record("ann").await.generation, expected + 1, "{end}");
        let acquired = vault.provider(&[2]).acquire(&ann).await.unwrap();
        assert_eq!(acquired.generation(), expected + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_over_stays_over_for_the_reason_that_it_has() {
    let vault = Vault::new(&[1]);
    let ann = "ann".into();
    let credentials = vault.world.connect("ann").await;
    vault
        .world
        .notion
        .revoke_grant(credentials.access_token.expose());
    vault.world.provider.refresh(&ann).await.unwrap_err();
    for keys in [1, 2] {
        let status = vault.provider(&[keys]).status(&ann).await.unwrap().unwrap();
        let revoked = RecordState::NeedsReauthorization(ReauthorizationReason::Revoked);
        assert_eq!(status.state, revoked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_somebody_else_wrote_is_told_from_a_damaged_one() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    vault.world.connect("ben").await;
    for (payload, why) in [
        (&b"\x03what comes next"[..], "newer version"),
        (b"{\"another\":\"application\"}", "something else"),
        (b"", "damaged"),
        (b"\x02short", "damaged"),
    ] {
        vault.plant_payload("ann", payload.to_vec()).await;
        let error = vault.world.provider.load_credentials(&"ann".into()).await;
        let text = unreadable("ann", &error.unwrap_err());
        assert!(text.contains(why), "{text}");
    }
    vault.world.assert_nothing_lost("ben").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_shows_in_nothing_that_people_read() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    let record: Record = vault.record("ann").await;
    let builder = vault.world.notion.provider_builder().unwrap();
    let builder = builder.keys(keyring(&[1]));
    let error = vault.provider(&[2]).acquire(&"ann".into()).await;
    let error = error.unwrap_err();
    let shown = format!(
        "{builder:?} {:?} {record:?} {error:?} {}",
        vault.world.provider,
        told(&error)
    );
    assert!(!shown.contains("1, 1, 1"), "{shown}");
    assert!(!shown.contains("01010101"), "{shown}");
    assert!(shown.contains(&format!(
        "Payload([{} bytes])",
        record.payload.as_bytes().len()
    )));
}
