//! A persistent store as an operator and an attacker see it, and providers that use it.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use notion_auth::{
    AuthError, Keyring, MemoryStore, NotionAuthProvider, Subject,
    provider::NotionAuthProviderBuilder,
    store::{CredentialStore as _, StoreError, StoredRecord, async_trait},
    testing::{MockNotion, TestClock},
};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::{
    faulty_store::{FaultyStore, Hooks, Operation},
    support::{World, edit_record, record_json, record_key},
};

/// Returns a keyring of the keys with these numbers.
pub(super) fn keyring(numbers: &[u8]) -> Keyring {
    Keyring::new(numbers.iter().map(|number| [*number; 32])).unwrap()
}

/// A store that keeps all records that were ever written.
#[derive(Default)]
pub(super) struct Disk {
    written: Mutex<Vec<StoredRecord>>,
    load_delay: Mutex<Duration>,
    damaged: Mutex<Option<Subject>>,
}

impl Disk {
    /// Returns every record that was ever written.
    pub(super) fn written(&self) -> Vec<StoredRecord> {
        self.written.lock().unwrap().clone()
    }

    /// Delays the response to later loads by this time, after the record was read.
    pub(super) fn set_load_delay(&self, delay: Duration) {
        *self.load_delay.lock().unwrap() = delay;
    }

    /// Makes the store unable to read the subject's row.
    pub(super) fn damage(&self, subject: &str) {
        *self.damaged.lock().unwrap() = Some(Subject::new(subject));
    }
}

#[async_trait]
impl Hooks for Disk {
    async fn before(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        match operation {
            Operation::Load(key)
                if self.damaged.lock().unwrap().as_ref() == Some(key.subject()) =>
            {
                Err(StoreError::corrupt("faulty", "a column cannot be read"))
            }
            Operation::Swap(new) => {
                self.written.lock().unwrap().push(new.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn after(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        let delay = *self.load_delay.lock().unwrap();
        if matches!(operation, Operation::Load(_)) && !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(())
    }
}

/// A mock server, a persistent store, and a first provider.
pub(super) struct Setup {
    /// Its `store` has the contents of the persistent store, without delays and damage.
    pub(super) world: World,
    store: FaultyStore<Disk>,
    pub(super) disk: Arc<Disk>,
}

impl Setup {
    pub(super) fn new(keys: &[u8]) -> Self {
        Self::on(MockNotion::in_process(), |it| it.keys(keyring(keys)))
    }

    pub(super) fn plaintext() -> Self {
        let set = NotionAuthProviderBuilder::plaintext_at_rest;
        Self::on(MockNotion::in_process(), set)
    }

    pub(super) fn on(
        notion: MockNotion,
        set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
    ) -> Self {
        let clock = TestClock::new();
        let memory = MemoryStore::with_clock(clock.clone());
        let store = FaultyStore::new(memory.clone(), Disk::default()).persistent();
        let provider = build(&notion, &store, &clock, set).unwrap();
        Self {
            world: World {
                notion,
                clock,
                store: memory,
                provider,
            },
            disk: Arc::clone(&store.hooks),
            store,
        }
    }

    /// Creates a provider of another process with the same store.
    pub(super) fn provider(&self, keys: &[u8]) -> NotionAuthProvider {
        self.build(|builder| builder.keys(keyring(keys)))
    }

    pub(super) fn build(
        &self,
        set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
    ) -> NotionAuthProvider {
        build(&self.world.notion, &self.store, &self.world.clock, set).unwrap()
    }

    /// Connects the subject through another provider than the first one.
    pub(super) async fn connect_by(&self, provider: &NotionAuthProvider, subject: &str) {
        let credentials = self.world.notion.connect();
        let subject = subject.into();
        let stored = provider.store_credentials(&subject, credentials);
        stored.await.unwrap();
    }

    pub(super) async fn stored(&self, subject: &str) -> StoredRecord {
        let loaded = self.world.store.load(&record_key(subject)).await.unwrap();
        loaded.record.expect("the subject has a record")
    }

    /// Returns the JSON of the subject's record.
    pub(super) async fn record(&self, subject: &str) -> Value {
        record_json(&self.stored(subject).await)
    }

    pub(super) async fn payload(&self, subject: &str) -> Vec<u8> {
        payload(&self.record(subject).await)
    }

    pub(super) async fn write_payload(&self, subject: &str, payload: &[u8]) {
        let payload = json!(STANDARD.encode(payload));
        edit_record(&self.world.store, subject, |json| json["payload"] = payload).await;
    }

    pub(super) fn assert_no_token_was_reused(&self) {
        let ledger = self.world.notion.ledger();
        assert!(ledger.refresh_token_reuses().is_empty());
    }
}

/// Returns the payload in a record's JSON.
pub(super) fn payload(record: &Value) -> Vec<u8> {
    STANDARD
        .decode(record["payload"].as_str().unwrap())
        .unwrap()
}

fn build(
    notion: &MockNotion,
    store: &FaultyStore<Disk>,
    clock: &TestClock,
    set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
) -> Result<NotionAuthProvider, AuthError> {
    let builder = notion.provider_builder().unwrap();
    let builder = builder.store(store.clone()).clock(clock.clone());
    set(builder.jitter_seed(7)).build()
}

/// Returns the error and its sources as text.
pub(super) fn chain(error: &AuthError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Asserts that the error is about an unreadable record of this subject. Returns its text.
#[track_caller]
pub(super) fn unreadable(subject: &str, error: &AuthError) -> String {
    assert!(error.is_configuration(), "{error}");
    assert_eq!(error.needs_reauthorization(), None, "{error}");
    let text = chain(error);
    let digest = format!("{:?}", Subject::new(subject));
    for part in [digest.as_str(), "can't be read", "faulty store"] {
        assert!(text.contains(part), "{text}");
    }
    text
}
