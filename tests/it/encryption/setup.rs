//! A store that outlives the process, as an operator and a thief see it, and providers on it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use notion_auth::{
    AuthError, Keyring, MemoryStore, NotionAuthProvider, ReauthorizationReason, Subject,
    provider::NotionAuthProviderBuilder,
    store::{
        CredentialStore, Filter, OnceAnswer, OnceKey, Payload, Record, RecordKey, Revision,
        StoreError, Summary,
    },
    testing::{MockNotion, TestClock},
};
use tokio::time::sleep;

use crate::support::World;

/// Some key, by its number.
const fn key(number: u8) -> [u8; 32] {
    [number; 32]
}

/// The keyring of the keys with these numbers.
pub(super) fn keyring(numbers: &[u8]) -> Keyring {
    Keyring::new(numbers.iter().copied().map(key)).unwrap()
}

/// A store that says of itself, by default, that it is persistent, and remembers all it was ever given.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) memory: MemoryStore,
    written: Arc<Mutex<Vec<Record>>>,
    load_delay: Arc<Mutex<Duration>>,
    damaged: Arc<Mutex<Option<Subject>>>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            memory: MemoryStore::with_clock(TestClock::new()),
            written: Arc::default(),
            load_delay: Arc::default(),
            damaged: Arc::default(),
        }
    }

    /// Every record that was ever written.
    pub(super) fn written(&self) -> Vec<Record> {
        self.written.lock().unwrap().clone()
    }

    /// From now on, what was read is told after this time.
    pub(super) fn set_load_delay(&self, delay: Duration) {
        *self.load_delay.lock().unwrap() = delay;
    }

    /// From now on, the store itself cannot make sense of the subject's row.
    pub(super) fn damage(&self, subject: &str) {
        *self.damaged.lock().unwrap() = Some(Subject::new(subject));
    }
}

impl CredentialStore for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        if self.damaged.lock().unwrap().as_ref() == Some(key.subject()) {
            return Err(StoreError::corrupt("disk", "a column cannot be read"));
        }
        let record = self.memory.load(key).await;
        let delay = *self.load_delay.lock().unwrap();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        record
    }

    async fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        self.written.lock().unwrap().push(new.clone());
        self.memory.replace(key, seen, new).await
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        self.memory.now().await
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        self.memory.once(key, ttl).await
    }

    async fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        self.memory.list(namespace, after, limit, filter).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.memory.sweep().await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.memory.health().await
    }
}

/// Notion, a disk, and a first provider.
pub(super) struct Vault {
    pub(super) world: World,
    pub(super) disk: Disk,
}

impl Vault {
    pub(super) fn new(keys: &[u8]) -> Self {
        Self::with(|builder| builder.keys(keyring(keys)))
    }

    /// Without keys.
    pub(super) fn in_clear() -> Self {
        Self::with(NotionAuthProviderBuilder::plaintext_at_rest)
    }

    fn with(set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder) -> Self {
        let (notion, disk, clock) = (MockNotion::in_process(), Disk::new(), TestClock::new());
        let provider = build(&notion, &disk, &clock, set).unwrap();
        let world = World {
            notion,
            clock,
            store: disk.memory.clone(),
            provider,
        };
        Self { world, disk }
    }

    /// Another process on the same disk.
    pub(super) fn provider(&self, keys: &[u8]) -> NotionAuthProvider {
        self.build(|builder| builder.keys(keyring(keys))).unwrap()
    }

    pub(super) fn build(
        &self,
        set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
    ) -> Result<NotionAuthProvider, AuthError> {
        build(&self.world.notion, &self.disk, &self.world.clock, set)
    }

    /// Connects the subject through another provider than the first.
    pub(super) async fn connect_by(&self, provider: &NotionAuthProvider, subject: &str) {
        let (subject, credentials) = (subject.into(), self.world.notion.connect());
        let stored = provider.store_credentials(&subject, credentials);
        stored.await.unwrap();
    }

    pub(super) async fn record(&self, subject: &str) -> Record {
        let key = RecordKey::new("notion", subject.into());
        let record = self.disk.memory.load(&key).await.unwrap();
        record.expect("the subject has a record")
    }

    /// Writes a record past all providers.
    pub(super) async fn plant(&self, subject: &str, record: Record) {
        self.plant_in("notion", subject, record).await;
    }

    pub(super) async fn plant_in(&self, namespace: &'static str, subject: &str, record: Record) {
        let key = RecordKey::new(namespace, subject.into());
        let seen = self.disk.memory.load(&key).await.unwrap();
        let seen = seen.map(|record| record.revision);
        let planted = self.disk.memory.replace(&key, seen, &record).await;
        assert!(planted.unwrap());
    }

    pub(super) async fn plant_payload(&self, subject: &str, payload: Vec<u8>) {
        let record = self.record(subject).await;
        let payload = Payload::from_bytes(payload);
        self.plant(subject, Record { payload, ..record }).await;
    }
}

fn build(
    notion: &MockNotion,
    disk: &Disk,
    clock: &TestClock,
    set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
) -> Result<NotionAuthProvider, AuthError> {
    let builder = notion.provider_builder().unwrap();
    let builder = builder.store(disk.clone()).clock(clock.clone());
    set(builder.jitter_seed(7)).build()
}

/// The error and its causes, as an operator reads them.
pub(super) fn told(error: &AuthError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Asserts that the error is of a record of that subject which cannot be read, and answers what it says.
#[track_caller]
pub(super) fn unreadable(subject: &str, error: &AuthError) -> String {
    let reason = error.needs_reauthorization();
    assert_eq!(reason, Some(ReauthorizationReason::Unreadable), "{error}");
    let text = told(error);
    let hashed = format!("{:?}", Subject::new(subject));
    assert!(
        text.contains(&hashed) && text.contains("disk store"),
        "{text}"
    );
    text
}
