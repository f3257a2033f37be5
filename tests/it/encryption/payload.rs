//! What is sealed: unreadable without its key, and bound to its place.

use notion_auth::{
    NotionAuthProvider,
    store::{Payload, Record},
};

use super::vault::{Vault, unreadable};

/// Made by another implementation of HKDF (RFC 5869) and XChaCha20-Poly1305: key 0707…, namespace
/// `notion`, subject `ann`, generation 1, nonce 0001….
const OF_THE_FIRST_VERSION: &str = "02eeaf98754a9811a7000102030405060708090a0b0c0d0e0f101112131415161\
    7c188ed77b5fdba363141162769197aeed3d6199837c2a2856425160eafee399b0cc5a17e1215b68684f0330015da8f61a0ba4\
    9811e4739dac33c3fa8b722faf0e6f391c10f14cb5e27c4c52910b14783f4c8f44654e335a7a0648fee7219cec2";

#[tokio::test(start_paused = true)]
async fn what_was_sealed_by_the_first_version_opens() {
    let vault = Vault::new(&[7]);
    vault.world.connect("ann").await;
    let bytes = (0..OF_THE_FIRST_VERSION.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&OF_THE_FIRST_VERSION[at..at + 2], 16).unwrap());
    vault.plant_payload("ann", bytes.collect()).await;
    let read = vault.world.provider.load_credentials(&"ann".into()).await;
    let read = read.unwrap().unwrap();
    assert_eq!(read.access_token.expose(), "ntn_golden");
    assert_eq!(read.refresh_token.unwrap().expose(), "nrt_golden");
    assert_eq!(read.raw["bot_id"], "b1");
}

#[tokio::test(start_paused = true)]
async fn no_token_is_in_what_a_store_is_given() {
    let vault = Vault::new(&[1]);
    let tokens = a_life(&vault).await;
    let written = vault.disk.written();
    assert!(written.len() > 8, "{written:?}");
    for record in &written {
        assert!(!shows(record, &tokens), "{record:?}");
    }

    // In clear it would be seen.
    let vault = Vault::in_clear();
    let tokens = a_life(&vault).await;
    let mut written = vault.disk.written().into_iter();
    assert!(written.any(|record| shows(&record, &tokens)));
}

/// A connection is made, refreshed in several ways, revoked, made again and ended. Answers its tokens.
async fn a_life(vault: &Vault) -> Vec<String> {
    let (world, ann) = (&vault.world, "ann".into());
    let mut tokens = Vec::new();
    let mut note = |credentials: notion_auth::NotionUserCredentials| {
        tokens.push(credentials.access_token.expose().to_owned());
        tokens.push(credentials.refresh_token.unwrap().expose().to_owned());
    };
    note(world.connect("ann").await);
    for _ in 0..2 {
        world.provider.refresh(&ann).await.unwrap();
        note(
            world
                .provider
                .load_credentials(&ann)
                .await
                .unwrap()
                .unwrap(),
        );
    }
    let acquired = world.provider.acquire(&ann).await.unwrap();
    world.notion.revoke_grant(acquired.expose_token());
    world.provider.refresh(&ann).await.unwrap_err();
    note(world.connect("ann").await);
    world.provider.disconnect(&ann).await.unwrap();
    tokens
}

fn shows(record: &Record, tokens: &[String]) -> bool {
    let bytes = record.payload.as_bytes();
    let text = String::from_utf8_lossy(bytes);
    let labels = format!("{record:?}");
    text.contains("_token")
        || tokens
            .iter()
            .any(|token| text.contains(&**token) || labels.contains(&**token))
}

#[tokio::test(start_paused = true)]
async fn the_same_credentials_are_never_sealed_alike() {
    let vault = Vault::new(&[1]);
    let credentials = vault.world.notion.connect();
    let provider = &vault.world.provider;
    let mut nonces = std::collections::HashSet::new();
    for _ in 0..50 {
        let (ann, credentials) = ("ann".into(), credentials.clone());
        provider.store_credentials(&ann, credentials).await.unwrap();
        let payload = vault.record("ann").await.payload;
        assert!(nonces.insert(payload.as_bytes()[9..33].to_vec()));
    }
}

async fn refused(vault: &Vault, provider: &NotionAuthProvider, subject: &str) -> String {
    let before = vault.record(subject).await;
    let error = provider.load_credentials(&subject.into()).await;
    let text = unreadable(subject, &error.unwrap_err());
    let error = provider.acquire(&subject.into()).await;
    unreadable(subject, &error.unwrap_err());
    let after = vault.record(subject).await;
    assert_eq!(after.revision, before.revision, "it was written to");
    text
}

#[tokio::test(start_paused = true)]
async fn no_byte_can_be_changed_taken_away_or_added() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    let sealed = vault.record("ann").await.payload.as_bytes().to_vec();
    let reader = vault.provider(&[1]);
    for at in 0..sealed.len() {
        for mask in [1, 0x80] {
            let mut flipped = sealed.clone();
            flipped[at] ^= mask;
            vault.plant_payload("ann", flipped).await;
            let why = refused(&vault, &reader, "ann").await;
            let expected = match at {
                0 => "newer version",
                1..9 => "no key of the keyring opens it",
                _ => "it was altered",
            };
            assert!(why.contains(expected), "byte {at}: {why}");
        }
        vault.plant_payload("ann", sealed[..at].to_vec()).await;
        let why = refused(&vault, &reader, "ann").await;
        let expected = if at < 49 { "damaged" } else { "it was altered" };
        assert!(why.contains(expected), "{at} bytes: {why}");
    }
    for more in [0, 1] {
        let mut extended = sealed.clone();
        extended.push(more);
        vault.plant_payload("ann", extended).await;
        let why = refused(&vault, &reader, "ann").await;
        assert!(why.contains("it was altered"), "{why}");
    }
    vault.plant_payload("ann", sealed).await;
    vault.world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_copied_to_another_place_does_not_open() {
    let vault = Vault::new(&[1]);
    for subject in ["ann", "ben", "an", ""] {
        vault.world.connect(subject).await;
    }
    let anns = vault.record("ann").await;
    let reader = &vault.world.provider;
    for subject in ["ben", "an", ""] {
        vault.plant(subject, anns.clone()).await;
        let error = reader.load_credentials(&subject.into()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{subject}: {error}");
    }
    let why = refused(&vault, &vault.provider(&[1]), "ben").await;
    assert!(why.contains("copied from another subject"), "{why}");

    // Also where namespace and subject read the same in a row.
    for (namespace, subject) in [("other", "ann"), ("notio", "nann"), ("notiona", "nn")] {
        vault.plant_in(namespace, subject, anns.clone()).await;
        let other = vault.build(|builder| {
            let builder = builder.namespace(namespace);
            builder.keys(super::vault::keyring(&[1]))
        });
        let read = other.unwrap().load_credentials(&subject.into()).await;
        let why = unreadable(subject, &read.unwrap_err());
        assert!(why.contains("namespace"), "{why}");
    }
    vault.world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn an_old_payload_does_not_open_under_a_newer_generation_nor_a_new_one_under_an_older() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    let first = vault.record("ann").await;
    vault.world.provider.refresh(&"ann".into()).await.unwrap();
    let second = vault.record("ann").await;
    assert_eq!((first.generation, second.generation), (1, 2));

    for (record, of) in [(&second, &first), (&first, &second)] {
        let payload = Payload::from_bytes(of.payload.as_bytes().to_vec());
        let mixed = Record {
            payload,
            ..record.clone()
        };
        vault.plant("ann", mixed).await;
        let why = refused(&vault, &vault.provider(&[1]), "ann").await;
        assert!(why.contains("generation"), "{why}");
    }
    vault.plant("ann", second).await;
    vault.world.assert_nothing_lost("ann").await;
}
