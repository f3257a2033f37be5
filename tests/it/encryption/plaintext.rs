//! Which provider may write what to which store.

use notion_auth::{
    MemoryStore,
    provider::NotionAuthProviderBuilder,
    store::{CredentialStore, Payload, Record, RecordKey},
    testing::MockNotion,
};

use super::vault::{Disk, Vault, keyring, told, unreadable};

fn builder() -> NotionAuthProviderBuilder {
    MockNotion::in_process().provider_builder().unwrap()
}

/// Whether the subject's record is in clear, by its first byte.
async fn is_in_clear(vault: &Vault, subject: &str) -> bool {
    match vault.record(subject).await.payload.as_bytes()[0] {
        1 => true,
        2 => false,
        other => panic!("of no known form: {other}"),
    }
}

#[test]
fn a_store_that_outlives_the_process_takes_keys_or_the_word_that_it_may_be_read() {
    let error = builder().store(Disk::new()).build().unwrap_err();
    assert!(error.is_configuration(), "{error}");
    let text = told(&error);
    for named in [
        "disk store",
        "keys(Keyring::from_env()?)",
        "plaintext_at_rest()",
    ] {
        assert!(text.contains(named), "{text}");
    }
    for set in [
        |it: NotionAuthProviderBuilder| it.keys(keyring(&[1])),
        NotionAuthProviderBuilder::plaintext_at_rest,
        |it: NotionAuthProviderBuilder| it.keys(keyring(&[1])).plaintext_at_rest(),
    ] {
        set(builder().store(Disk::new())).build().unwrap();
    }
    // What ends with the process needs none of them.
    builder().build().unwrap();
    builder().store(MemoryStore::new()).build().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_in_memory_is_sealed_too_if_there_are_keys() {
    let (notion, memory) = (MockNotion::in_process(), MemoryStore::new());
    let builder = notion.provider_builder().unwrap().store(memory.clone());
    let provider = builder.keys(keyring(&[1])).build().unwrap();
    let ann = "ann".into();
    let stored = provider.store_credentials(&ann, notion.connect());
    stored.await.unwrap();
    provider.refresh(&ann).await.unwrap();
    let record = memory.load(&RecordKey::new("notion", ann)).await;
    assert_eq!(record.unwrap().unwrap().payload.as_bytes()[0], 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_in_clear_is_refused_where_there_are_keys() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    let good = vault.record("ann").await;
    let planted = b"\x01{\"access_token\":\"ntn_of_somebody_else\",\"refresh_token\":\"nrt_1\"}";
    vault.plant_payload("ann", planted.to_vec()).await;

    let reader = vault.provider(&[1]);
    for _ in 0..2 {
        let errors = [
            reader.load_credentials(&"ann".into()).await.unwrap_err(),
            reader.acquire(&"ann".into()).await.unwrap_err(),
        ];
        for error in errors {
            let text = unreadable("ann", &error);
            assert!(text.contains("in clear"), "{text}");
            assert!(text.contains("plaintext_at_rest()"), "{text}");
        }
    }
    // Sealing all records anew does not launder it.
    let rotation = reader.rotate(None, 10).await.unwrap();
    assert_eq!((rotation.resealed, rotation.unreadable.len()), (0, 1));
    assert!(is_in_clear(&vault, "ann").await);
    vault.plant("ann", good).await;
    vault.world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_store_in_clear_is_moved_to_sealing_while_it_is_used() {
    let vault = Vault::in_clear();
    for subject in ["ann", "ben", "cem"] {
        vault.world.connect(subject).await;
        assert!(is_in_clear(&vault, subject).await);
    }
    let moving = vault.build(|builder| builder.keys(keyring(&[1])).plaintext_at_rest());
    let moving = moving.unwrap();
    // Read as it is, written sealed.
    moving.acquire(&"ann".into()).await.unwrap();
    assert!(is_in_clear(&vault, "ann").await);
    moving.refresh(&"ann".into()).await.unwrap();
    assert!(!is_in_clear(&vault, "ann").await);
    vault.connect_by(&moving, "dan").await;
    assert!(!is_in_clear(&vault, "dan").await);

    let rotation = moving.rotate(None, 10).await.unwrap();
    assert_eq!((rotation.resealed, rotation.current), (2, 2));
    assert_eq!((rotation.pending.len(), rotation.unreadable.len()), (0, 0));
    let sealed = vault.provider(&[1]);
    for subject in ["ann", "ben", "cem", "dan"] {
        assert!(!is_in_clear(&vault, subject).await);
        sealed.refresh(&subject.into()).await.unwrap();
    }
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
async fn a_provider_without_keys_says_so_of_a_sealed_record_and_leaves_it() {
    let vault = Vault::new(&[1]);
    vault.world.connect("ann").await;
    let keyless = vault.build(NotionAuthProviderBuilder::plaintext_at_rest);
    let keyless = keyless.unwrap();
    let error = keyless.acquire(&"ann".into()).await.unwrap_err();
    let text = unreadable("ann", &error);
    assert!(text.contains("the provider has no keys"), "{text}");
    vault.world.assert_nothing_lost("ann").await;
    // Damage that makes it look like one in clear is damage.
    let record = vault.record("ann").await;
    let mut bytes = record.payload.as_bytes().to_vec();
    bytes[0] = 1;
    let payload = Payload::from_bytes(bytes);
    vault.plant("ann", Record { payload, ..record }).await;
    let error = keyless.acquire(&"ann".into()).await.unwrap_err();
    assert!(unreadable("ann", &error).contains("damaged"), "{error}");
}
