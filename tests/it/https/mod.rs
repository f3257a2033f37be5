//! The built-in client and OAuth transport with servers and proxies of the tests, on loopback.
//!
//! Variables of this process do not matter, because each configuration gets its own.

mod authority;
mod headers;
mod liveness;
mod proxies;
mod proxy;
mod server;
mod trust;
mod user_agent;
mod version;

use std::{ffi::OsString, path::Path};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use notion_auth::{
    HttpsConfig, HttpsError, NotionAppCredentials, NotionAuthProvider, NotionUserCredentials,
    credentials::{AccessToken, RefreshToken},
    oauth::OAuthError,
    store::MemoryStore,
};
use tower::ServiceExt as _;

use self::{authority::Authority, server::Server};
use crate::support::{Body, get};

/// A server name that is not this machine's, so that proxies are used for it.
const NOTION: &str = "notion.test";

/// Creates a configuration with only these variables.
fn with(vars: &[(&str, &str)]) -> HttpsConfig {
    HttpsConfig::from_vars(|name| {
        let mut vars = vars.iter().filter(|(it, _)| *it == name);
        vars.next().map(|(_, value)| OsString::from(value))
    })
}

fn with_path(name: &str, path: &Path) -> HttpsConfig {
    with(&[(name, path.to_str().expect("UTF-8"))])
}

/// Creates a configuration without variables that trusts the authority.
fn trusting(authority: &Authority) -> HttpsConfig {
    let config = with(&[]).add_root_certificate(authority.pem());
    config.expect("a root certificate")
}

async fn ask(config: &HttpsConfig, uri: &str) -> Result<Response<Incoming>, HttpsError> {
    config.client().oneshot(get(uri)).await
}

#[track_caller]
fn assert_ok(response: Result<Response<Incoming>, HttpsError>) {
    match response {
        Ok(response) => assert_eq!(response.status(), StatusCode::OK),
        Err(error) => panic!("{error}: {error:?}"),
    }
}

/// Creates a provider with the built-in transport and all endpoints at this origin.
fn provider(config: &HttpsConfig, origin: &str) -> NotionAuthProvider {
    provider_on(MemoryStore::new(), config, origin)
}

fn provider_on(store: MemoryStore, config: &HttpsConfig, origin: &str) -> NotionAuthProvider {
    let app = NotionAppCredentials::builder()
        .token_url(format!("{origin}/v1/oauth/token"))
        .client_id("id")
        .client_secret("secret");
    let builder = NotionAuthProvider::builder()
        .app(app.build().expect("good credentials"))
        .api_url(origin)
        .store(store)
        .https(config.clone());
    builder.build().expect("good settings")
}

/// Returns expired credentials.
fn expired() -> NotionUserCredentials {
    let mut credentials = NotionUserCredentials::new(AccessToken::new("ntn_old"));
    credentials.refresh_token = Some(RefreshToken::new("nrt_unspent"));
    credentials
}

/// Makes an OAuth call through the built-in transport.
async fn revoke(config: &HttpsConfig, origin: &str) -> Result<(), OAuthError> {
    let provider = provider(config, origin);
    provider.oauth().revoke(&AccessToken::new("ntn_any")).await
}

fn request(uri: &str, user_agent: &str) -> Request<Body> {
    let mut request = get(uri);
    let value = user_agent.parse().expect("a header");
    request.headers_mut().insert("user-agent", value);
    request
}

async fn start(authority: &Authority, protocols: &[&str]) -> Server {
    Server::start(
        authority.issue(&[NOTION, "localhost", "127.0.0.1"]),
        protocols,
    )
    .await
}
