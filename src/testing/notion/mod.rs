//! A mock Notion server for tests: [`MockNotion`].
//!
//! It is an HTTP server on 127.0.0.1 ([`MockNotion::start`]) or, for tests with paused time, an in-process
//! Tower service ([`MockNotion::service`]). Both run the same code.
//!
//! Like Notion, it rotates the refresh token at every use and sends no expiry. It accepts only HTTP Basic,
//! JSON, `owner=user` and exact redirect URIs, and answers 401 before `missing_version`. Where Notion's documentation is silent, it uses the strictest interpretation, which
//! [`MockNotionBuilder`] can relax.
//!
//! | endpoint | |
//! |---|---|
//! | `GET /v1/oauth/authorize` | a consent page with Allow and Deny, or an immediate redirect ([`ConsentMode`]) |
//! | `POST /v1/oauth/token`, `/revoke`, `/introspect` | errors in either of Notion's formats ([`ErrorShape`]) |
//! | `GET /v1/users/me`, `GET /v1/users` | the bot; the workspace's people, paginated |
//! | `POST /v1/pages`, `GET /v1/pages/{id}`, `POST /v1/search` | pages in memory, separate for each workspace |
//!
//! A test connects with [`grant`](MockNotion::grant), or runs the whole flow with
//! [`consent`](MockNotion::consent). It scripts faults ([`Fault`]) and checks the [`Ledger`] afterwards:
//! which token was presented to which endpoint, how often and how many at the same time, and which tokens
//! are valid.
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
//! # When the client disconnects
//!
//! Closing the connection, or dropping the service's future, cancels the call's processing. Processing a
//! call and committing its effect is one step. A call that waits *before* this step ([`Fault::Delay`],
//! [`Fault::HangBefore`], [`MockNotionBuilder::token_delay`]) therefore changes nothing. A call that waits
//! *after* it ([`Fault::DelayAfter`], [`Fault::HangAfter`]) has spent the token. The ledger shows both as
//! not [`answered`](Presentation::answered).

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
