//! Tower middleware that authenticates requests to the [Notion](https://developers.notion.com) API, and refreshes
//! rotating tokens.
//!
//! [`NotionAuthLayer`] wraps any HTTP service. A request names a [`Subject`] in its extensions: your application's name
//! for the owner of a Notion connection. The layer sets `Authorization` and `Notion-Version` for that subject, and calls
//! the service. If a user's token has expired, or Notion answers 401, the layer gets a new one and uses that. The new
//! tokens are saved before they are used, and all requests that wait for them share one refresh.
//!
//! # A script with an integration token
//!
//! Every request has the token in `NOTION_TOKEN`.
//!
//! ```sh
//! cargo add notion-auth bytes http http-body-util serde_json
//! cargo add tower --features util && cargo add tokio --features full
//! ```
//!
//! ```no_run
#![doc = include_str!("../examples/script.rs")]
//! ```
//!
//! # A backend whose customers connect their workspaces
//!
//! Customers connect at `/notion/authorize`. Their credentials are encrypted and stored in PostgreSQL. The settings come
//! from `NOTION_CLIENT_ID`, `NOTION_CLIENT_SECRET`, `NOTION_REDIRECT_URI`, `DATABASE_URL` and `NOTION_AUTH_KEYS`, a key that
//! `openssl rand -base64 32` makes once.
//!
//! ```sh
//! cargo add notion-auth --features axum,postgres,routes
//! cargo add axum bytes http http-body-util
//! cargo add tower --features util && cargo add tokio --features full
//! ```
//!
#![cfg_attr(feature = "full", doc = "```no_run")]
#![cfg_attr(not(feature = "full"), doc = "```ignore")]
#![doc = include_str!("../examples/backend.rs")]
//! ```
//!
//! # A test of your code, in which a token is rotated
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use notion_auth::{NotionAuthLayer, Subject, https_client, testing::MockNotion};
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
//! let notion = MockNotion::start().await?;
//! let provider = notion.provider_builder()?.build()?;
//! let ann = notion.connect();
//! provider.store_credentials(&"ann".into(), ann.clone()).await?;
//! let client = NotionAuthLayer::refreshing(provider).layer(https_client());
//!
//! notion.revoke_access_token(ann.access_token.expose()); // Notion may do so at any time
//! let request = Request::get("/v1/users/me").extension(Subject::new("ann"));
//! let response = client.oneshot(request.body(Empty::<Bytes>::new())?).await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(notion.ledger().refreshes().len(), 1);
//! # Ok(()) }
//! ```
//!
//! # Other HTTP clients and SDKs
//!
//! - **hyper**: a client of hyper-util is a Tower service. `https_client()` is one.
//! - **reqwest**: `NotionAuthMiddleware` is a middleware for reqwest-middleware (feature `reqwest`).
//! - **An SDK that takes a token**: [`NotionAuthProvider::clients`] keeps one client for each subject and token.
//! - **Anything else**: [`NotionAuthProvider::acquire`] returns the token, and [`NotionAuthProvider::refused`] reports
//!   Notion's 401.
//!
//! [`layer`] has the recommended order of the layers of tower-http around this one.
//!
//! # Modules
//!
//! The names at the root are for everyday use. The modules have the rest:
//!
//! - `guide`: one page for each kind of task
//! - [`provider`] and [`layer`]: their settings
//! - `routes`: the routes by which users connect
//! - [`oauth`]: the OAuth calls
//! - [`store`]: the stores, and the contract for a store of your own
//! - [`observe`]: the spans, events and metrics
//! - `testing`: the mock server
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `https` (default) | `https_client()` and the transport of OAuth calls, with hyper and rustls |
//! | `routes` | `NotionOAuthService`: the routes by which users connect; includes `encryption` |
//! | `encryption` | stored credentials are encrypted |
//! | `sqlite`, `postgres`, `redis` | the stores |
//! | `axum` | an extractor for the connection of a request's subject, and errors as responses |
//! | `reqwest` | `NotionAuthMiddleware` for reqwest-middleware |
//! | `retry` | `RetryRateLimited`, a policy for Tower's `Retry` |
//! | `metrics` | counters and histograms of the `metrics` facade |
//! | `testing` | `MockNotion` and `TestClock` |
//! | `full` | all of them |
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
