//! An encrypted payload is unreadable without its key, and bound to its record.

use notion_auth::NotionAuthProvider;
use serde_json::{Value, json};

use super::setup::{Setup, keyring, payload, unreadable};
use crate::support::{edit_record, record_json, record_key, write_record};

#[tokio::test(start_paused = true)]
async fn no_token_is_in_any_written_record() {
    let setup = Setup::new(&[1]);
    let tokens = whole_life(&setup).await;
    let written = setup.disk.written();
    assert!(written.len() > 8, "{written:?}");
    for record in &written {
        let record = record_json(record);
        assert!(!shows(&record, &tokens), "{record}");
    }

    // The same check finds tokens in plaintext records.
    let setup = Setup::plaintext();
    let tokens = whole_life(&setup).await;
    let mut written = setup.disk.written().into_iter();
    assert!(written.any(|record| shows(&record_json(&record), &tokens)));
}

/// Connects, refreshes twice, loses the grant, connects again and disconnects. Returns all tokens.
async fn whole_life(setup: &Setup) -> Vec<String> {
    let (world, ann) = (&setup.world, "ann".into());
    let mut tokens = Vec::new();
    let mut note = |credentials: notion_auth::NotionUserCredentials| {
        tokens.push(credentials.access_token.expose().to_owned());
        tokens.push(credentials.refresh_token.unwrap().expose().to_owned());
    };
    note(world.connect("ann").await);
    for _ in 0..2 {
        world.provider.refresh(&ann).await.unwrap();
        let refreshed = world.provider.load_credentials(&ann).await.unwrap();
        note(refreshed.unwrap());
    }
    let acquired = world.provider.acquire(&ann).await.unwrap();
    world.notion.revoke_grant(acquired.expose());
    world.provider.refresh(&ann).await.unwrap_err();
    note(world.connect("ann").await);
    world.provider.disconnect(&ann).await.unwrap();
    tokens
}

/// Returns whether a token, or the JSON around one, is readable in the record.
fn shows(record: &Value, tokens: &[String]) -> bool {
    let payload = payload(record);
    let texts = [
        record.to_string(),
        String::from_utf8_lossy(&payload).into_owned(),
    ];
    let has = |needle: &str| texts.iter().any(|text| text.contains(needle));
    has("_token\"") || tokens.iter().any(|token| has(token))
}

#[tokio::test(start_paused = true)]
async fn equal_credentials_have_different_nonces() {
    let setup = Setup::new(&[1]);
    let credentials = setup.world.notion.connect();
    let provider = &setup.world.provider;
    let mut nonces = std::collections::HashSet::new();
    for _ in 0..50 {
        let (ann, credentials) = ("ann".into(), credentials.clone());
        provider.store_credentials(&ann, credentials).await.unwrap();
        assert!(nonces.insert(setup.payload("ann").await[9..33].to_vec()));
    }
}

/// Asserts that the provider refuses the subject's record and leaves it as it is. Returns the error's text.
async fn refused(setup: &Setup, provider: &NotionAuthProvider, subject: &str) -> String {
    let before = setup.stored(subject).await;
    let error = provider.load_credentials(&subject.into()).await;
    let text = unreadable(subject, &error.unwrap_err());
    let error = provider.acquire(&subject.into()).await;
    unreadable(subject, &error.unwrap_err());
    let after = setup.stored(subject).await;
    assert_eq!(after.revision, before.revision, "the record was written");
    text
}

#[tokio::test(start_paused = true)]
async fn altered_payload_is_refused_at_every_byte() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let encrypted = setup.payload("ann").await;
    let reader = setup.provider(&[1]);
    for at in 0..encrypted.len() {
        for mask in [1, 0x80] {
            let mut flipped = encrypted.clone();
            flipped[at] ^= mask;
            setup.write_payload("ann", &flipped).await;
            let why = refused(&setup, &reader, "ann").await;
            let expected = match at {
                0 => "damaged",
                1..9 => "NOTION_AUTH_KEYS does not contain",
                _ => "it was altered",
            };
            assert!(why.contains(expected), "byte {at}: {why}");
        }
        setup.write_payload("ann", &encrypted[..at]).await;
        let why = refused(&setup, &reader, "ann").await;
        let expected = if at < 49 { "damaged" } else { "it was altered" };
        assert!(why.contains(expected), "{at} bytes: {why}");
    }
    for more in [0, 1] {
        let mut extended = encrypted.clone();
        extended.push(more);
        setup.write_payload("ann", &extended).await;
        let why = refused(&setup, &reader, "ann").await;
        assert!(why.contains("it was altered"), "{why}");
    }
    setup.write_payload("ann", &encrypted).await;
    setup.world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn record_copied_to_another_subject_is_refused() {
    let setup = Setup::new(&[1]);
    for subject in ["ann", "ben", "an", ""] {
        setup.world.connect(subject).await;
    }
    let anns = setup.stored("ann").await;
    for subject in ["ben", "an", ""] {
        write_record(&setup.world.store, &record_key(subject), &anns).await;
        let why = refused(&setup, &setup.provider(&[1]), subject).await;
        assert!(why.contains("copied from another subject"), "{why}");
    }
    setup.world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn record_copied_to_another_namespace_is_refused() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let anns = setup.stored("ann").await;
    // Namespace and subject concatenated may be equal.
    for (namespace, subject) in [("other", "ann"), ("notio", "nann"), ("notiona", "nn")] {
        let key = notion_auth::store::RecordKey::new(namespace, subject.into());
        write_record(&setup.world.store, &key, &anns).await;
        let other = setup.build(|it| it.namespace(namespace).keys(keyring(&[1])));
        let error = other.load_credentials(&subject.into()).await;
        let why = unreadable(subject, &error.unwrap_err());
        assert!(why.contains("namespace"), "{why}");
    }
    setup.world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn payload_of_another_generation_is_refused() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let first = setup.record("ann").await;
    setup.world.provider.refresh(&"ann".into()).await.unwrap();
    let second = setup.record("ann").await;
    assert_eq!(first["lineage"], second["lineage"]);
    assert_eq!(
        (&first["generation"], &second["generation"]),
        (&json!(1), &json!(2))
    );
    refused_with_payload_of(&setup, &first, &second).await;
}

#[tokio::test(start_paused = true)]
async fn payload_of_another_lineage_is_refused() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let first = setup.record("ann").await;
    setup.world.connect("ann").await;
    let second = setup.record("ann").await;
    assert_eq!(first["generation"], second["generation"]);
    refused_with_payload_of(&setup, &first, &second).await;
}

/// Asserts that each of the subject's records is refused with the other one's payload.
async fn refused_with_payload_of(setup: &Setup, first: &Value, second: &Value) {
    for (record, other) in [(second, first), (first, second)] {
        edit_record(&setup.world.store, "ann", |json| {
            *json = record.clone();
            json["payload"] = other["payload"].clone();
        })
        .await;
        let why = refused(setup, &setup.provider(&[1]), "ann").await;
        assert!(why.contains("older record"), "{why}");
    }
    edit_record(&setup.world.store, "ann", |json| *json = second.clone()).await;
    setup.world.assert_nothing_lost("ann").await;
}

/// An attacker who can write to the store and knows a client of the same keyring could have a token sent to
/// another token server.
#[tokio::test(start_paused = true)]
async fn payload_of_another_client_or_token_origin_is_refused() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let record = setup.record("ann").await;
    for name in ["client_id", "token_origin"] {
        edit_record(&setup.world.store, "ann", |json| {
            json["issuer"][name] = json!("https://elsewhere.example");
        })
        .await;
        let reader = setup.build(|it| it.keys(keyring(&[1])).adopt_other_issuers());
        let why = refused(&setup, &reader, "ann").await;
        assert!(why.contains("OAuth client"), "{name}: {why}");
        edit_record(&setup.world.store, "ann", |json| *json = record.clone()).await;
    }
    setup.world.assert_nothing_lost("ann").await;
}
