//! Two handles to one database, taken in turn, as by two processes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use notion_auth::store::{
    CredentialStore, Filter, OnceAnswer, OnceKey, Record, RecordKey, Revision, StoreError, Summary,
};

#[derive(Debug)]
pub(super) struct Two<S> {
    handles: [S; 2],
    is_second: AtomicBool,
}

impl<S: CredentialStore> Two<S> {
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

impl<S: CredentialStore> CredentialStore for Two<S> {
    fn name(&self) -> &'static str {
        self.next().name()
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.next().load(key).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &Record,
    ) -> Result<bool, StoreError> {
        self.next().replace(key, seen, new).await
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        self.next().now().await
    }

    async fn once(&self, key: &OnceKey, ttl: Duration) -> Result<OnceAnswer, StoreError> {
        self.next().once(key, ttl).await
    }

    async fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        self.next().list(namespace, after, limit, filter).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.next().sweep().await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.next().health().await
    }
}
