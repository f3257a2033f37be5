//! The OAuth client: its requests, and the processing of responses.

mod authorize;
mod callback;
mod deadlines;
mod exchange;
mod failures;
mod not_sent;
mod property;
mod requests;
mod secrets;
mod token_answers;
mod wire;

use std::{collections::BTreeSet, error::Error, fmt::Debug};

use notion_auth::{
    AccessToken, NotionAppCredentials, NotionAuthProvider, NotionUserCredentials, Subject,
    credentials::{NotionAppCredentialsBuilder, RefreshToken},
    oauth::{AuthorizationRequest, CallbackAnswer, OAuthError, OAuthFlow},
    provider::NotionAuthProviderBuilder,
    testing::{MockNotion, notion::MockNotionBuilder},
};
use serde_json::{Value, json};
use url::Url;

const REDIRECT_URI: &str = "https://app.example/notion/callback";

fn ann() -> Subject {
    Subject::new("ann")
}

/// Returns an OAuth client for the mock server's app.
#[track_caller]
fn flow(notion: &MockNotion) -> OAuthFlow {
    built(notion.provider_builder().expect("the mock's app is valid"))
}

#[track_caller]
fn built(builder: NotionAuthProviderBuilder) -> OAuthFlow {
    builder.build().expect("a provider").oauth().clone()
}

async fn start(builder: MockNotionBuilder) -> MockNotion {
    builder.start().await.expect("a free port")
}

fn app() -> NotionAppCredentialsBuilder {
    let builder = NotionAppCredentials::builder().redirect_uri(REDIRECT_URI);
    builder.client_id("1f2e").client_secret("secret_3d4c")
}

/// Returns a builder of the mock server's app without a redirect URI.
fn app_of(notion: &MockNotion) -> NotionAppCredentialsBuilder {
    NotionAppCredentials::builder()
        .authorization_url(notion.authorization_url())
        .token_url(notion.token_url())
        .client_id(notion.client_id())
        .client_secret(notion.client_secret())
}

#[track_caller]
fn provider(app: NotionAppCredentialsBuilder) -> NotionAuthProviderBuilder {
    NotionAuthProvider::builder().app(app.build().expect("valid credentials"))
}

#[track_caller]
fn begin(flow: &OAuthFlow) -> AuthorizationRequest {
    flow.authorize(&ann()).expect("an app with an OAuth client")
}

/// Returns the callback URL after the user has allowed access.
#[track_caller]
fn consent(notion: &MockNotion, url: &Url) -> String {
    notion.consent(url.as_str()).expect("a valid request")
}

#[track_caller]
fn code(notion: &MockNotion, flow: &OAuthFlow) -> String {
    parameter(&consent(notion, &begin(flow).url), "code")
}

#[track_caller]
fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    let mut values = url.query_pairs().filter(|(found, _)| found == name);
    let value = values.next().expect(name).1.into_owned();
    assert_eq!(values.next(), None, "{name} is duplicated");
    value
}

#[track_caller]
fn answer(url: &str) -> CallbackAnswer {
    CallbackAnswer::from_url(url).expect("a callback with code and state")
}

fn refresh_token(credentials: &NotionUserCredentials) -> Option<&str> {
    credentials.refresh_token.as_ref().map(RefreshToken::expose)
}

/// Asserts that the credentials are the server's valid pair, with all members of its response.
#[track_caller]
fn assert_connected(notion: &MockNotion, credentials: &NotionUserCredentials) {
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

/// The predicates of an error.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Configuration,
    NotSent,
    Ambiguous,
    RateLimited(Option<u64>),
    Refused(u16, String),
    Denied,
    /// No predicate: an error of the callback.
    Callback,
}

/// Returns the kind of an error. At most one predicate may be true.
#[track_caller]
fn kind(error: &OAuthError) -> Kind {
    let after = error.retry_after().map(|after| after.as_secs());
    let refusal = error.refusal();
    let kinds = [
        error.is_configuration().then_some(Kind::Configuration),
        error.is_not_sent().then_some(Kind::NotSent),
        error.is_ambiguous().then_some(Kind::Ambiguous),
        error.is_denied().then_some(Kind::Denied),
        error.is_rate_limited().then_some(Kind::RateLimited(after)),
        refusal.map(|it| Kind::Refused(it.status, it.code.clone())),
    ];
    let mut kinds: Vec<_> = kinds.into_iter().flatten().collect();
    assert!(kinds.len() <= 1, "{kinds:?}");
    kinds.pop().unwrap_or(Kind::Callback)
}

/// Asserts that the call has failed with this kind of error.
#[track_caller]
fn fails<T: Debug>(outcome: Result<T, OAuthError>, expected: &Kind) -> OAuthError {
    let error = outcome.expect_err("an error");
    assert_eq!(kind(&error), *expected, "{error}");
    error
}

/// Returns all text of an error and its sources.
fn all_texts(error: &OAuthError) -> String {
    let mut text = format!("{:?}", error.refusal());
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        text.push_str(&format!(" {error} {error:?} {error:#?}"));
        next = error.source();
    }
    text
}

#[track_caller]
fn assert_shows_none_of(text: &str, canaries: &[&str]) {
    for canary in canaries {
        assert!(!text.contains(canary), "{canary} is in {text}");
    }
}

/// The calls of the OAuth endpoints, by name.
const CALLS: [&str; 4] = ["exchange", "refresh", "revoke", "introspect"];

async fn call(flow: &OAuthFlow, name: &str) -> Result<(), OAuthError> {
    let token = AccessToken::new("ntn_1");
    match name {
        "exchange" => flow.exchange_code("c0de").await.map(drop),
        "refresh" => flow.refresh(&stored()).await.map(drop),
        "revoke" => flow.revoke(&token).await,
        "introspect" => flow.introspect(&token).await.map(drop),
        _ => panic!("there is no call {name}"),
    }
}

/// Returns credentials with a value for each member.
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

fn token_answer() -> Value {
    json!({"access_token": "ntn_2", "token_type": "bearer", "refresh_token": "nrt_2"})
}

/// Returns a response with which each of [`CALLS`] succeeds.
fn valid_answer() -> Value {
    let mut answer = token_answer();
    answer["active"] = true.into();
    answer
}
