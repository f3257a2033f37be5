//! How credentials are got: the calls of the OAuth endpoints, and what becomes of their answers.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    error::Error,
    fmt::{self, Debug},
    future::{Pending, pending},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Full};
use notion_auth::{
    AccessToken, BoxError, NotionAppCredentials, NotionAuthProvider, NotionUserCredentials,
    Subject,
    clock::Clock as _,
    credentials::{NotionAppCredentialsBuilder, RefreshToken},
    header::NOTION_VERSION,
    oauth::{AuthorizationRequest, CallbackAnswer, NotSent, OAuthError, OAuthFlow, PendingFlow},
    provider::{NotionAuthProviderBuilder, RefreshTimings},
    testing::{
        MockNotion, TestClock,
        notion::{Call, ErrorShape, Fault, MockNotionBuilder, Outcome},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(feature = "https")]
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tower::service_fn;
use tower_service::Service;
use url::{Url, form_urlencoded};

const REDIRECT_URI: &str = "https://app.example/notion/callback";

fn ann() -> Subject {
    Subject::new("ann")
}

/// The calls for the app that this server knows, over a socket if it has one.
#[track_caller]
fn flow(notion: &MockNotion) -> OAuthFlow {
    let builder = notion.provider_builder().expect("the server's app");
    built(reaching(notion, builder))
}

/// Without the feature `https` there is no way to a socket, and the server is reached in process.
fn reaching(notion: &MockNotion, builder: NotionAuthProviderBuilder) -> NotionAuthProviderBuilder {
    if cfg!(feature = "https") {
        builder
    } else {
        builder.transport(notion.service())
    }
}

#[track_caller]
fn built(builder: NotionAuthProviderBuilder) -> OAuthFlow {
    builder.build().expect("a provider").oauth().clone()
}

async fn on_a_socket() -> MockNotion {
    start(MockNotion::builder()).await
}

async fn start(builder: MockNotionBuilder) -> MockNotion {
    builder.start().await.expect("a free port")
}

fn app() -> NotionAppCredentialsBuilder {
    NotionAppCredentials::builder()
        .client_id("1f2e")
        .client_secret("secret_3d4c")
        .redirect_uri(REDIRECT_URI)
}

#[track_caller]
fn provider(app: NotionAppCredentialsBuilder) -> NotionAuthProviderBuilder {
    NotionAuthProvider::builder().app(app.build().expect("good credentials"))
}

#[track_caller]
fn begin(flow: &OAuthFlow) -> AuthorizationRequest {
    flow.authorize(&ann()).expect("an app with an OAuth client")
}

/// A code as the server gives it to a browser whose user allows the connection.
#[track_caller]
fn consent(notion: &MockNotion, url: &Url) -> String {
    notion.consent(url.as_str()).expect("a request that holds")
}

#[track_caller]
fn a_code(notion: &MockNotion, flow: &OAuthFlow) -> String {
    parameter(&consent(notion, &begin(flow).url), "code")
}

#[track_caller]
fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    let mut values = url.query_pairs().filter(|(found, _)| found == name);
    let value = values.next().expect(name).1.into_owned();
    assert_eq!(values.next(), None, "{name} stands twice");
    value
}

#[track_caller]
fn answer(url: &str) -> CallbackAnswer {
    CallbackAnswer::from_url(url).expect("a callback with code and state")
}

/// What can be asked of an error; exactly one of it holds.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Configuration,
    NotSent,
    Ambiguous,
    RateLimited(Option<u64>),
    Refused(u16, String),
    Denied,
    /// One of the callback's own errors.
    Callback,
}

fn told(error: &OAuthError) -> Told {
    let mut all = Vec::new();
    let mut tell = |holds, told| {
        if holds {
            all.push(told);
        }
    };
    tell(error.is_configuration(), Told::Configuration);
    tell(error.is_not_sent(), Told::NotSent);
    tell(error.is_ambiguous(), Told::Ambiguous);
    tell(error.is_denied(), Told::Denied);
    let after = error.retry_after().map(|after| after.as_secs());
    tell(error.is_rate_limited(), Told::RateLimited(after));
    if let Some(refusal) = error.refusal() {
        tell(true, Told::Refused(refusal.status, refusal.code.clone()));
    }
    assert!(all.len() <= 1, "{all:?}");
    all.pop().unwrap_or(Told::Callback)
}

#[track_caller]
fn fails<T>(outcome: Result<T, OAuthError>) -> OAuthError {
    match outcome {
        Ok(_) => panic!("this was to fail"),
        Err(error) => error,
    }
}

/// All that an error shows anywhere.
fn all_texts(error: &OAuthError) -> String {
    let mut text = format!("{error} {error:?} {error:#?} {:?}", error.refusal());
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(" {error} {error:?} {error:#?}"));
        cause = error.source();
    }
    text
}

#[track_caller]
fn shows_none_of(text: &str, canaries: &[&str]) {
    for canary in canaries {
        assert!(!text.contains(canary), "{canary} is in {text}");
    }
}

// The authorization URL.

fn query(url: &Url) -> Vec<(String, String)> {
    url.query_pairs().into_owned().collect()
}

#[track_caller]
fn asks(builder: NotionAppCredentialsBuilder, expected: &[(&str, &str)]) {
    let AuthorizationRequest { url, pending, .. } = begin(&built(provider(builder)));
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    expected.push(("state".to_owned(), pending.expose_state().to_owned()));
    let mut found = query(&url);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_authorization_url_asks_a_user_for_a_code() {
    let begun = begin(&built(provider(app())));
    assert!(
        begun
            .url
            .as_str()
            .starts_with("https://api.notion.com/v1/oauth/authorize?")
    );
    asks(
        app(),
        &[
            ("client_id", "1f2e"),
            ("response_type", "code"),
            ("owner", "user"),
            ("redirect_uri", REDIRECT_URI),
        ],
    );
}

#[test]
fn the_redirect_uri_is_sent_to_the_letter() {
    let uri = "https://APP.example:443/a/../cb?x=%7e&y=a+b";
    asks(
        app().redirect_uri(uri),
        &[
            ("client_id", "1f2e"),
            ("response_type", "code"),
            ("owner", "user"),
            ("redirect_uri", uri),
        ],
    );
}

#[test]
fn the_scope_is_sent_only_if_there_is_one_joined_by_spaces() {
    let rest = [
        ("client_id", "1f2e"),
        ("response_type", "code"),
        ("owner", "user"),
        ("redirect_uri", REDIRECT_URI),
    ];
    asks(app().default_scope(Vec::<String>::new()), &rest);
    let mut with_scope = rest.to_vec();
    with_scope.push(("scope", "read write"));
    asks(app().default_scope(["read", "write"]), &with_scope);
}

#[test]
fn an_authorization_url_keeps_its_own_query_and_no_parameter_stands_twice() {
    // As Notion's page of an integration shows it, ready to be copied.
    let shown = "https://api.notion.com/v1/oauth/authorize?client_id=1f2e&response_type=code\
                 &owner=user&redirect_uri=https%3A%2F%2Fapp.example%2Fnotion%2Fcallback&tenant=7";
    asks(
        app().authorization_url(shown),
        &[
            ("tenant", "7"),
            ("client_id", "1f2e"),
            ("response_type", "code"),
            ("owner", "user"),
            ("redirect_uri", REDIRECT_URI),
        ],
    );
}

#[test]
fn every_flow_has_a_state_of_256_bits_of_its_own() {
    let flow = built(provider(app()));
    let states: BTreeSet<String> = (0..100)
        .map(|_| {
            let begun = begin(&flow);
            let state = begun.pending.expose_state().to_owned();
            assert_eq!(parameter(begun.url.as_str(), "state"), state);
            assert_eq!(state.len(), 43);
            let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert!(state.bytes().all(is_url_safe), "{state}");
            state
        })
        .collect();
    assert_eq!(states.len(), 100);
}

#[test]
fn debug_of_a_flow_shows_neither_state_nor_secret() {
    let flow = built(provider(app()));
    let begun = begin(&flow);
    let answer = answer("/cb?code=Canary1&state=Canary2");
    let text = format!(
        "{begun:?} {begun:#?} {:?} {flow:?} {answer:?}",
        begun.pending
    );
    shows_none_of(
        &text,
        &[begun.pending.expose_state(), "secret_3d4c", "Canary"],
    );
}

// The callback.

#[tokio::test]
async fn a_callback_completes_the_connection() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let begun = begin(&flow);
    let callback = consent(&notion, &begun.url);
    let code = parameter(&callback, "code");

    let credentials = flow
        .exchange(begun.pending, &ann(), answer(&callback))
        .await
        .expect("a connection");
    is_connected(&notion, &credentials);
    let presented = notion.ledger().presentations_of(&code);
    assert_eq!(presented.len(), 1);
    assert_eq!(presented[0].outcome, Outcome::Accepted);
}

/// The credentials are the server's living pair, and all that its answer held is in them.
#[track_caller]
fn is_connected(notion: &MockNotion, credentials: &NotionUserCredentials) {
    let bot_id = credentials.bot_id().expect("a bot id");
    let (access, refresh) = notion.ledger().living_pair(bot_id).expect("a living pair");
    assert_eq!(credentials.access_token.expose(), access);
    assert_eq!(refresh_token(credentials), Some(&*refresh));
    assert_eq!(credentials.token_type, "Bearer");
    assert_eq!(credentials.expires_at, None);
    assert_eq!(credentials.expires_in, None);
    assert!(credentials.workspace_id.is_some());
    assert!(credentials.workspace_name.is_some());
    assert_eq!(credentials.workspace_icon, None);
    assert_eq!(credentials.owner().expect("an owner")["type"], "user");
    assert_eq!(credentials.duplicated_template_id(), None);
    let raw: BTreeSet<_> = credentials.raw.keys().map(String::as_str).collect();
    let expected = ["bot_id", "duplicated_template_id", "owner", "request_id"];
    assert_eq!(raw, BTreeSet::from(expected));
}

fn refresh_token(credentials: &NotionUserCredentials) -> Option<&str> {
    credentials.refresh_token.as_ref().map(RefreshToken::expose)
}

#[tokio::test]
async fn a_code_alone_can_be_exchanged() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let code = a_code(&notion, &flow);
    let credentials = flow.exchange_code(&code).await.expect("a connection");
    is_connected(&notion, &credentials);
}

#[tokio::test]
async fn the_exchange_repeats_the_redirect_uri_of_the_authorization_url() {
    // The server wants the same text in both, or in neither.
    let odd = "https://APP.example:443/a/../cb?x=%7e";
    let notion = start(MockNotion::builder().redirect_uri(odd)).await;
    let flow = flow(&notion);
    let begun = begin(&flow);
    let callback = consent(&notion, &begun.url);
    let exchanged = flow
        .exchange(begun.pending, &ann(), answer(&callback))
        .await;
    is_connected(&notion, &exchanged.expect("a connection"));

    let app = NotionAppCredentials::builder()
        .authorization_url(notion.authorization_url())
        .token_url(notion.token_url())
        .client_id(notion.client_id())
        .client_secret(notion.client_secret());
    let flow = built(reaching(&notion, provider(app)));
    let begun = begin(&flow);
    assert!(
        query(&begun.url)
            .iter()
            .all(|(name, _)| name != "redirect_uri")
    );
    let callback = consent(&notion, &begun.url);
    let exchanged = flow
        .exchange(begun.pending, &ann(), answer(&callback))
        .await;
    is_connected(&notion, &exchanged.expect("a connection"));
}

#[tokio::test]
async fn a_code_is_good_for_one_exchange_and_is_never_sent_again_by_itself() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let code = a_code(&notion, &flow);
    let first = flow.exchange_code(&code).await;
    assert!(first.is_ok());
    let error = fails(flow.exchange_code(&code).await);
    assert_eq!(told(&error), Told::Refused(400, "invalid_grant".to_owned()));
    assert_eq!(notion.ledger().presentations_of(&code).len(), 2);
}

#[tokio::test]
async fn a_callback_of_another_flow_is_refused_before_anything_is_sent() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let (mine, other) = (begin(&flow), begin(&flow));
    let callback = consent(&notion, &other.url);
    let error = fails(flow.exchange(mine.pending, &ann(), answer(&callback)).await);
    assert_eq!(told(&error), Told::Callback);
    assert!(error.to_string().contains("another flow"), "{error}");
    for name in ["code", "state"] {
        shows_none_of(&all_texts(&error), &[&parameter(&callback, name)]);
    }
    assert!(notion.ledger().presentations().is_empty());
}

#[tokio::test]
async fn a_state_that_only_begins_like_the_flows_is_another() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let pending = begin(&flow).pending;
    let state = pending.expose_state().to_owned();
    for other in [
        &state[..42],
        &format!("{state}A"),
        &state.to_ascii_lowercase(),
    ] {
        let callback = format!("/cb?code=c&state={other}");
        let exchanged = flow
            .exchange(pending.clone(), &ann(), answer(&callback))
            .await;
        assert_eq!(told(&fails(exchanged)), Told::Callback);
    }
    assert!(notion.ledger().presentations().is_empty());
}

#[tokio::test]
async fn a_callback_of_another_subject_is_refused_before_anything_is_sent() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    for other in ["bob", "", "ann ", "Ann"] {
        let begun = begin(&flow);
        let callback = consent(&notion, &begun.url);
        let other = Subject::new(other);
        let error = fails(
            flow.exchange(begun.pending, &other, answer(&callback))
                .await,
        );
        assert_eq!(told(&error), Told::Callback);
        assert!(error.to_string().contains("another subject"), "{error}");
    }
    assert!(notion.ledger().presentations().is_empty());
}

/// A flow that is completed after that time; whether it could be.
async fn completes_after(age: Duration) -> bool {
    let notion = MockNotion::in_process();
    let clock = TestClock::new();
    let builder = notion.provider_builder().expect("the server's app");
    let flow = built(builder.clock(clock.clone()));
    let begun = begin(&flow);
    let callback = consent(&notion, &begun.url);
    clock.step_wall_forward(age);
    let exchanged = flow
        .exchange(begun.pending, &ann(), answer(&callback))
        .await;
    let sent = notion.ledger().presentations().len();
    match exchanged {
        Ok(_) => assert_eq!(sent, 1),
        Err(error) => {
            assert_eq!(told(&error), Told::Callback);
            assert!(error.to_string().contains("10 minutes"), "{error}");
            assert_eq!(sent, 0);
        }
    }
    sent == 1
}

#[tokio::test(start_paused = true)]
async fn a_flow_lives_for_ten_minutes() {
    assert_eq!(PendingFlow::LIFETIME, Duration::from_secs(600));
    assert!(completes_after(Duration::ZERO).await);
    assert!(completes_after(Duration::from_secs(600)).await);
    assert!(!completes_after(Duration::from_secs(601)).await);
    assert!(!completes_after(Duration::from_secs(86_400)).await);
}

#[tokio::test(start_paused = true)]
async fn a_pending_flow_survives_a_session() {
    let notion = MockNotion::in_process();
    let flow = flow(&notion);
    let begun = begin(&flow);
    let kept = serde_json::to_string(&begun.pending).expect("it serialises");
    let pending: PendingFlow = serde_json::from_str(&kept).expect("it deserialises");
    assert_eq!(pending.subject(), ann());
    assert_eq!(pending.expose_state(), begun.pending.expose_state());

    let callback = consent(&notion, &begun.url);
    let exchanged = flow.exchange(pending, &ann(), answer(&callback)).await;
    is_connected(&notion, &exchanged.expect("a connection"));
}

#[tokio::test(start_paused = true)]
async fn a_pending_flow_remembers_the_redirect_uri_it_was_begun_with() {
    let notion = MockNotion::builder()
        .redirect_uri("https://app.example/old")
        .redirect_uri("https://app.example/new")
        .in_process();
    let before = flow(&notion);
    let begun = begin(&before);
    let callback = consent(&notion, &begun.url);

    let app = NotionAppCredentials::builder()
        .client_id(notion.client_id())
        .client_secret(notion.client_secret())
        .redirect_uri("https://app.example/new");
    let after = built(provider(app).transport(notion.service()));
    let exchanged = after
        .exchange(begun.pending, &ann(), answer(&callback))
        .await;
    is_connected(&notion, &exchanged.expect("a connection"));
}

#[track_caller]
fn callback_reads(query: &str) {
    let both = [
        CallbackAnswer::from_query(query),
        CallbackAnswer::from_url(&format!("https://app.example/cb?{query}")),
        CallbackAnswer::from_url(&format!("https://app.example/cb?{query}#top")),
        CallbackAnswer::from_url(&format!("/cb?{query}")),
        CallbackAnswer::from_url(&format!("/cb?{query}#top")),
    ];
    for answer in both {
        if let Err(error) = answer {
            panic!("{query}: {error}");
        }
    }
}

#[track_caller]
fn callback_fails(query: &str, expected: Told, problem: &str) {
    for answer in [
        CallbackAnswer::from_query(query),
        CallbackAnswer::from_url(&format!("https://app.example/cb?{query}")),
        CallbackAnswer::from_url(&format!("/cb?{query}")),
    ] {
        let error = fails(answer);
        assert_eq!(told(&error), expected, "{query}");
        assert!(error.to_string().contains(problem), "{query}: {error}");
        shows_none_of(&all_texts(&error), &["Canary"]);
    }
}

#[test]
fn a_callback_has_one_code_and_one_state() {
    callback_reads("code=c&state=s");
    callback_reads("state=s&code=c");
    callback_reads("code=c&state=s&other=1");
    callback_reads("code=%20&state=%2B");

    callback_fails("", Told::Callback, "no code");
    callback_fails("state=Canary", Told::Callback, "no code");
    callback_fails("code=&state=Canary", Told::Callback, "no code");
    callback_fails("Code=Canary&state=Canary", Told::Callback, "no code");
    callback_fails("code=Canary", Told::Callback, "no state");
    callback_fails("code=Canary&state=", Told::Callback, "no state");
}

#[test]
fn a_callback_with_a_parameter_twice_is_refused() {
    for query in [
        "code=Canary1&code=Canary2&state=Canary",
        "code=Canary&code=Canary&state=Canary",
        "code=Canary&state=Canary1&state=Canary2",
        "code=Canary&state=Canary&state=",
        "code=Canary&%63ode=&state=Canary",
        "code=Canary&state=Canary&other=Canary1&other=Canary2",
        "error=access_denied&error=access_denied&state=",
        "error=access_denied&code=Canary&code=Canary",
    ] {
        callback_fails(query, Told::Callback, "duplicate parameter");
    }
}

#[test]
fn an_error_comes_before_code_and_state() {
    for query in [
        "error=access_denied&state=",
        "error=access_denied",
        "state=Canary&error=access_denied",
        "code=Canary&state=Canary&error=access_denied",
        "error=access_denied&error_description=Canary&code=&state=",
    ] {
        callback_fails(query, Told::Denied, "access_denied");
    }
    callback_fails(
        "error=server_error&code=Canary&state=Canary",
        Told::Callback,
        "server_error",
    );
    callback_fails("error=&code=Canary&state=Canary", Told::Callback, "");
    callback_fails("error=ntn_Canary&state=", Told::Callback, "[REDACTED]");
}

#[tokio::test]
async fn a_denial_is_told_and_changes_nothing() {
    let notion = on_a_socket().await;
    let callback = notion
        .deny(begin(&flow(&notion)).url.as_str())
        .expect("a request that holds");
    assert_eq!(parameter(&callback, "state"), "");
    let error = fails(CallbackAnswer::from_url(&callback));
    assert_eq!(told(&error), Told::Denied);
    assert!(notion.ledger().presentations().is_empty());
}

// The requests.

type Answer = dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync;

/// A server at the other end of the wire: it remembers every request, and answers all alike.
#[derive(Clone)]
struct Wire {
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
    answer: Arc<Answer>,
}

impl Wire {
    fn new(answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        Self {
            seen: Arc::default(),
            answer: Arc::new(answer),
        }
    }

    fn json(status: u16, body: Value) -> Self {
        Self::new(move |_| response(status, body.to_string()))
    }

    fn transport(
        &self,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + use<> {
        let wire = self.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let wire = wire.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let request = Request::from_parts(head, body);
                let response = (wire.answer)(&request).map(Full::new);
                wire.seen.lock().expect("no panic").push(request);
                Ok(response)
            }
        })
    }

    fn flow(&self, app: NotionAppCredentialsBuilder) -> OAuthFlow {
        built(provider(app).transport(self.transport()))
    }

    fn seen(&self) -> Vec<Request<Bytes>> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The only request.
    #[track_caller]
    fn request(&self) -> Request<Bytes> {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn token_answer() -> Value {
    json!({"access_token": "ntn_2", "token_type": "bearer", "refresh_token": "nrt_2"})
}

fn stored() -> NotionUserCredentials {
    serde_json::from_value(json!({
        "access_token": "ntn_1", "refresh_token": "nrt_1", "scope": ["read"],
        "expires_in": 60, "expires_at": 1_767_225_600, "id_token": "eyJ1",
        "workspace_id": "w1", "workspace_name": "Acme", "workspace_icon": "icon",
        "raw": {"bot_id": "b1", "owner": {"type": "workspace", "workspace": true},
                "duplicated_template_id": "t1", "request_id": "r1", "extra": 1},
    }))
    .expect("stored credentials")
}

/// A call of each of the endpoints, by name.
const CALLS: [&str; 4] = ["exchange", "refresh", "revoke", "introspect"];

async fn call(flow: &OAuthFlow, name: &str) -> Result<(), OAuthError> {
    match name {
        "exchange" => flow.exchange_code("c0de").await.map(drop),
        "refresh" => flow.refresh(&stored()).await.map(drop),
        "revoke" => flow.revoke(&AccessToken::new("ntn_1")).await,
        "introspect" => flow.introspect(&AccessToken::new("ntn_1")).await.map(drop),
        _ => panic!("there is no call {name}"),
    }
}

/// What makes every call succeed.
fn good_answer() -> Value {
    let mut answer = token_answer();
    answer["active"] = true.into();
    answer
}

#[track_caller]
fn header<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> &'a http::HeaderValue {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        panic!("there is no {name}");
    };
    assert_eq!(values.next(), None, "{name} stands twice");
    value
}

#[tokio::test(start_paused = true)]
async fn every_call_is_a_post_of_json_with_basic_and_version() {
    for name in CALLS {
        let wire = Wire::json(200, good_answer());
        let app = app().version("2025-09-03").client_secret("a:b/secret~");
        call(&wire.flow(app), name).await.expect(name);

        let (head, body) = wire.request().into_parts();
        assert_eq!(head.method, Method::POST);
        let authorization = header(&head.headers, &AUTHORIZATION);
        let basic = format!("Basic {}", STANDARD.encode("1f2e:a:b/secret~"));
        assert_eq!(authorization, &*basic);
        assert!(authorization.is_sensitive());
        assert_eq!(header(&head.headers, &CONTENT_TYPE), "application/json");
        assert_eq!(header(&head.headers, &ACCEPT_ENCODING), "identity");
        assert_eq!(header(&head.headers, &NOTION_VERSION), "2025-09-03");

        let (path, expected) = match name {
            "exchange" => (
                "token",
                json!({
                    "grant_type": "authorization_code",
                    "code": "c0de",
                    "redirect_uri": REDIRECT_URI,
                }),
            ),
            "refresh" => (
                "token",
                json!({"grant_type": "refresh_token", "refresh_token": "nrt_1"}),
            ),
            endpoint => (endpoint, json!({"token": "ntn_1"})),
        };
        assert_eq!(
            head.uri.to_string(),
            format!("https://api.notion.com/v1/oauth/{path}"),
            "{name}"
        );
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body, expected, "{name}");
        shows_none_of(
            &format!("{:?}", head.headers),
            &[&basic["Basic ".len()..], "secret~"],
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_without_a_redirect_uri_names_none() {
    let wire = Wire::json(200, good_answer());
    let app = NotionAppCredentials::builder()
        .client_id("1f2e")
        .client_secret("s");
    call(&wire.flow(app), "exchange").await.expect("exchange");
    let body: Value = serde_json::from_slice(wire.request().body()).expect("JSON");
    assert_eq!(
        body,
        json!({"grant_type": "authorization_code", "code": "c0de"})
    );
}

#[track_caller]
fn endpoints(token_url: &str, revoke: &str, introspect: &str) {
    let runtime = runtime();
    for (name, expected) in [("revoke", revoke), ("introspect", introspect)] {
        let wire = Wire::json(200, good_answer());
        let flow = wire.flow(app().token_url(token_url));
        runtime.block_on(call(&flow, name)).expect(name);
        assert_eq!(wire.request().uri(), expected);
    }
}

#[test]
fn revoke_and_introspect_are_siblings_of_the_token_url() {
    endpoints(
        "https://api.notion.com/v1/oauth/token",
        "https://api.notion.com/v1/oauth/revoke",
        "https://api.notion.com/v1/oauth/introspect",
    );
    endpoints(
        "http://127.0.0.1:8080/token?tenant=7",
        "http://127.0.0.1:8080/revoke",
        "http://127.0.0.1:8080/introspect",
    );
    endpoints(
        "https://n.example/a/token/",
        "https://n.example/a/revoke",
        "https://n.example/a/introspect",
    );
}

#[tokio::test(start_paused = true)]
async fn revoke_and_introspect_are_where_they_were_set() {
    let wire = Wire::json(200, good_answer());
    let flow = built(
        provider(app())
            .revoke_url("https://r.example/x")
            .introspect_url("http://localhost:9/y")
            .transport(wire.transport()),
    );
    call(&flow, "revoke").await.expect("revoke");
    call(&flow, "introspect").await.expect("introspect");
    let uris: Vec<_> = wire
        .seen()
        .iter()
        .map(|seen| seen.uri().to_string())
        .collect();
    assert_eq!(uris, ["https://r.example/x", "http://localhost:9/y"]);
}

#[test]
fn endpoints_are_https_or_on_this_machine() {
    for bad in [
        "http://evil/revoke",
        "http://localhost.evil/",
        "https://user@n.example/",
        "https://n.example/#x",
        "revoke",
        "",
    ] {
        let revoke = provider(app()).revoke_url(bad).build();
        let introspect = provider(app()).introspect_url(bad).build();
        for (built, name) in [(revoke, "revoke_url"), (introspect, "introspect_url")] {
            let error = built.expect_err(bad);
            assert!(error.is_configuration());
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_without_a_whole_client_sends_nothing() {
    let bare = || NotionAppCredentials::builder().redirect_uri(REDIRECT_URI);
    let apps = [
        (bare(), "client id"),
        (bare().token("ntn_1"), "client id"),
        (bare().client_secret("s"), "client id"),
        (bare().client_id("1f2e"), "client secret"),
    ];
    for (app, lacking) in apps {
        let wire = Wire::json(200, good_answer());
        let flow = wire.flow(app);
        for name in CALLS {
            let error = fails(call(&flow, name).await);
            assert_eq!(told(&error), Told::Configuration);
            assert!(error.to_string().contains(lacking), "{error}");
        }
        let error = fails(flow.authorize(&ann()));
        assert_eq!(told(&error), Told::Configuration);
        assert!(wire.seen().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_without_a_refresh_token_sends_nothing() {
    let wire = Wire::json(200, good_answer());
    let credentials = NotionUserCredentials::new(AccessToken::new("ntn_1"));
    let error = fails(wire.flow(app()).refresh(&credentials).await);
    assert_eq!(told(&error), Told::Configuration);
    assert!(wire.seen().is_empty());
}

// Revoke and introspect.

#[tokio::test]
async fn a_revoked_token_is_dead_and_introspection_says_so() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let credentials = notion.connect();
    let token = &credentials.access_token;

    let before = flow.introspect(token).await.expect("an answer");
    assert!(before.active);
    assert!(before.scope.is_some() && before.issued_at.is_some() && before.request_id.is_some());

    flow.revoke(token).await.expect("revoked");
    assert!(!notion.ledger().is_access_token_live(token.expose()));
    let after = flow.introspect(token).await.expect("an answer");
    assert!(!after.active);
    assert_eq!((after.scope, after.issued_at), (None, None));
}

#[tokio::test(start_paused = true)]
async fn an_introspection_that_does_not_say_whether_is_no_answer() {
    for body in [
        json!({}),
        json!({"active": "true"}),
        json!({"active": null}),
        json!([true]),
    ] {
        let wire = Wire::json(200, body);
        let error = fails(
            wire.flow(app())
                .introspect(&AccessToken::new("ntn_1"))
                .await,
        );
        assert_eq!(told(&error), Told::Ambiguous);
    }
}

// The token answer.

/// The credentials that an exchange makes of this answer, and when it came.
async fn exchanged(answer: Value) -> (Result<NotionUserCredentials, OAuthError>, SystemTime) {
    let clock = TestClock::new();
    let wire = Wire::json(200, answer);
    let flow = built(
        provider(app())
            .transport(wire.transport())
            .clock(clock.clone()),
    );
    (flow.exchange_code("c0de").await, clock.wall())
}

/// Credentials of a token answer with these members besides the tokens.
async fn answered(members: Value) -> NotionUserCredentials {
    let mut answer = token_answer();
    answer
        .as_object_mut()
        .expect("an object")
        .extend(members.as_object().cloned().expect("an object"));
    exchanged(answer).await.0.expect("credentials")
}

async fn expires_in(value: Option<Value>, expected: Option<u64>) {
    let mut answer = token_answer();
    if let Some(value) = &value {
        answer["expires_in"] = value.clone();
    }
    let (credentials, now) = exchanged(answer).await;
    let credentials = credentials.expect("credentials");
    assert_eq!(credentials.expires_in, expected, "{value:?}");
    let end = expected.and_then(|seconds| now.checked_add(Duration::from_secs(seconds)));
    assert_eq!(credentials.expires_at, end, "{value:?}");
    assert!(!credentials.raw.contains_key("expires_in"));
}

#[tokio::test(start_paused = true)]
async fn expires_in_is_honoured_in_any_form_and_garbage_is_unknown() {
    for (value, expected) in [
        (None, None),
        (Some(json!(null)), None),
        (Some(json!(0)), Some(0)),
        (Some(json!(3600)), Some(3600)),
        (Some(json!(3599.9)), Some(3599)),
        (Some(json!(1e3)), Some(1000)),
        (Some(json!("3600")), Some(3600)),
        (Some(json!(" 3600 ")), Some(3600)),
        (Some(json!("3600.5")), Some(3600)),
        (Some(json!(-5)), Some(0)),
        (Some(json!("-5")), Some(0)),
        (Some(json!(u64::MAX)), Some(u64::MAX)),
        (Some(json!("soon")), None),
        (Some(json!("")), None),
        (Some(json!("nan")), None),
        (Some(json!("inf")), None),
        (Some(json!(true)), None),
        (Some(json!([3600])), None),
        (Some(json!({"seconds": 3600})), None),
    ] {
        expires_in(value, expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn expires_at_is_honoured_and_comes_before_expires_in() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let both = answered(json!({"expires_at": 1_800_000_000, "expires_in": 60})).await;
    assert_eq!(both.expires_at, at(1_800_000_000));
    assert_eq!(both.expires_in, Some(60));
    // TestClock starts at 1767225600.
    for garbage in [
        json!("later"),
        json!("nan"),
        json!(true),
        json!({}),
        json!(null),
    ] {
        let fallen_back = answered(json!({"expires_at": garbage, "expires_in": 60})).await;
        assert_eq!(fallen_back.expires_at, at(1_767_225_660));
        let unknown = answered(json!({"expires_at": garbage})).await;
        assert_eq!(unknown.expires_at, None);
    }
}

#[tokio::test(start_paused = true)]
async fn expires_in_of_the_server_is_counted_from_its_answer() {
    let notion = MockNotion::builder().expires_in(3600).in_process();
    let clock = TestClock::new();
    let builder = notion.provider_builder().expect("the server's app");
    let flow = built(builder.clock(clock.clone()));
    notion.script(
        Call::TokenExchange,
        [Fault::DelayAfter(Duration::from_secs(7))],
    );
    let begun = clock.wall();
    let credentials = flow.exchange_code(&a_code(&notion, &flow)).await;
    assert_eq!(
        credentials.expect("a connection").expires_at,
        Some(begun + Duration::from_secs(3607))
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_may_have_no_refresh_token() {
    for refresh in [json!(null), json!(""), json!(5), json!(["x"])] {
        let credentials = answered(json!({ "refresh_token": refresh })).await;
        assert_eq!(refresh_token(&credentials), None, "{refresh}");
        assert!(!credentials.raw.contains_key("refresh_token"));
    }
    let (absent, _) = exchanged(json!({"access_token": "ntn_2"})).await;
    assert_eq!(refresh_token(&absent.expect("credentials")), None);
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_read_from_a_string_or_a_list() {
    for (scope, expected) in [
        (json!("read write"), Some(&["read", "write"][..])),
        (json!(["read", "write"]), Some(&["read", "write"][..])),
        (json!(""), Some(&[][..])),
        (json!(null), None),
        (json!(7), None),
        (json!(["read", 7]), None),
    ] {
        let credentials = answered(json!({ "scope": scope })).await;
        let found: Option<Vec<&str>> = credentials
            .scope
            .as_ref()
            .map(|scope| scope.iter().map(String::as_str).collect());
        assert_eq!(found.as_deref(), expected, "{scope}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_type_is_bearer_in_any_case_or_what_it_says() {
    for (said, kept) in [
        (json!("bearer"), "Bearer"),
        (json!("BEARER"), "Bearer"),
        (json!("mac"), "mac"),
        (json!(null), "Bearer"),
        (json!(7), "Bearer"),
    ] {
        let credentials = answered(json!({ "token_type": said })).await;
        assert_eq!(credentials.token_type, kept, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_is_kept_in_raw_without_the_tokens() {
    let credentials = answered(json!({
        "bot_id": "b1", "owner": {"type": "workspace", "workspace": true}, "later": [1, {"a": 2}],
        "request_id": "r1", "duplicated_template_id": null,
        "echo": "ntn_2", "deep": {"refresh_token": "other", "kept": [true, "see nrt_2"]},
    }))
    .await;
    assert_eq!(
        Value::from(credentials.raw),
        json!({
            "bot_id": "b1", "owner": {"type": "workspace", "workspace": true},
            "later": [1, {"a": 2}], "request_id": "r1", "duplicated_template_id": null,
            "deep": {"kept": [true]},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_success_without_an_access_token_is_ambiguous() {
    for answer in [
        json!({}),
        json!({"access_token": null, "refresh_token": "nrt_2"}),
        json!({"access_token": ""}),
        json!({"access_token": "", "refresh_token": null}),
        json!({"access_token": 7, "refresh_token": "nrt_2"}),
        json!({"token": "ntn_2"}),
        json!({"error": "invalid_grant"}),
        json!({"data": {"access_token": "ntn_2", "refresh_token": "nrt_2"}}),
        json!([1, {"data": {"access_token": "ntn_2", "refresh_token": "nrt_2"}}]),
        json!("ntn_2"),
        json!(null),
    ] {
        let (outcome, _) = exchanged(answer.clone()).await;
        let error = fails(outcome);
        assert_eq!(told(&error), Told::Ambiguous, "{answer}");
        shows_none_of(&all_texts(&error), &["ntn_2", "nrt_2"]);
    }
}

// What a refresh keeps.

/// The JSON of the credentials after a refresh of [`stored`] ones that was answered with these
/// members and a new access token.
async fn refreshed(members: Value) -> Value {
    let mut answer = members;
    answer["access_token"] = "ntn_2".into();
    let wire = Wire::json(200, answer);
    let credentials = wire.flow(app()).refresh(&stored()).await;
    json_of(&credentials.expect("credentials"))
}

fn json_of(credentials: &NotionUserCredentials) -> Value {
    serde_json::to_value(credentials.expose_tokens()).expect("credentials serialise")
}

/// [`stored`] with a new access token of unknown expiry, and these changes.
fn stored_but(changes: Value) -> Value {
    let mut json = json_of(&stored());
    json["access_token"] = "ntn_2".into();
    json["expires_in"] = Value::Null;
    json["expires_at"] = Value::Null;
    for (name, value) in changes.as_object().expect("an object") {
        json[name] = value.clone();
    }
    json
}

#[tokio::test(start_paused = true)]
async fn a_refresh_keeps_what_its_answer_does_not_say_except_the_expiry() {
    assert_eq!(refreshed(json!({})).await, stored_but(json!({})));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_names_no_refresh_token_keeps_the_old_one() {
    for refresh_token in [json!(null), json!("")] {
        let json = refreshed(json!({ "refresh_token": refresh_token })).await;
        assert_eq!(json["refresh_token"], "nrt_1");
    }
    let rotated = refreshed(json!({"refresh_token": "nrt_2"})).await;
    assert_eq!(rotated["refresh_token"], "nrt_2");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_replaces_what_its_answer_says() {
    let raw = |changes: Value| {
        let mut raw = json_of(&stored())["raw"].take();
        for (name, value) in changes.as_object().expect("an object") {
            raw[name] = value.clone();
        }
        json!({ "raw": raw })
    };
    for (answer, changes) in [
        (json!({"workspace_id": "w2"}), json!({"workspace_id": "w2"})),
        (
            json!({"workspace_name": "New"}),
            json!({"workspace_name": "New"}),
        ),
        (
            json!({"workspace_icon": "i2"}),
            json!({"workspace_icon": "i2"}),
        ),
        (
            json!({"workspace_icon": null}),
            json!({"workspace_icon": null}),
        ),
        (json!({"workspace_id": null}), json!({})),
        (json!({"scope": "a b"}), json!({"scope": ["a", "b"]})),
        (json!({"scope": null}), json!({})),
        (json!({"id_token": "eyJ2"}), json!({"id_token": "eyJ2"})),
        (json!({"bot_id": "b2"}), raw(json!({"bot_id": "b2"}))),
        (json!({"bot_id": null, "owner": null}), json!({})),
        (
            json!({"request_id": "r2", "duplicated_template_id": null, "later": 1}),
            raw(json!({"request_id": "r2", "duplicated_template_id": null, "later": 1})),
        ),
    ] {
        assert_eq!(
            refreshed(answer.clone()).await,
            stored_but(changes),
            "{answer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_counts_its_own_expiry() {
    let wire = Wire::json(200, json!({"access_token": "ntn_2", "expires_in": 90}));
    let clock = TestClock::new();
    let flow = built(
        provider(app())
            .transport(wire.transport())
            .clock(clock.clone()),
    );
    let credentials = flow.refresh(&stored()).await.expect("credentials");
    assert_eq!(credentials.expires_in, Some(90));
    assert_eq!(
        credentials.expires_at,
        Some(clock.wall() + Duration::from_secs(90))
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_keeps_nothing_of_the_one_before() {
    let json = json_of(&answered(json!({})).await);
    assert_eq!(
        json,
        json!({
            "access_token": "ntn_2", "token_type": "Bearer", "refresh_token": "nrt_2",
            "scope": null, "expires_in": null, "expires_at": null, "id_token": null,
            "workspace_id": null, "workspace_name": null, "workspace_icon": null, "raw": {},
        })
    );
}

#[tokio::test]
async fn a_refresh_rotates_both_tokens() {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let old = notion.connect();
    let new = flow.refresh(&old).await.expect("a refresh");
    is_connected(&notion, &new);
    assert_ne!(new.access_token.expose(), old.access_token.expose());
    assert_ne!(refresh_token(&new), refresh_token(&old));
    assert_eq!(notion.ledger().refreshes().len(), 1);
}

// What became of a call.

/// An exchange that meets this fault, on a socket: what is told, and that the code was presented
/// once.
async fn exchange_meets(fault: Fault) -> OAuthError {
    let notion = on_a_socket().await;
    let flow = flow(&notion);
    let code = a_code(&notion, &flow);
    notion.script(Call::TokenExchange, [fault.clone()]);
    let outcome = flow.exchange_code(&code).await;
    let presented = notion.ledger().presentations_of(&code);
    assert_eq!(presented.len(), 1, "{fault:?}");
    let error = fails(outcome);
    shows_none_of(&all_texts(&error), &[&code, notion.client_secret()]);
    error
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_or_unreadable_is_ambiguous_and_sent_once() {
    for fault in [
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::StatusBefore(500),
        Fault::StatusAfter(500),
        Fault::StatusBefore(502),
        Fault::StatusAfter(503),
        Fault::StatusBefore(504),
        Fault::StatusBefore(529),
        Fault::StatusBefore(408),
        Fault::StatusAfter(408),
        Fault::Truncated,
        Fault::WrongJson,
        Fault::Html,
        Fault::Blocked,
    ] {
        let error = exchange_meets(fault.clone()).await;
        assert_eq!(told(&error), Told::Ambiguous, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refresh_whose_answer_is_lost_is_ambiguous_and_sent_once() {
    for fault in [
        Fault::DropAfter,
        Fault::StatusAfter(500),
        Fault::Truncated,
        Fault::Html,
    ] {
        let notion = on_a_socket().await;
        notion.script(Call::Refresh, [fault.clone()]);
        let old = notion.connect();
        let error = fails(flow(&notion).refresh(&old).await);
        assert_eq!(told(&error), Told::Ambiguous, "{fault:?}");
        assert_eq!(notion.ledger().refreshes().len(), 1);
        shows_none_of(
            &all_texts(&error),
            &[refresh_token(&old).expect("a refresh token")],
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = on_a_socket().await;
    for to in [elsewhere.token_url(), "/v1/oauth/token".to_owned()] {
        let error = exchange_meets(Fault::Redirect(to)).await;
        assert_eq!(told(&error), Told::Configuration);
    }
    assert!(elsewhere.ledger().presentations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_redirect_of_any_kind_is_followed() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let wire = Wire::new(move |_| {
            let mut response = response(status, token_answer().to_string());
            let location = "https://evil.example/".parse().expect("a value");
            response.headers_mut().insert(LOCATION, location);
            response
        });
        let error = fails(call(&wire.flow(app()), "exchange").await);
        assert_eq!(told(&error), Told::Configuration, "{status}");
        assert_eq!(wire.seen().len(), 1);
    }
}

#[tokio::test]
async fn rate_limiting_is_told_with_the_time_to_wait() {
    for retry_after in [None, Some(0), Some(7)] {
        let error = exchange_meets(Fault::RateLimited { retry_after }).await;
        assert_eq!(told(&error), Told::RateLimited(retry_after));
    }
}

#[tokio::test(start_paused = true)]
async fn rate_limiting_is_known_by_its_status_whatever_the_body() {
    for (retry_after, expected) in [
        ("120", Some(120)),
        (" 120 ", Some(120)),
        ("-1", Some(3600)),
        ("1.5", Some(1)),
        ("", None),
    ] {
        for body in ["", "<html>", "{\"error\":\"invalid_grant\"}", "[]"] {
            let wire = Wire::new(move |_| {
                let mut response = response(429, body);
                let value = http::HeaderValue::from_static(retry_after);
                response.headers_mut().insert(RETRY_AFTER, value);
                response
            });
            let error = fails(call(&wire.flow(app()), "refresh").await);
            assert_eq!(told(&error), Told::RateLimited(expected), "{retry_after}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_read_in_both_shapes() {
    for shape in [ErrorShape::OAuth, ErrorShape::Api] {
        for (status, code) in [
            (400, "invalid_grant"),
            (401, "invalid_client"),
            (400, "unauthorized_client"),
            (403, "restricted_resource"),
        ] {
            let error = exchange_meets(Fault::Refuse {
                status,
                code: code.to_owned(),
                shape,
            })
            .await;
            assert_eq!(told(&error), Told::Refused(status, code.to_owned()));
            let refusal = error.refusal().expect("a refusal");
            let description = refusal.description.as_deref().expect("a description");
            assert!(description.contains("told to refuse"), "{description}");
            assert!(refusal.request_id.is_some());
            assert!(error.to_string().contains(code), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_a_word_of_a_code_does_not_hide_the_code() {
    for (secret, code) in [("client", "invalid_client"), ("grant", "invalid_grant")] {
        let wire = Wire::json(400, json!({"error": code}));
        let flow = wire.flow(app().client_secret(secret));
        let error = fails(call(&flow, "refresh").await);
        assert_eq!(told(&error), Told::Refused(400, code.to_owned()));
    }
}

#[tokio::test]
async fn the_servers_own_refusals_are_told() {
    for shape in [ErrorShape::OAuth, ErrorShape::Api] {
        let notion = start(MockNotion::builder().error_shape(shape)).await;
        let error = fails(flow(&notion).exchange_code("never-issued").await);
        assert_eq!(told(&error), Told::Refused(400, "invalid_grant".to_owned()));

        let app = NotionAppCredentials::builder()
            .token_url(notion.token_url())
            .client_id(notion.client_id())
            .client_secret("another");
        let error = fails(call(&built(reaching(&notion, provider(app))), "refresh").await);
        assert_eq!(
            told(&error),
            Told::Refused(401, "invalid_client".to_owned())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_status_whose_body_is_no_error_is_ambiguous() {
    for body in [
        json!({}),
        json!({"error": null}),
        json!({"error": ""}),
        json!({"error": "Bad Request"}),
        json!({"error": {"code": "invalid_grant"}}),
        json!({"error": "a".repeat(65)}),
        json!({"code": "invalid_grant"}),
        json!({"object": "page", "code": "invalid_grant"}),
        json!({"object": "error"}),
        json!({"object": "error", "code": 7}),
        json!(["invalid_grant"]),
        json!("invalid_grant"),
        token_answer(),
    ] {
        for status in [400, 401, 403, 404, 418] {
            let wire = Wire::json(status, body.clone());
            let error = fails(call(&wire.flow(app()), "exchange").await);
            let expected = match status {
                404 => Told::Configuration,
                _ => Told::Ambiguous,
            };
            assert_eq!(told(&error), expected, "{status} {body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_4xx_is_a_definite_no() {
    for status in [200, 408, 500, 502, 503, 504, 529, 599] {
        let wire = Wire::json(status, json!({"error": "invalid_grant"}));
        let error = fails(call(&wire.flow(app()), "exchange").await);
        assert_eq!(told(&error), Told::Ambiguous, "{status}");
    }
}

// What was not sent.

#[cfg(feature = "https")]
#[tokio::test]
async fn a_closed_port_is_not_sent() {
    // Bound and not listening: connections are refused, and no other program gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    for scheme in ["http", "https"] {
        let app = app().token_url(format!("{scheme}://{address}/token"));
        let flow = built(provider(app));
        for name in CALLS {
            let error = fails(call(&flow, name).await);
            assert_eq!(told(&error), Told::NotSent, "{scheme} {name}");
            assert!(error.source().is_some());
            shows_none_of(&all_texts(&error), &["c0de", "nrt_1", "ntn_1", "3d4c"]);
        }
    }
}

#[cfg(feature = "https")]
#[tokio::test]
async fn a_failed_tls_handshake_is_not_sent() {
    let notion = on_a_socket().await;
    let url = notion.token_url().replace("http://", "https://");
    let flow = built(provider(app().token_url(url)));
    let error = fails(call(&flow, "exchange").await);
    assert_eq!(told(&error), Told::NotSent);
    assert!(notion.ledger().presentations().is_empty());
}

#[cfg(feature = "https")]
#[tokio::test]
async fn a_deadline_that_passes_while_connecting_is_not_sent() {
    // It accepts, and says nothing: the TLS handshake never ends.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut timings = RefreshTimings::default();
    timings.call = Duration::from_millis(100);
    let app = app().token_url(format!("https://{address}/token"));
    let flow = built(provider(app).refresh_timings(timings));
    let error = fails(call(&flow, "exchange").await);
    assert_eq!(told(&error), Told::NotSent);
    drop(listener);
}

/// A transport that is never ready, or never will be.
#[derive(Clone)]
struct Unready {
    for_good: bool,
}

impl Service<Request<Full<Bytes>>> for Unready {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Pending<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        match self.for_good {
            true => Poll::Ready(Err(io::Error::other("the service is closed"))),
            false => Poll::Pending,
        }
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        panic!("it was not ready")
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_does_not_get_ready_has_sent_nothing() {
    for for_good in [true, false] {
        let flow = built(provider(app()).transport(Unready { for_good }));
        for name in CALLS {
            let error = fails(call(&flow, name).await);
            assert_eq!(told(&error), Told::NotSent, "{name}");
        }
    }
}

#[derive(Debug)]
struct Wrapped(BoxError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transport failed")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// A transport that fails with what this makes.
async fn transport_fails(error: fn() -> BoxError) -> OAuthError {
    let transport = service_fn(move |_: Request<Full<Bytes>>| async move {
        Err::<Response<Full<Bytes>>, BoxError>(error())
    });
    fails(call(&built(provider(app()).transport(transport)), "refresh").await)
}

#[tokio::test(start_paused = true)]
async fn a_transport_says_by_its_error_whether_it_sent() {
    let not_sent: [fn() -> BoxError; 3] = [
        || NotSent::new("no route").into(),
        || Wrapped(NotSent::new("no route").into()).into(),
        || Wrapped(Wrapped(NotSent::new(io::Error::other("x")).into()).into()).into(),
    ];
    for error in not_sent {
        assert_eq!(told(&transport_fails(error).await), Told::NotSent);
    }
    let lost: [fn() -> BoxError; 3] = [
        || "reset".into(),
        || io::Error::from(io::ErrorKind::ConnectionRefused).into(),
        || Wrapped("the request was not sent".into()).into(),
    ];
    for error in lost {
        let error = transport_fails(error).await;
        assert_eq!(told(&error), Told::Ambiguous);
        assert!(error.source().is_some());
    }
}

// Deadlines.

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_at_the_deadline_and_is_ambiguous() {
    for fault in [
        Fault::HangAfter,
        Fault::HangBefore,
        Fault::DelayAfter(Duration::from_millis(10_001)),
    ] {
        let notion = MockNotion::in_process();
        let flow = flow(&notion);
        let code = a_code(&notion, &flow);
        notion.script(Call::TokenExchange, [fault.clone()]);
        let begun = Instant::now();
        let error = fails(flow.exchange_code(&code).await);
        assert_eq!(told(&error), Told::Ambiguous, "{fault:?}");
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert_eq!(notion.ledger().presentations_of(&code).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_within_the_deadline_is_good() {
    let notion = MockNotion::in_process();
    let flow = flow(&notion);
    let code = a_code(&notion, &flow);
    let slow = Fault::DelayAfter(Duration::from_millis(9_999));
    notion.script(Call::TokenExchange, [slow]);
    let credentials = flow.exchange_code(&code).await.expect("a connection");
    is_connected(&notion, &credentials);
}

/// A body that has begun and never ends.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_head_and_body_together() {
    let mut timings = RefreshTimings::default();
    timings.call = Duration::from_secs(4);
    let transport = service_fn(|_: Request<Full<Bytes>>| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok::<_, Infallible>(Response::new(Endless))
    });
    let flow = built(
        provider(app())
            .transport(transport)
            .refresh_timings(timings),
    );
    let begun = Instant::now();
    let error = fails(call(&flow, "introspect").await);
    assert_eq!(told(&error), Told::Ambiguous);
    assert_eq!(begun.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_hangs_has_maybe_sent() {
    let transport = service_fn(|_: Request<Full<Bytes>>| {
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let flow = built(provider(app()).transport(transport));
    assert_eq!(told(&fails(call(&flow, "refresh").await)), Told::Ambiguous);
}

// Canaries.

const SECRET: &str = "canary_secret_51";
const CODE: &str = "canary_code_52";
const REFRESH: &str = "canary_refresh_53";
const ACCESS: &str = "canary_access_54";

fn basic() -> String {
    STANDARD.encode(format!("1f2e:{SECRET}"))
}

/// The errors of every call, with a secret in every place that one is sent in.
async fn errors_of(wire: &Wire) -> Vec<OAuthError> {
    let flow = wire.flow(app().client_secret(SECRET));
    let mut credentials = NotionUserCredentials::new(AccessToken::new(ACCESS));
    credentials.refresh_token = Some(RefreshToken::new(REFRESH));
    let access = AccessToken::new(ACCESS);
    let outcomes = [
        flow.exchange_code(CODE).await.map(drop),
        flow.refresh(&credentials).await.map(drop),
        flow.revoke(&access).await,
        flow.introspect(&access).await.map(drop),
    ];
    outcomes.into_iter().filter_map(Result::err).collect()
}

async fn shows_no_canary(answer: impl Fn(&Sent) -> Response<Bytes> + Send + Sync + 'static) {
    let wire = Wire::new(move |request| answer(&sent(request)));
    let errors = errors_of(&wire).await;
    assert_eq!(wire.seen().len(), 4);
    assert!(errors.len() >= 3, "revoking may have succeeded");
    for error in errors {
        let basic = basic();
        shows_none_of(&all_texts(&error), &["canary", &basic, &basic[..20]]);
    }
}

/// What was secret in a request.
struct Sent {
    basic: String,
    /// The code or token.
    token: String,
}

impl Sent {
    fn all(&self) -> String {
        let Self { basic, token } = self;
        format!("you are 1f2e:{SECRET} ({basic}), '{token}' is bad; token={token}")
    }
}

fn sent(request: &Request<Bytes>) -> Sent {
    let authorization = request.headers()[AUTHORIZATION].to_str().expect("text");
    let body: Value = serde_json::from_slice(request.body()).expect("JSON");
    let mut tokens = ["code", "refresh_token", "token"]
        .iter()
        .filter_map(|name| body[name].as_str());
    Sent {
        basic: authorization.to_owned(),
        token: tokens.next().expect("a token").to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_echoes_is_in_no_error() {
    let echoes: [fn(&Sent) -> String; 10] = [
        |sent| json!({"error": "invalid_grant", "error_description": sent.all()}).to_string(),
        |sent| json!({"error": "invalid_grant", "request_id": sent.all()}).to_string(),
        |sent| {
            json!({"object": "error", "code": "invalid_grant", "message": sent.all()}).to_string()
        },
        |sent| json!({"error": sent.token, "error_description": "bad"}).to_string(),
        |_| json!({"error": SECRET}).to_string(),
        |sent| json!({"error": format!("x_{}_y", sent.token)}).to_string(),
        |sent| json!({"object": "error", "code": sent.token, "message": sent.basic}).to_string(),
        |sent| json!({"echo": sent.all(), &*sent.token: [sent.basic]}).to_string(),
        |sent| json!(sent.all()).to_string(),
        Sent::all,
    ];
    for echo in echoes {
        for status in [200, 302, 400, 401, 403, 408, 429, 500, 503] {
            shows_no_canary(move |sent| response(status, echo(sent))).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_looks_like_a_token_is_in_no_error_though_it_was_not_sent() {
    for token in [
        "secret_Canary",
        "ntn_Canary",
        "nrt_Canary",
        "adm_Canary",
        "x=ntn_Canary",
    ] {
        let wire = Wire::json(
            400,
            json!({"error": "invalid_grant", "error_description": format!("Not {token} !"),
                   "request_id": token}),
        );
        let error = fails(call(&wire.flow(app()), "refresh").await);
        shows_none_of(&all_texts(&error), &["Canary"]);
        let said = error.refusal().and_then(|it| it.description.as_deref());
        assert_eq!(said, Some("Not [REDACTED] !"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_description_is_one_line_of_bounded_length() {
    let long = format!("first\r\nsecond\u{7}\u{1b}[31m {}", "x".repeat(10_000));
    let wire = Wire::json(
        400,
        json!({"error": "invalid_grant", "error_description": long}),
    );
    let error = fails(call(&wire.flow(app()), "refresh").await);
    let text = error.to_string();
    assert!(text.contains("first second[31m x"), "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 300, "{}", text.len());
}

#[test]
fn a_pending_flow_that_cannot_be_read_shows_nothing_of_it() {
    for kept in [
        json!("Canary"),
        json!(["Canary"]),
        json!({"state": {"a": "Canary"}, "subject": "s", "created_at": 1}),
        json!({"state": "Canary", "subject": "s", "created_at": "Canary"}),
        json!({"state": "Canary"}),
    ] {
        let error = serde_json::from_value::<PendingFlow>(kept).expect_err("no pending flow");
        shows_none_of(&format!("{error} {error:?}"), &["Canary"]);
    }
}

// Whatever comes.

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Bytes, or JSON that is nearly an answer.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec("[a-z]{0,3}", 0..3).prop_map(Value::from),
        "[a-z]{0,3}".prop_map(|text| json!({"access_token": text, "object": "error"})),
    ];
    const NAMES: [&str; 14] = [
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "expires_at",
        "scope",
        "id_token",
        "workspace_id",
        "workspace_name",
        "owner",
        "active",
        "error",
        "object",
        "code",
    ];
    let token = prop_oneof![
        2 => "[a-z]{0,2}".prop_map(|text| Some(Value::from(text))),
        1 => value.clone().prop_map(Some),
        1 => Just(None),
    ];
    let members = prop::collection::btree_map(prop::sample::select(&NAMES[..]), value, 0..8);
    let members = (members, token).prop_map(|(mut members, token)| {
        if let Some(token) = token {
            members.insert("access_token", token);
        }
        members
    });
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..200),
        4 => members.prop_map(|members| json!(members).to_string().into_bytes()),
        1 => (members_text(), any::<prop::sample::Index>())
            .prop_map(|(text, end)| text.as_bytes()[..end.index(text.len())].to_vec()),
    ]
}

/// A token answer, to be cut short.
fn members_text() -> impl Strategy<Value = String> {
    "[ -~]{1,20}"
        .prop_map(|token| json!({"access_token": token, "token_type": "bearer"}).to_string())
}

fn any_status() -> impl Strategy<Value = u16> {
    prop_oneof![1 => Just(200_u16), 1 => Just(400_u16), 1 => 200..1000_u16]
}

fn any_callback() -> impl Strategy<Value = String> {
    const PARTS: [&str; 14] = [
        "code=c",
        "state=s",
        "error=e",
        "error=access_denied",
        "code",
        "state=",
        "code=",
        "&",
        "=",
        "%",
        "%63ode=c",
        "#",
        "?",
        "+",
    ];
    let part = prop_oneof![
        6 => prop::sample::select(&PARTS[..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop_oneof![
        any::<String>(),
        prop::collection::vec(part, 0..6).prop_map(|parts| parts.join("&")),
    ]
}

/// How often the parameter stands in the query, and its last value.
fn stands(query: &str, name: &str) -> (usize, Option<String>) {
    let values = form_urlencoded::parse(query.as_bytes()).filter(|(found, _)| found == name);
    let values: Vec<_> = values.map(|(_, value)| value.into_owned()).collect();
    (values.len(), values.last().cloned())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_answer_makes_credentials_without_an_access_token(
        body in any_body(),
        status in any_status(),
    ) {
        let sent = body.clone();
        let wire = Wire::new(move |_| response(status, sent.clone()));
        let flow = wire.flow(app());
        let stored = stored();
        let (exchanged, refreshed, introspected) = runtime().block_on(async {
            (
                flow.exchange_code("c0de").await,
                flow.refresh(&stored).await,
                flow.introspect(&AccessToken::new("ntn_1")).await,
            )
        });
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let has_refresh_token = said["refresh_token"].as_str().is_some_and(|it| !it.is_empty());
        let token = said["access_token"].as_str();
        let token = token.filter(|token| !token.is_empty() || has_refresh_token);
        let is_good = token.is_some() && (200..300).contains(&status);
        for outcome in [exchanged, refreshed] {
            prop_assert_eq!(outcome.is_ok(), is_good);
            match outcome {
                Ok(credentials) => {
                    prop_assert_eq!(Some(credentials.access_token.expose()), token);
                    json_of(&credentials);
                }
                Err(error) => {
                    told(&error);
                    all_texts(&error);
                }
            }
        }
        if let Ok(introspected) = introspected {
            prop_assert_eq!(said["active"].as_bool(), Some(introspected.active));
        }
    }

    #[test]
    fn a_callback_is_taken_exactly_if_it_has_one_code_one_state_no_error_and_nothing_twice(
        query in any_callback(),
    ) {
        let (codes, code) = stands(&query, "code");
        let (states, state) = stands(&query, "state");
        let (errors, _) = stands(&query, "error");
        let mut names: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, _)| name.into_owned())
            .collect();
        names.sort();
        let is_good = (codes, states, errors) == (1, 1, 0)
            && names.windows(2).all(|pair| pair[0] != pair[1])
            && code.is_some_and(|code| !code.is_empty())
            && state.is_some_and(|state| !state.is_empty());
        prop_assert_eq!(CallbackAnswer::from_query(&query).is_ok(), is_good);
    }

    #[test]
    fn any_callback_url_is_read_or_refused(
        prefix in prop::sample::select(&["", "/", "/cb?", "https://a.example/?", "https:?", "//", "?"][..]),
        query in any_callback(),
    ) {
        if let Err(error) = CallbackAnswer::from_url(&format!("{prefix}{query}")) {
            told(&error);
            all_texts(&error);
        }
    }
}
