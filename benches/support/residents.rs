//! Providers whose cache holds many subjects.

use std::time::{Duration, SystemTime};

use notion_auth::{
    AccessToken, MemoryStore, NotionAppCredentials, NotionAuthProvider, NotionUserCredentials,
    Subject,
    provider::NotionAuthProviderBuilder,
    store::{
        CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordKey, Revision, StoreError,
        StoredRecord, async_trait,
    },
};

use super::inner::{API, name};

/// Whether the tokens' end is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Unknown,
    Known,
}

/// A provider that has the tokens of `count` subjects at hand, and room for no more: with names of 36
/// bytes and header values of 57, a payload of about 100 bytes for each.
pub(crate) fn provider(count: usize, expiry: Expiry) -> NotionAuthProvider {
    filled(count, expiry, builder().cache_capacity(count))
}

/// The same after as many others were there before.
pub(crate) fn churned_provider(count: usize) -> NotionAuthProvider {
    filled(2 * count, Expiry::Unknown, builder().cache_capacity(count))
}

/// The same without a limit, and with no expiry known.
pub(crate) fn unbounded_provider(count: usize) -> NotionAuthProvider {
    filled(count, Expiry::Unknown, builder().unbounded_cache())
}

fn filled(count: usize, expiry: Expiry, builder: NotionAuthProviderBuilder) -> NotionAuthProvider {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let record = template(expiry).await;
        let builder = builder.store(EverySubject { record });
        let provider = builder.build().expect("a provider");
        for number in 0..count {
            let subject = Subject::new(name(number));
            provider.acquire(&subject).await.expect("credentials");
        }
        provider
    })
}

fn builder() -> NotionAuthProviderBuilder {
    NotionAuthProvider::builder().app(app()).api_url(API)
}

fn app() -> NotionAppCredentials {
    NotionAppCredentials::builder()
        .client_id("bench")
        .client_secret("secret_bench")
        .redirect_uri("https://app.example/callback")
        .build()
        .expect("app credentials")
}

/// The record of a connection whose access token has 50 characters, as Notion's have.
async fn template(expiry: Expiry) -> StoredRecord {
    let token = format!("ntn_{}", &"0123456789".repeat(5)[..46]);
    let mut credentials = NotionUserCredentials::new(AccessToken::new(token));
    if expiry == Expiry::Known {
        credentials.expires_at = Some(SystemTime::now() + Duration::from_secs(30 * 24 * 60 * 60));
    }
    let store = MemoryStore::new();
    let provider = builder().store(store.clone()).build().expect("a provider");
    let subject = Subject::new("template");
    let stored = provider.store_credentials(&subject, credentials).await;
    stored.expect("the credentials are stored");
    let loaded = store.load(&RecordKey::new("notion", subject)).await;
    let loaded = loaded.expect("the store answers");
    loaded.record.expect("a record")
}

/// A store that has the same record for every subject, so that a provider allocates all memory that is counted.
#[derive(Debug)]
struct EverySubject {
    record: StoredRecord,
}

fn read_only<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("bench", "it can only be read"))
}

#[async_trait]
impl CredentialStore for EverySubject {
    async fn load(&self, _: &RecordKey) -> Result<Loaded, StoreError> {
        Ok(Loaded {
            record: Some(self.record.clone()),
            now: SystemTime::now(),
        })
    }

    async fn compare_and_swap(
        &self,
        _: &RecordKey,
        _: Option<Revision>,
        _: &StoredRecord,
    ) -> Result<bool, StoreError> {
        read_only()
    }

    async fn consume_nonce(&self, _: &Nonce, _: Duration) -> Result<bool, StoreError> {
        read_only()
    }

    async fn list(&self, _: &str, _: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        read_only()
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        read_only()
    }

    fn name(&self) -> &'static str {
        "bench"
    }

    fn is_private(&self) -> bool {
        true
    }

    fn is_persistent(&self) -> bool {
        false
    }
}
