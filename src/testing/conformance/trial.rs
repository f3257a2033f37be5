use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    random::random_bytes,
    store::{
        CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordBytes, RecordKey, RecordState,
        Revision, StoreError, StoredRecord,
    },
    subject::Subject,
};

/// Time limit of every operation.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The store under test, and namespaces that no other program uses.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) store: Arc<dyn CredentialStore>,
    namespace: String,
}

/// Panics with the rule that the store breaks.
#[track_caller]
pub(super) fn broken(rule: &str, how: impl Display) -> ! {
    panic!("the store breaks rule \"{rule}\" of `CredentialStore`: {how}")
}

impl Trial {
    pub(super) fn new(store: impl CredentialStore) -> Self {
        let number = u64::from_ne_bytes(random_bytes());
        Self {
            store: Arc::new(store),
            namespace: format!("conformance-{number:016x}"),
        }
    }

    pub(super) fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    pub(super) fn key(&self, namespace: &str, subject: &str) -> RecordKey {
        RecordKey::new(self.namespace(namespace), Subject::new(subject))
    }

    pub(super) async fn check_health(&self) {
        self.answered("health", self.store.health()).await;
    }

    pub(super) async fn load(&self, key: &RecordKey) -> Loaded {
        self.answered("load", self.store.load(key)).await
    }

    pub(super) async fn record(&self, key: &RecordKey) -> Option<StoredRecord> {
        self.load(key).await.record
    }

    pub(super) async fn swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> bool {
        let swapped = self.store.compare_and_swap(key, seen, new);
        self.answered("compare_and_swap", swapped).await
    }

    /// Writes the first record of a key.
    pub(super) async fn insert(&self, key: &RecordKey, new: &StoredRecord) {
        if !self.swap(key, None, new).await {
            broken(
                "compare and swap",
                format_args!(
                    "no record was written for the new subject {:?} in namespace {:?}: it must not be treated as equal to \
                     another subject or namespace that differs in case, blanks or length",
                    key.subject().as_str(),
                    key.namespace()
                ),
            );
        }
    }

    pub(super) async fn consume(&self, nonce: &Nonce, lifetime: Duration) -> bool {
        let consumed = self.store.consume_nonce(nonce, lifetime);
        self.answered("consume_nonce", consumed).await
    }

    pub(super) async fn list(&self, namespace: &str, query: &ListQuery) -> Vec<Listed> {
        let namespace = self.namespace(namespace);
        self.answered("list", self.store.list(&namespace, query))
            .await
    }

    pub(super) async fn purge(&self) -> u64 {
        self.answered("purge_expired", self.store.purge_expired())
            .await
    }

    pub(super) async fn now(&self) -> SystemTime {
        self.load(&self.key("clock", "none")).await.now
    }

    /// Waits until more than `time` has passed by the store's clock.
    pub(super) async fn pass(&self, time: Duration) {
        const LOOKS: u32 = 40;

        let end = self.now().await + time;
        for _ in 0..LOOKS {
            let now = self.now().await;
            if now > end {
                return;
            }
            let left = end.duration_since(now).unwrap_or_default();
            tokio::time::sleep(left.max(Duration::from_millis(20))).await;
        }
        broken("one clock", "`Loaded::now` does not advance");
    }

    async fn answered<T>(
        &self,
        name: &str,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> T {
        match tokio::time::timeout(ANSWER_WITHIN, operation).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => panic!("`{name}` failed: {error}: {error:?}"),
            Err(_) => panic!("`{name}` did not answer within {ANSWER_WITHIN:?}"),
        }
    }
}

/// Returns a record in this state with these bytes.
pub(super) fn record(state: RecordState, bytes: &[u8]) -> StoredRecord {
    StoredRecord {
        revision: Revision::random(),
        state,
        bot_id: None,
        updated_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        bytes: RecordBytes::new(bytes.to_vec()),
    }
}

pub(super) fn active(bytes: &[u8]) -> StoredRecord {
    record(RecordState::Active, bytes)
}
