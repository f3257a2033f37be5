//! Which providers may write plaintext, and which may read it.

use notion_auth::{
    MemoryStore, provider::NotionAuthProviderBuilder, store::CredentialStore as _,
    testing::MockNotion,
};

use super::setup::{Setup, chain, keyring, payload, unreadable};
use crate::{
    faulty_store::FaultyStore,
    support::{record_json, record_key},
};

/// The first byte of a payload.
const PLAINTEXT: u8 = 1;
const ENCRYPTED: u8 = 2;

fn builder() -> NotionAuthProviderBuilder {
    MockNotion::in_process().provider_builder().unwrap()
}

async fn is_plaintext(setup: &Setup, subject: &str) -> bool {
    match setup.payload(subject).await[0] {
        PLAINTEXT => true,
        ENCRYPTED => false,
        other => panic!("no known form: {other}"),
    }
}

#[test]
fn persistent_store_without_keys_is_refused() {
    let store = || FaultyStore::new(MemoryStore::new(), ()).persistent();
    let error = builder().store(store()).build().unwrap_err();
    assert!(error.is_configuration(), "{error}");
    let text = chain(&error);
    for named in [
        "faulty store",
        "keys(Keyring::from_env()?)",
        "NOTION_AUTH_KEYS",
        "plaintext_at_rest()",
    ] {
        assert!(text.contains(named), "{text}");
    }
    for set in [
        |it: NotionAuthProviderBuilder| it.keys(keyring(&[1])),
        NotionAuthProviderBuilder::plaintext_at_rest,
        |it: NotionAuthProviderBuilder| it.keys(keyring(&[1])).plaintext_at_rest(),
    ] {
        set(builder().store(store())).build().unwrap();
    }
    // A store that is lost with the process needs neither keys nor `plaintext_at_rest`.
    builder().build().unwrap();
    builder().store(MemoryStore::new()).build().unwrap();
}

#[tokio::test(start_paused = true)]
async fn memory_store_with_keys_is_encrypted() {
    let (notion, memory) = (MockNotion::in_process(), MemoryStore::new());
    let builder = notion.provider_builder().unwrap().store(memory.clone());
    let provider = builder.keys(keyring(&[1])).build().unwrap();
    let ann = "ann".into();
    let stored = provider.store_credentials(&ann, notion.connect());
    stored.await.unwrap();
    provider.refresh(&ann).await.unwrap();
    let loaded = memory.load(&record_key("ann")).await.unwrap();
    let record = record_json(&loaded.record.unwrap());
    assert_eq!(payload(&record)[0], ENCRYPTED);
}

#[tokio::test(start_paused = true)]
async fn plaintext_record_with_keys_is_refused_and_kept() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let good = setup.payload("ann").await;
    let planted = b"\x01{\"access_token\":\"ntn_of_another\",\"refresh_token\":\"nrt_1\"}";
    setup.write_payload("ann", planted).await;

    let reader = setup.provider(&[1]);
    for _ in 0..2 {
        let errors = [
            reader.load_credentials(&"ann".into()).await.unwrap_err(),
            reader.acquire(&"ann".into()).await.unwrap_err(),
        ];
        for error in errors {
            let text = unreadable("ann", &error);
            assert!(text.contains("plaintext_at_rest()"), "{text}");
        }
    }
    // A rotation does not encrypt records that an attacker may have written.
    let rotation = reader.rotate(None, 10).await.unwrap();
    assert_eq!((rotation.re_encrypted, rotation.unreadable.len()), (0, 1));
    assert!(is_plaintext(&setup, "ann").await);
    setup.write_payload("ann", &good).await;
    setup.world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn plaintext_store_is_migrated_while_in_use() {
    let setup = Setup::plaintext();
    for subject in ["ann", "ben", "cem"] {
        setup.world.connect(subject).await;
        assert!(is_plaintext(&setup, subject).await);
    }
    let moving = setup.build(|builder| builder.keys(keyring(&[1])).plaintext_at_rest());
    // Reading keeps plaintext, and writing encrypts.
    moving.acquire(&"ann".into()).await.unwrap();
    assert!(is_plaintext(&setup, "ann").await);
    moving.refresh(&"ann".into()).await.unwrap();
    assert!(!is_plaintext(&setup, "ann").await);
    setup.connect_by(&moving, "dan").await;
    assert!(!is_plaintext(&setup, "dan").await);

    let rotation = moving.rotate(None, 10).await.unwrap();
    assert_eq!((rotation.re_encrypted, rotation.current), (2, 2));
    assert_eq!((rotation.pending.len(), rotation.unreadable.len()), (0, 0));
    let moved = setup.provider(&[1]);
    for subject in ["ann", "ben", "cem", "dan"] {
        assert!(!is_plaintext(&setup, subject).await);
        moved.refresh(&subject.into()).await.unwrap();
    }
    setup.assert_no_token_was_reused();
}

#[tokio::test(start_paused = true)]
async fn encrypted_record_without_keys_is_refused_and_kept() {
    let setup = Setup::new(&[1]);
    setup.world.connect("ann").await;
    let keyless = setup.build(NotionAuthProviderBuilder::plaintext_at_rest);
    let error = keyless.acquire(&"ann".into()).await.unwrap_err();
    let text = unreadable("ann", &error);
    assert!(text.contains("the provider has no keys"), "{text}");
    assert!(text.contains("NOTION_AUTH_KEYS"), "{text}");
    setup.world.assert_nothing_lost("ann").await;

    // Ciphertext marked as plaintext is damaged. Errors are cached for a second.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let mut payload = setup.payload("ann").await;
    payload[0] = PLAINTEXT;
    setup.write_payload("ann", &payload).await;
    let error = keyless.acquire(&"ann".into()).await.unwrap_err();
    assert!(unreadable("ann", &error).contains("damaged"), "{error}");
}
