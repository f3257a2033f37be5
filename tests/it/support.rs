//! A provider, a mock server, requests between them, and stored records.

use std::{
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use notion_auth::{
    AuthError, BoxError, MemoryStore, NotionAuthLayer, NotionAuthProvider, NotionUserCredentials,
    Subject,
    clock::Clock as _,
    layer::NotionAuth,
    provider::{NotionAuthProviderBuilder, RefreshPolicy},
    store::{CredentialStore, RecordBytes, RecordKey, RecordState, Revision, StoredRecord},
    testing::{
        MockNotion, TestClock,
        notion::{MockBody, MockNotionService},
    },
};
use serde_json::Value;
use tower::{Layer, ServiceExt};
use tracing::{Dispatch, dispatcher::DefaultGuard, subscriber::NoSubscriber};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Client = NotionAuth<MockNotionService>;

/// An in-process Notion, and a provider with Tokio's time.
pub(crate) struct World {
    pub(crate) notion: MockNotion,
    pub(crate) clock: TestClock,
    pub(crate) store: MemoryStore,
    pub(crate) provider: NotionAuthProvider,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(MockNotion::in_process(), |builder| builder)
    }

    pub(crate) fn with(
        notion: MockNotion,
        set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
    ) -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::with_clock(clock.clone());
        let provider = provider_on(&notion, &store, &clock, set);
        Self {
            notion,
            clock,
            store,
            provider,
        }
    }

    /// Returns a provider of another process with the same store.
    pub(crate) fn another_provider(&self) -> NotionAuthProvider {
        self.provider_with(|builder| builder)
    }

    /// Returns a provider of another process with other settings.
    pub(crate) fn provider_with(
        &self,
        set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
    ) -> NotionAuthProvider {
        provider_on(&self.notion, &self.store, &self.clock, set)
    }

    /// Connects the subject. Returns the stored credentials.
    pub(crate) async fn connect(&self, subject: &str) -> NotionUserCredentials {
        let credentials = self.notion.connect();
        self.provider
            .store_credentials(&subject.into(), credentials.clone())
            .await
            .expect("the store takes credentials");
        credentials
    }

    /// Connects the subject with credentials that expire after this time. Returns them.
    pub(crate) async fn connect_expiring(
        &self,
        subject: &str,
        after: Duration,
    ) -> NotionUserCredentials {
        let mut credentials = self.notion.connect();
        credentials.expires_at = Some(self.clock.wall() + after);
        self.provider
            .store_credentials(&subject.into(), credentials.clone())
            .await
            .expect("the store takes credentials");
        credentials
    }

    /// Returns a client with the recommended layer: refreshing and replaying.
    pub(crate) fn client(&self) -> Client {
        NotionAuthLayer::refreshing(self.provider.clone()).layer(self.notion.service())
    }

    pub(crate) fn get(&self, subject: &str) -> Request<Body> {
        let mut request = get(&format!("{}/v1/users/me", self.notion.base_url()));
        request.extensions_mut().insert(Subject::new(subject));
        request
    }

    /// Asserts that the subject's stored tokens are those that are valid at Notion.
    pub(crate) async fn assert_nothing_lost(&self, subject: &str) {
        let stored = self
            .provider
            .load_credentials(&subject.into())
            .await
            .expect("the store answers")
            .expect("the subject is connected");
        let bot = stored.bot_id().expect("a bot id");
        let refresh_token = stored.refresh_token.as_ref().expect("a refresh token");
        let (access, refresh) = self
            .notion
            .ledger()
            .living_pair(bot)
            .expect("Notion holds a living pair");
        assert_eq!(stored.access_token.expose(), access);
        assert_eq!(refresh_token.expose(), refresh);
    }
}

/// Returns the default policy with a change.
pub(crate) fn policy(change: impl FnOnce(&mut RefreshPolicy)) -> RefreshPolicy {
    let mut policy = RefreshPolicy::default();
    change(&mut policy);
    policy
}

fn provider_on(
    notion: &MockNotion,
    store: &MemoryStore,
    clock: &TestClock,
    set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
) -> NotionAuthProvider {
    let builder = notion
        .provider_builder()
        .expect("the mock's app is valid")
        .transport(notion.service())
        .store(store.clone())
        .clock(clock.clone())
        .jitter_seed(7);
    set(builder).build().expect("the settings are valid")
}

/// Returns the key of the subject's record in the default namespace.
pub(crate) fn record_key(subject: &str) -> RecordKey {
    RecordKey::new("notion", subject.into())
}

/// Returns the JSON of a record.
pub(crate) fn record_json(record: &StoredRecord) -> Value {
    serde_json::from_slice(record.bytes.as_slice()).expect("a record is JSON")
}

/// Returns a record with this JSON and a new revision.
pub(crate) fn record_of(json: &Value) -> StoredRecord {
    StoredRecord {
        revision: Revision::from_bytes(fastrand::u64(..).to_be_bytes()),
        state: RecordState::from_code(json["state"].as_str().unwrap_or_default()),
        bot_id: json["metadata"]["bot_id"].as_str().map(str::to_owned),
        updated_at: UNIX_EPOCH
            + Duration::from_micros(json["updated_at"].as_u64().unwrap_or_default()),
        bytes: RecordBytes::new(json.to_string().into_bytes()),
    }
}

/// Writes over any record, bypassing all providers.
pub(crate) async fn write_record(
    store: &impl CredentialStore,
    key: &RecordKey,
    record: &StoredRecord,
) {
    let seen = store.load(key).await.expect("the store answers").record;
    let seen = seen.map(|seen| seen.revision);
    let written = store.compare_and_swap(key, seen, record).await;
    assert!(written.expect("the store answers"), "a concurrent change");
}

/// Edits the JSON of the subject's record, bypassing all providers.
pub(crate) async fn edit_record(
    store: &impl CredentialStore,
    subject: &str,
    edit: impl FnOnce(&mut Value),
) {
    let key = record_key(subject);
    let loaded = store.load(&key).await.expect("the store answers");
    let mut json = record_json(&loaded.record.expect("the subject has a record"));
    edit(&mut json);
    write_record(store, &key, &record_of(&json)).await;
}

/// Makes `subscriber` the default of this thread while the guard lives.
///
/// With a single subscriber in the process, `tracing` asks only the first thread that reaches a span or
/// event, which may be another test's, and caches its answer for all threads. A second subscriber prevents
/// this.
pub(crate) fn subscribe(subscriber: impl Into<Dispatch>) -> DefaultGuard {
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
    tracing::dispatcher::set_default(&subscriber.into())
}

/// Polls a future once. It is polled again only by hand.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn get(uri: &str) -> Request<Body> {
    Request::get(uri)
        .body(Body::default())
        .expect("a valid request")
}

pub(crate) async fn status(client: Client, request: Request<Body>) -> StatusCode {
    send(client, request).await.expect("an answer").status()
}

pub(crate) async fn send(
    client: Client,
    request: Request<Body>,
) -> Result<Response<MockBody>, BoxError> {
    client.oneshot(request).await
}

#[track_caller]
pub(crate) fn auth_error(error: &BoxError) -> &AuthError {
    AuthError::find(&**error).unwrap_or_else(|| panic!("not an AuthError: {error:?}"))
}
