//! Tower middleware that puts the right Notion credentials on every request, and never loses a
//! rotating token.
//!
//! [`NotionAuthLayer`] wraps any HTTP service. For each request it looks up credentials by the
//! [`Subject`] in the request's extensions, sets `Authorization` and `Notion-Version`, and calls the
//! service. Credentials that have expired, or that the API refused, are refreshed: once, however many
//! requests wait, saved before anybody uses them, and without regard to which requests are dropped
//! meanwhile.
//!
//! # A backend whose users connect their workspaces
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use notion_auth::{
//!     layer::CloneBody, NotionAuthLayer, NotionAuthProvider, Subject, oauth::CallbackAnswer, testing::MockNotion,
//! };
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
//! // A stand-in for Notion; yours is `NotionAppCredentials::from_env()?` and no `api_url`.
//! let notion = MockNotion::start().await?;
//! let provider = NotionAuthProvider::builder()
//!     .app(notion.app_credentials()?)
//!     .api_url(notion.base_url())
//!     .build()?;
//!
//! // When Ann wants to connect: redirect her browser to `url`, keep `pending` in her session.
//! let ann = Subject::new("ann");
//! let authorization = provider.oauth().authorize(&ann)?;
//!
//! // When her browser is back at the redirect URI:
//! let callback_url = notion.consent(authorization.url.as_str())?;
//! let answer = CallbackAnswer::from_url(&callback_url)?;
//! let credentials = provider.oauth().exchange(authorization.pending, &ann, answer).await?;
//! provider.store_credentials(&ann, credentials).await?;
//!
//! // From then on, one client for everybody:
//! let client = ServiceBuilder::new()
//!     .layer(NotionAuthLayer::refreshing(provider))
//!     .service(notion_auth::https_client());
//! let mut request = Request::get(format!("{}/v1/users/me", notion.base_url()))
//!     .body(Empty::<Bytes>::new())?;
//! request.extensions_mut().insert(ann);
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! # Ok(()) }
//! ```
//!
//! # A script with an integration token
//!
//! With `NOTION_TOKEN` in the environment and no OAuth client, every request gets that token:
//!
//! ```no_run
//! use bytes::Bytes;
//! use http_body_util::Empty;
//! use notion_auth::{NotionAppCredentials, NotionAuthLayer, NotionAuthProvider};
//! use tower::{Layer, ServiceExt};
//!
//! # async fn example() -> Result<(), notion_auth::BoxError> {
//! let provider = NotionAuthProvider::builder()
//!     .app(NotionAppCredentials::from_env()?)
//!     .build()?;
//! let client = NotionAuthLayer::refreshing(provider).layer(notion_auth::https_client());
//! let request = http::Request::get("https://api.notion.com/v1/users/me").body(Empty::<Bytes>::new())?;
//! println!("{}", client.oneshot(request).await?.status());
//! # Ok(()) }
//! ```
//!
//! # hyper
//!
//! Any client that is a Tower service takes the layer. `https_client()` is hyper-util's over rustls; with
//! a connector of your own:
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::{Client, connect::HttpConnector}, rt::TokioExecutor};
//! use notion_auth::{layer::CloneBody, NotionAuth, NotionAuthLayer, NotionAuthProvider};
//! use tower::Layer;
//!
//! // In truth a connector with TLS: no other origin than an https one, or this machine, gets a token.
//! fn notion(provider: NotionAuthProvider) -> NotionAuth<Client<HttpConnector, Full<Bytes>>> {
//!     let client = Client::builder(TokioExecutor::new()).build_http();
//!     NotionAuthLayer::refreshing(provider).layer(client)
//! }
//! ```
//!
//! The examples `hyper_client` and `hyper_server` need no framework.
//!
//! # axum
//!
//! With the feature `axum`, a handler is given the connection of the request's subject, or is not called;
//! the example `axum_proxy` forwards whole requests.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use notion_auth::{NotionAuthProvider, Subject, integrations::axum::Connection};
//!
//! async fn workspace(connection: Connection) -> String {
//!     connection.status.workspace_name.unwrap_or_default()
//! }
//!
//! fn app(provider: NotionAuthProvider) -> Router {
//!     let session = Extension(Subject::new("ann")); // in truth your session layer, which knows who it is
//!     Router::new().route("/workspace", get(workspace)).with_state(provider).layer(session)
//! }
//! ```
//!
//! # With another HTTP client
//!
//! For reqwest and reqwest-middleware there is the module
//! [`reqwest`](https://docs.rs/notion-auth/latest/notion_auth/integrations/reqwest/). Anywhere else,
//! [`NotionAuthProvider::acquire`] gives the token, [`NotionAuthProvider::refused`] takes a 401.
//!
//! # Guides
//!
//! Module [`guide`](https://docs.rs/notion-auth/latest/notion_auth/guide/): a script, a backend, a gateway, a store of
//! one's own, tests, coming from Python, and what can go wrong.
//!
//! # Where it stands among other middleware
//!
//! | from the outside in | why there |
//! |---|---|
//! | `Trace` | one span for what the caller asked for, with all tries in it, and no token on the request that it sees |
//! | `Timeout` | one limit for everything, pauses included. What it gives up costs no credentials: a refresh goes on. Waiting for a place in `ConcurrencyLimit` can come before the call, and does not count then: `tokio::time::timeout` around the whole bounds that too |
//! | `Retry` | each try has the credentials of its moment, and takes no place while it pauses. Of 401s this layer takes care |
//! | `FollowRedirect` | each hop is checked before it gets a token. Further in, it would carry the first hop's token along, and its own policy alone would say how far |
//! | **this layer** | |
//! | `ConcurrencyLimit` | a request that waits for credentials takes no place that a sent one could have |
//! | `RateLimit` | it counts what is sent, replays and redirects included. It cannot be cloned, so a `Buffer` goes around it. Notion's limit is one for each connection (180 requests a minute, or 600), so this one can only bound the whole process; the retries see to Notion's |
//! | the client | |
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use notion_auth::{
//!     layer::CloneBody, NotionAuthLayer, RetryRateLimited, Subject, https_client,
//!     testing::{MockNotion, notion::{Call, Fault}},
//! };
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_http::{follow_redirect::FollowRedirectLayer, trace::TraceLayer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
//! # let notion = MockNotion::start().await?;
//! # let provider = notion.provider_builder()?.build()?;
//! # let ann = notion.connect();
//! # provider.store_credentials(&"ann".into(), ann.clone()).await?;
//! let client = ServiceBuilder::new()
//!     .layer(TraceLayer::new_for_http())
//!     .timeout(Duration::from_secs(150))
//!     .retry(RetryRateLimited::new()) // feature `retry`
//!     .layer(FollowRedirectLayer::new())
//!     .layer(NotionAuthLayer::refreshing(provider))
//!     .concurrency_limit(64)
//!     .buffer(64)
//!     .rate_limit(1000, Duration::from_secs(60))
//!     .service(https_client());
//!
//! // Limited at first, redirected then, and refused in the end: the caller sees none of it.
//! # notion.revoke_access_token(ann.access_token.expose());
//! let me = format!("{}/v1/users/me", notion.base_url());
//! notion.script(Call::Api, [Fault::RateLimited { retry_after: Some(0) }, Fault::Redirect(me.clone())]);
//! let request = Request::get(me).extension(Subject::new("ann")).body(Empty::<Bytes>::new())?;
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! assert_eq!(notion.ledger().api_calls().len(), 4);
//! assert_eq!(notion.ledger().refreshes().len(), 1);
//! # Ok(()) }
//! ```
//!
//! # Modules
//!
//! [`credentials`] is what is kept, [`store`] where it is kept, [`oauth`] how it is got, [`provider`]
//! who keeps it good, [`layer`] how it gets on a request, [`observe`] what is seen of it.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `https` (default) | a transport for the OAuth endpoints and `https_client()`, over hyper and rustls; [`HttpsConfig`](https://docs.rs/notion-auth/latest/notion_auth/struct.HttpsConfig.html) has its root certificates and proxies |
//! | `encryption` | stored credentials encrypted (`keys` on the provider's builder), and `rotate` when keys change |
//! | `routes` | module [`routes`](https://docs.rs/notion-auth/latest/notion_auth/routes/): `NotionOAuthService`, the routes by which users connect |
//! | `axum` | module [`axum`](https://docs.rs/notion-auth/latest/notion_auth/integrations/axum/): `AuthError` as a response, an extractor for the connection of a request's subject |
//! | `retry` | [`RetryRateLimited`](https://docs.rs/notion-auth/latest/notion_auth/struct.RetryRateLimited.html): a policy for Tower's `Retry` that waits out Notion's 429 and 529 |
//! | `metrics` | counters and histograms for the `metrics` facade: [`observe`] has the table |
//! | `postgres` | [`PostgresStore`](https://docs.rs/notion-auth/latest/notion_auth/struct.PostgresStore.html): credentials in PostgreSQL, for processes on any number of hosts |
//! | `sqlite` | [`SqliteStore`](https://docs.rs/notion-auth/latest/notion_auth/struct.SqliteStore.html): credentials in a file, for processes of one host |
//! | `redis` | [`RedisStore`](https://docs.rs/notion-auth/latest/notion_auth/struct.RedisStore.html): credentials in Redis or Valkey, for processes on any number of hosts |
//! | `reqwest` | module [`reqwest`](https://docs.rs/notion-auth/latest/notion_auth/integrations/reqwest/): `NotionAuthMiddleware` for reqwest-middleware, and how the layer goes around a plain reqwest client |
//! | `testing` | module `testing`: `MockNotion`, a test clock, a provider with a fixed token |
//! | `full` | all of them |
//!
//! Rust 1.85 or newer is declared; it is kept by the dependencies' declared versions and a lint, and
//! only 1.95 is run. `sqlite` and `postgres` need 1.94.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
pub mod clock;
pub mod credentials;
pub mod error;
mod event;
#[cfg(feature = "routes")]
mod flow_problem;
#[cfg(all(any(doc, doctest), feature = "full"))]
pub mod guide;
pub mod header;
#[cfg(any(feature = "routes", feature = "testing"))]
mod html;
#[cfg(feature = "https")]
mod https;
#[cfg(any(
    feature = "axum",
    feature = "postgres",
    feature = "redis",
    feature = "reqwest",
    feature = "sqlite"
))]
pub mod integrations;
mod json;
#[cfg(any(feature = "encryption", feature = "routes"))]
mod keyring;
pub mod layer;
pub mod oauth;
pub mod observe;
pub mod provider;
mod random;
mod refresh;
#[cfg(feature = "retry")]
mod retry;
#[cfg(feature = "routes")]
pub mod routes;
pub mod store;
mod subject;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(any(feature = "https", feature = "postgres", feature = "redis"))]
mod tls;

#[cfg(feature = "https")]
pub use crate::https::{HttpsClient, HttpsConfig, HttpsError, https_client};
#[cfg(feature = "axum")]
pub use crate::integrations::axum::Connection;
#[cfg(feature = "reqwest")]
pub use crate::integrations::reqwest::NotionAuthMiddleware;
#[cfg(any(feature = "encryption", feature = "routes"))]
pub use crate::keyring::{Keyring, KeyringError};
#[cfg(feature = "retry")]
pub use crate::retry::RetryRateLimited;
#[cfg(feature = "routes")]
pub use crate::routes::NotionOAuthService;
#[cfg(feature = "postgres")]
pub use crate::store::PostgresStore;
#[cfg(feature = "redis")]
pub use crate::store::RedisStore;
#[cfg(feature = "sqlite")]
pub use crate::store::SqliteStore;
pub use crate::{
    credentials::{
        AccessToken, AppCredentialsError, InvalidToken, NotionAppCredentials,
        NotionUserCredentials, ReauthorizationReason,
    },
    error::{AuthError, BoxError},
    layer::{NotionAuth, NotionAuthLayer},
    provider::{Event, NotionAuthProvider, Session},
    store::MemoryStore,
    subject::{CredentialUsed, ExplicitCredentials, Mode, Subject, UseIntegrationToken},
};

#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
