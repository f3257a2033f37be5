//! Providers whose cache holds many subjects.

use std::time::{Duration, SystemTime};

use notion_auth::{
    AccessToken, MemoryStore, NotionAppCredentials, NotionAuthProvider, NotionUserCredentials,
    Subject,
    provider::NotionAuthProviderBuilder,
    store::{
        CredentialStore, Filter, OnceAnswer, OnceKey, Record, RecordKey, Revision, StoreError,
        Summary,
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
        let template = template(expiry).await;
        let builder = builder.store(Everybody { template });
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
async fn template(expiry: Expiry) -> Record {
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
    let record = store.load(&RecordKey::new("notion", subject)).await;
    record.expect("the store answers").expect("a record")
}

/// A store that knows every subject and keeps none, so that what a provider allocates is its own.
#[derive(Debug)]
struct Everybody {
    template: Record,
}

fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("bench", "it can only be read"))
}

impl CredentialStore for Everybody {
    fn name(&self) -> &'static str {
        "bench"
    }

    async fn load(&self, _: &RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(Some(self.template.clone()))
    }

    async fn replace(
        &self,
        _: &RecordKey,
        _: Option<Revision>,
        _: &Record,
    ) -> Result<bool, StoreError> {
        unused()
    }

    async fn now(&self) -> Result<SystemTime, StoreError> {
        unused()
    }

    async fn once(&self, _: &OnceKey, _: Duration) -> Result<OnceAnswer, StoreError> {
        unused()
    }

    async fn list(
        &self,
        _: &str,
        _: Option<&str>,
        _: usize,
        _: Filter,
    ) -> Result<Vec<Summary>, StoreError> {
        unused()
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        unused()
    }

    async fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_private(&self) -> bool {
        true
    }

    fn is_persistent(&self) -> bool {
        false
    }
}
