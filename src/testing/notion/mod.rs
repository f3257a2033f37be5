//! [`MockNotion`]: a local Notion to test against.
//!
//! It is a real HTTP server on 127.0.0.1 ([`MockNotion::start`]) or, for tests with paused time, a
//! Tower service in process ([`MockNotion::service`]): the same code behind both. Like Notion it rotates
//! refresh tokens at every use, names no expiry, and is strict: Basic and JSON only, `owner=user`,
//! exact redirect URIs, codes and refresh tokens good for one use, 401 before `missing_version`.
//! Where Notion's documents are silent it takes the harsher reading; [`MockNotionBuilder`] softens it.
//!
//! | endpoint | |
//! |---|---|
//! | `GET /v1/oauth/authorize` | a consent page with allow and deny, or a redirect at once ([`ConsentMode`]) |
//! | `POST /v1/oauth/token`, `/revoke`, `/introspect` | errors in either of Notion's shapes ([`ErrorShape`]) |
//! | `GET /v1/users/me`, `GET /v1/users` | the bot; the people, paged |
//! | `POST /v1/pages`, `GET /v1/pages/{id}`, `POST /v1/search` | pages in memory, each workspace its own |
//!
//! A test connects with [`grant`](MockNotion::grant) or walks the whole flow with
//! [`consent`](MockNotion::consent), scripts what goes wrong ([`Fault`]), and asks the [`Ledger`]
//! afterwards: which token was presented where, how often, by how many at a time, and whether the
//! server still holds a living pair for which nobody has the tokens.
//!
//! ```
//! use http::{Request, StatusCode};
//! use http_body_util::Empty;
//! use notion_auth::testing::notion::{Call, Fault, MockNotion};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let notion = MockNotion::in_process();
//! let grant = notion.grant();
//! notion.script(Call::Api, [Fault::RateLimited { retry_after: Some(2) }]);
//!
//! // In a real test this is your client, around `notion.service()` or at `notion.base_url()`.
//! let me = || {
//!     Request::get("/v1/users/me")
//!         .header("authorization", format!("Bearer {}", grant.access_token()))
//!         .header("notion-version", "2026-03-11")
//!         .body(Empty::<bytes::Bytes>::new())
//! };
//! let limited = notion.service().oneshot(me()?).await?;
//! assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
//! let answered = notion.service().oneshot(me()?).await?;
//! assert_eq!(answered.status(), StatusCode::OK);
//!
//! let ledger = notion.ledger();
//! assert_eq!(ledger.api_calls_with(grant.access_token()).len(), 2);
//! assert!(ledger.refreshes().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # When the client goes away
//!
//! A client that closes its connection, or drops the service's future, stops what waits for it. A
//! decision is one step and includes its commit. So a call that is waiting *before* it
//! ([`Fault::Delay`], [`Fault::HangBefore`], [`MockNotionBuilder::token_delay`]) changes nothing, and
//! one that is waiting *after* it ([`Fault::DelayAfter`], [`Fault::HangAfter`]) has spent the token.
//! The ledger shows both as not [`answered`](Presentation::answered).

mod api;
mod authorize;
mod body;
mod builder;
mod error;
mod family;
mod fault;
mod grant;
mod grants;
mod handle;
mod headers;
mod inspect;
mod ledger;
mod log;
mod mint;
mod oauth;
mod options;
mod pages;
mod paging;
mod respond;
mod route;
mod server;
mod service;
mod state;
mod token;
mod users;

pub use self::{
    body::MockBody,
    builder::MockNotionBuilder,
    error::MockError,
    fault::{Call, Fault},
    grant::Grant,
    handle::MockNotion,
    ledger::{ApiCall, Ledger, Outcome, Presentation, TokenKind},
    options::{ConsentMode, ErrorShape},
    service::MockNotionService,
};
