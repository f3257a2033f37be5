//! Two handles to one database, taken in turn, as by two processes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use notion_auth::store::{
    CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordKey, Revision, StoreError,
    StoredRecord, async_trait,
};

#[derive(Debug)]
pub(super) struct Two<S> {
    handles: [S; 2],
    is_second: AtomicBool,
}

impl<S> Two<S> {
    pub(super) fn new(first: S, second: S) -> Self {
        Self {
            handles: [first, second],
            is_second: AtomicBool::new(false),
        }
    }

    fn next(&self) -> &S {
        let is_second = self.is_second.fetch_xor(true, Ordering::Relaxed);
        &self.handles[usize::from(is_second)]
    }
}

#[async_trait]
impl<S: CredentialStore> CredentialStore for Two<S> {
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        self.next().load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError> {
        self.next().compare_and_swap(key, seen, new).await
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        self.next().consume_nonce(nonce, lifetime).await
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        self.next().list(namespace, query).await
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.next().purge_expired().await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.next().health().await
    }
}
