//! A provider, a stand-in for Notion, and requests between them.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use notion_auth::{
    AuthError, BoxError, CloneBody, MemoryStore, NotionAuthLayer, NotionAuthProvider,
    NotionUserCredentials, Subject,
    clock::Clock as _,
    inject::NotionAuth,
    provider::NotionAuthProviderBuilder,
    testing::{
        MockNotion, TestClock,
        notion::{MockBody, MockNotionService},
    },
};
use tower::{Layer, ServiceExt};
use tracing::{Dispatch, dispatcher::DefaultGuard, subscriber::NoSubscriber};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Client = NotionAuth<MockNotionService, CloneBody>;

/// Notion in process, and a provider whose time is tokio's.
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

    /// Another process that shares the store.
    pub(crate) fn another_provider(&self) -> NotionAuthProvider {
        provider_on(&self.notion, &self.store, &self.clock, |builder| builder)
    }

    /// Connects the subject, and answers what was stored.
    pub(crate) async fn connect(&self, subject: &str) -> NotionUserCredentials {
        let credentials = self.notion.connect();
        self.provider
            .store_credentials(&subject.into(), credentials.clone())
            .await
            .expect("the store takes credentials");
        credentials
    }

    /// Connects the subject with credentials that end after this time, and answers them.
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

    /// The paved path: refreshing and replaying.
    pub(crate) fn client(&self) -> Client {
        NotionAuthLayer::refreshing(self.provider.clone())
            .replaying(CloneBody)
            .layer(self.notion.service())
    }

    pub(crate) fn get(&self, subject: &str) -> Request<Body> {
        let mut request = get(&format!("{}/v1/users/me", self.notion.base_url()));
        request.extensions_mut().insert(Subject::new(subject));
        request
    }

    /// Whether what is stored for the subject is what lives at Notion.
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

/// Makes `subscriber` this thread's, for as long as the guard lives.
///
/// While there is no other in the process, `tracing` asks only the thread that comes by a span or an
/// event first, which may be another test's, and takes its answer for everybody's. So there is another.
pub(crate) fn subscribe(subscriber: impl Into<Dispatch>) -> DefaultGuard {
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
    tracing::dispatcher::set_default(&subscriber.into())
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
