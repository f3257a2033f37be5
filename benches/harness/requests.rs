//! The measured requests, the service that receives them, and the layers that add headers.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use notion_auth::{
    AccessToken, MemoryStore, NotionAppCredentials, NotionAuth, NotionAuthLayer,
    NotionAuthProvider, NotionUserCredentials, Subject,
    header::NOTION_VERSION,
    layer::NoReplay,
    provider::NotionAuthProviderBuilder,
    store::{
        CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordKey, Revision, StoreError,
        StoredRecord, async_trait,
    },
};
use tower::{Layer, Service, service_fn};
use tower_http::set_header::{SetRequestHeader, SetRequestHeaderLayer};

pub(crate) const API: &str = "https://api.notion.com";

/// Number of requests that are created before any of them is sent.
pub(crate) const BATCH: usize = 8;

/// Body of requests with JSON.
pub(crate) type Json = Full<Bytes>;

thread_local! {
    static SENT: RefCell<Vec<Request<()>>> = RefCell::new(Vec::with_capacity(BATCH));
    static SENT_JSON: RefCell<Vec<Request<Json>>> = RefCell::new(Vec::with_capacity(BATCH));
}

/// Inner service that answers immediately and keeps requests. [`forget_sent`] drops them outside of the
/// measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        SENT.with_borrow_mut(|sent| sent.push(request));
        ready(Ok(Response::new(())))
    }
}

impl Service<Request<Json>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Json>) -> Self::Future {
        SENT_JSON.with_borrow_mut(|sent| sent.push(request));
        ready(Ok(Response::new(())))
    }
}

/// Reserves space for this many requests of the thread, so that keeping them allocates nothing.
pub(crate) fn reserve_sent(requests: usize) {
    SENT.with_borrow_mut(|sent| sent.reserve(requests));
}

/// Returns the last request that was kept.
pub(crate) fn take_sent() -> Option<Request<()>> {
    SENT.with_borrow_mut(Vec::pop)
}

pub(crate) fn forget_sent() {
    SENT.with_borrow_mut(Vec::clear);
    SENT_JSON.with_borrow_mut(Vec::clear);
}

/// Returns the name of a subject: 36 bytes, the length of a UUID.
pub(crate) fn name(number: usize) -> String {
    format!("workspace-{number:026}")
}

/// Creates a request with four headers, three of them constants as in typical clients, and its own subject.
pub(crate) fn request(subject: usize) -> Request<()> {
    let constant = HeaderValue::from_static;
    let mut request = Request::get("https://api.notion.com/v1/users/me")
        .header(ACCEPT, constant("application/json"))
        .header(CONTENT_TYPE, constant("application/json"))
        .header(USER_AGENT, constant("bench/1.0"))
        .header("x-request-id", "0123456789abcdef")
        .body(())
        .expect("a request");
    request.extensions_mut().insert(Subject::new(name(subject)));
    request
}

/// Creates the same request with 200 bytes of JSON, which nothing else refers to.
pub(crate) fn request_with_json(subject: usize) -> Request<Json> {
    let json = format!("{{\"text\":\"{}\"}}", "0123456789".repeat(19));
    request(subject).map(|()| Full::new(Bytes::from(json)))
}

/// Creates the same request with a `Notion-Version` header.
pub(crate) fn request_with_version(subject: usize) -> Request<()> {
    let mut request = request(subject);
    let version = HeaderValue::from_static("2025-09-03");
    request.headers_mut().insert(NOTION_VERSION, version);
    request
}

/// Sends a request through a ready service whose response must be immediate.
#[inline]
pub(crate) fn send<R, S: Service<R>>(service: &mut S, request: R) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(response) => drop(black_box(response)),
        Poll::Pending => panic!("the answer is not there"),
    }
}

pub(crate) fn by<R, S: Service<R>>(mut service: S) -> impl FnMut(R) {
    move |request| send(&mut service, request)
}

/// Returns a function that sends each request through a clone of the service, as `oneshot` does.
pub(crate) fn by_clones_of<S: Service<Request<()>> + Clone>(service: S) -> impl FnMut(Request<()>) {
    move |request| send(&mut black_box(&service).clone(), request)
}

pub(crate) const VERSION: &str = "2026-03-11";

pub(crate) fn version() -> HeaderValue {
    HeaderValue::from_static(VERSION)
}

type SetHeader<S> = SetRequestHeader<S, HeaderValue>;

/// Returns two stacked tower-http layers with constant values, each overriding one header.
pub(crate) fn set_header_twice() -> SetHeader<SetHeader<Inner>> {
    set_token(constant_token(), set_version(Inner))
}

/// Returns the same layers, except that an existing version is kept.
pub(crate) fn set_header_if_absent() -> SetHeader<SetHeader<Inner>> {
    let version = SetRequestHeaderLayer::if_not_present(NOTION_VERSION, version());
    set_token(constant_token(), version.layer(Inner))
}

pub(crate) fn set_version<S>(inner: S) -> SetHeader<S> {
    SetRequestHeaderLayer::overriding(NOTION_VERSION, version()).layer(inner)
}

pub(crate) fn set_token<S>(mut token: HeaderValue, inner: S) -> SetHeader<S> {
    token.set_sensitive(true);
    SetRequestHeaderLayer::overriding(AUTHORIZATION, token).layer(inner)
}

fn constant_token() -> HeaderValue {
    HeaderValue::from_static("Bearer ntn_0123456789")
}

/// Returns a service with the minimum of work: a reference-counted token in memory, as a provider's,
/// without a look-up.
pub(crate) fn insert_both() -> impl Service<Request<()>> {
    let token = Bytes::from_owner(b"Bearer ntn_0123456789".to_vec());
    let token = HeaderValue::from_maybe_shared(token).expect("a header's value");
    let version = version();
    service_fn(move |mut request: Request<()>| {
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, token.clone());
        headers.insert(NOTION_VERSION, version.clone());
        Inner.call(request)
    })
}

pub(crate) fn refreshing(provider: &NotionAuthProvider) -> NotionAuth<Inner, NoReplay> {
    NotionAuthLayer::refreshing(provider.clone())
        .without_replay()
        .layer(Inner)
}

pub(crate) fn replaying(provider: &NotionAuthProvider) -> NotionAuth<Inner> {
    let layer = NotionAuthLayer::refreshing(provider.clone());
    layer.layer(Inner)
}

pub(crate) const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Returns a provider with the tokens of `count` subjects cached, and capacity for no more.
pub(crate) fn provider(count: usize, expires_in: Option<Duration>) -> NotionAuthProvider {
    filled_provider(count, expires_in, |builder| builder.cache_capacity(count))
}

/// Acquires `count` subjects from a provider: names of 36 bytes, header values of 57, and a payload of
/// about 100 bytes each.
pub(crate) fn filled_provider(
    count: usize,
    expires_in: Option<Duration>,
    configure: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder,
) -> NotionAuthProvider {
    let builder = configure(builder());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let record = template(expires_in).await;
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
    let app = NotionAppCredentials::builder()
        .client_id("bench")
        .client_secret("secret_bench")
        .redirect_uri("https://app.example/callback")
        .build();
    let app = app.expect("app credentials");
    NotionAuthProvider::builder().app(app).api_url(API)
}

/// Returns the record of a connection whose access token has 50 characters, as Notion's have.
async fn template(expires_in: Option<Duration>) -> StoredRecord {
    let token = format!("ntn_{}", &"0123456789".repeat(5)[..46]);
    let mut credentials = NotionUserCredentials::new(AccessToken::new(token));
    credentials.expires_at = expires_in.map(|time| SystemTime::now() + time);
    let store = MemoryStore::new();
    let provider = builder().store(store.clone()).build().expect("a provider");
    let subject = Subject::new("template");
    let stored = provider.store_credentials(&subject, credentials).await;
    stored.expect("the credentials are stored");
    let loaded = store.load(&RecordKey::new("notion", subject)).await;
    let loaded = loaded.expect("the store answers");
    loaded.record.expect("a record")
}

/// A store that returns the same record for every subject, so that all memory that is counted belongs to
/// the provider.
#[derive(Debug)]
struct EverySubject {
    record: StoredRecord,
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
        unreachable!("only read")
    }

    async fn consume_nonce(&self, _: &Nonce, _: Duration) -> Result<bool, StoreError> {
        unreachable!("only read")
    }

    async fn list(&self, _: &str, _: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        unreachable!("only read")
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        unreachable!("only read")
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
