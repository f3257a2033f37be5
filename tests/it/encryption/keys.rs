//! Several keys, and missing keys.

use notion_auth::{
    NotionAuthProvider, ReauthorizationReason,
    provider::Revocation,
    store::{Filter, ListQuery, RecordState},
};
use tokio::time::{Duration, sleep};

use super::setup::{Setup, chain, keyring, unreadable};
use crate::support::{auth_error, send, status};

/// Returns the ID of the key that encrypted the subject's record.
async fn key_id(setup: &Setup, subject: &str) -> String {
    let payload = setup.payload(subject).await;
    payload[1..9]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn can_read(provider: &NotionAuthProvider, subject: &str) -> bool {
    provider.load_credentials(&subject.into()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn first_key_encrypts_and_all_keys_decrypt() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let both = setup.provider(&[2, 1]);
    setup.connect_by(&both, "ben").await;

    let (anns, bens) = (key_id(&setup, "ann").await, key_id(&setup, "ben").await);
    assert_ne!(anns, bens);
    let readers: [(&[u8], bool, bool); 5] = [
        (&[1], true, false),
        (&[2], false, true),
        (&[2, 1], true, true),
        (&[1, 2], true, true),
        (&[3, 4, 2, 1], true, true),
    ];
    for (keys, ann, ben) in readers {
        let reader = setup.provider(keys);
        assert_eq!(can_read(&reader, "ann").await, ann, "{keys:?}");
        assert_eq!(can_read(&reader, "ben").await, ben, "{keys:?}");
    }
    // The next write encrypts with the first key of the process that writes.
    both.refresh(&"ann".into()).await.unwrap();
    assert_eq!(key_id(&setup, "ann").await, bens);
    assert!(!can_read(&setup.provider(&[1]), "ann").await);
}

#[tokio::test(start_paused = true)]
async fn missing_key_is_named_and_nothing_is_lost() {
    let setup = Setup::new(&[1]);
    let ann = "ann@example.org";
    setup.world.connect(ann).await;
    let without_key = setup.provider(&[2]);
    setup.connect_by(&without_key, "ben").await;
    let before = setup.stored(ann).await;

    for _ in 0..3 {
        let errors = [
            without_key.load_credentials(&ann.into()).await.unwrap_err(),
            without_key.acquire(&ann.into()).await.unwrap_err(),
            without_key.refresh(&ann.into()).await.unwrap_err(),
        ];
        for error in errors {
            let text = unreadable(ann, &error);
            let name = format!("encrypted with key {}", key_id(&setup, ann).await);
            assert!(text.contains(&name), "{text}");
            assert!(text.contains("NOTION_AUTH_KEYS"), "{text}");
            assert!(!text.contains("example.org"), "{text}");
        }
        let status = without_key.status(&ann.into()).await.unwrap().unwrap();
        assert_eq!(status.state, RecordState::Unreadable);
        assert_eq!((status.generation, status.refreshed_at), (1, None));
        assert!(status.lineage.is_some() && status.workspace_name.is_some());
        sleep(Duration::from_secs(600)).await;
    }
    // The same provider serves other subjects.
    without_key.acquire(&"ben".into()).await.unwrap();

    let after = setup.stored(ann).await;
    assert_eq!(after.revision, before.revision, "the record was written");
    let query = ListQuery::default().filter(Filter::NeedsReauthorization);
    assert_eq!(without_key.list(&query).await.unwrap(), []);
    assert!(setup.world.notion.ledger().refreshes().is_empty());
    setup.provider(&[2, 1]).refresh(&ann.into()).await.unwrap();
    setup.provider(&[1]).acquire(&ann.into()).await.unwrap_err();
    assert!(can_read(&setup.provider(&[3, 1, 2]), ann).await);
}

#[tokio::test(start_paused = true)]
async fn unreadable_record_is_not_invalidated_after_a_401() {
    let setup = Setup::new(&[1]);
    let credentials = setup.world.connect("ann").await;
    assert_eq!(
        status(setup.world.client(), setup.world.get("ann")).await,
        200
    );
    // A replica with a newer key refreshes. This one has the old token cached, and receives a 401.
    let newer = setup.provider(&[2, 1]);
    newer.refresh(&"ann".into()).await.unwrap();
    let token = credentials.access_token.expose();
    setup.world.notion.revoke_access_token(token);
    let error = send(setup.world.client(), setup.world.get("ann")).await;
    let error = error.unwrap_err();
    let text = unreadable("ann", auth_error(&error));
    assert!(text.contains("NOTION_AUTH_KEYS"), "{text}");

    sleep(Duration::from_secs(600)).await;
    assert_eq!(setup.stored("ann").await.state, RecordState::Active);
    newer.refresh(&"ann".into()).await.unwrap();
    setup.assert_no_token_was_reused();
    assert_eq!(setup.world.notion.ledger().refreshes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn unreadable_record_can_be_ended_and_replaced() {
    for end in ["disconnect", "delete", "reconnect"] {
        let setup = Setup::new(&[1]);
        setup.world.connect("ann").await;
        let lineage = setup.record("ann").await["lineage"].clone();
        let without_key = setup.provider(&[2]);
        let ann = "ann".into();
        without_key.acquire(&ann).await.unwrap_err();
        match end {
            "disconnect" => {
                let ended = without_key.disconnect(&ann).await.unwrap();
                let Revocation::Unreadable(error) = ended else {
                    panic!("tokens that can't be read were revoked: {ended:?}");
                };
                unreadable("ann", &error);
            }
            "delete" => without_key.delete_credentials(&ann).await.unwrap(),
            _ => {}
        }
        if end != "reconnect" {
            assert_eq!(without_key.status(&ann).await.unwrap(), None);
            let error = without_key.acquire(&ann).await.unwrap_err();
            assert!(error.is_not_connected(), "{end}: {error}");
        }
        setup.connect_by(&without_key, "ann").await;
        let record = setup.record("ann").await;
        assert_eq!(record["replaced_lineage"], lineage, "{end}");
        assert_ne!(record["lineage"], lineage, "{end}");
        let acquired = setup.provider(&[2]).acquire(&ann).await.unwrap();
        assert_eq!(acquired.generation(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn revoked_connection_keeps_its_reason_without_the_key() {
    let setup = Setup::new(&[1]);
    let ann = "ann".into();
    let credentials = setup.world.connect("ann").await;
    let token = credentials.access_token.expose();
    setup.world.notion.revoke_grant(token);
    setup.world.provider.refresh(&ann).await.unwrap_err();
    let revoked = RecordState::NeedsReauthorization(ReauthorizationReason::Revoked);
    for keys in [1, 2] {
        let status = setup.provider(&[keys]).status(&ann).await.unwrap().unwrap();
        assert_eq!(status.state, revoked);
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_payload_format_affects_only_its_subject() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    setup.world.connect("ben").await;
    let payloads: [&[u8]; 4] = [
        b"\x03form",
        b"{\"another\":\"application\"}",
        b"",
        b"\x02short",
    ];
    for payload in payloads {
        setup.write_payload("ann", payload).await;
        let error = setup.world.provider.load_credentials(&"ann".into()).await;
        let text = unreadable("ann", &error.unwrap_err());
        assert!(text.contains("damaged"), "{text}");
    }
    setup.world.assert_nothing_lost("ben").await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_in_no_debug_output_and_no_error() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let record = setup.stored("ann").await;
    let builder = setup.world.notion.provider_builder().unwrap();
    let builder = builder.keys(keyring(&[1]));
    let error = setup.provider(&[2]).acquire(&"ann".into()).await;
    let error = error.unwrap_err();
    let shown = format!(
        "{builder:?} {:?} {record:?} {error:?} {}",
        setup.world.provider,
        chain(&error)
    );
    assert!(!shown.contains("1, 1, 1"), "{shown}");
    assert!(!shown.contains("01010101"), "{shown}");
    let length = record.bytes.as_slice().len();
    let bytes = format!("RecordBytes({length} bytes)");
    assert!(shown.contains(&bytes), "{shown}");
}
