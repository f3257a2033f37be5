//! Routes by which users connect a workspace, as one Tower service for any HTTP server.
//!
//! [`NotionOAuthService`] is mounted at the path of the redirect URI without `/callback`: at `/notion` for
//! `https://example.com/notion/callback`. For another redirect URI, see
//! [`mount_path`](NotionOAuthServiceBuilder::mount_path).
//!
//! | route | |
//! |---|---|
//! | `GET /authorize` | starts a flow for the request's [`Subject`](crate::Subject), and redirects the browser to Notion; `?return_to=` is where it goes afterwards |
//! | `GET /callback` | the redirect URI: completes the flow, stores the credentials, and redirects the browser to `return_to` with `notion=connected` in the query |
//! | `GET /status` | shows the subject's connection, without a token, with a link to `return_to` |
//! | `POST /disconnect` | deletes and revokes the subject's tokens, and redirects the browser to `return_to` with `notion=disconnected` |
//!
//! ```
//! use axum::{Extension, Router};
//! use notion_auth::{Keyring, NotionAuthProvider, Subject};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let notion = notion_auth::testing::MockNotion::in_process();
//! # let app = notion.app_credentials()?;
//! let provider = NotionAuthProvider::builder()
//!     .app(app)
//!     .keys(Keyring::random()) // several replicas: Keyring::from_env()?
//!     .build()?;
//! let routes = provider.routes().default_return_target("/settings").build()?;
//! let app: Router = Router::new()
//!     .nest_service("/notion", routes)
//!     // Stands for your session layer, which knows who is signed in.
//!     .layer(Extension(Subject::new("ann")));
//! # Ok(()) }
//! ```
//!
//! # What your application does
//!
//! - **It names the subject.** Its session layer, around the routes, puts the [`Subject`](crate::Subject) into the
//!   extensions of each request. It takes it from its own session, never from the query, the path or a header that the
//!   caller controls. Without a subject the answer is 401, unless the application
//!   [names subjects](NotionOAuthServiceBuilder::name_subject) after the flow.
//! - **Its session cookie is `SameSite=Lax`.** Browsers don't send a `Strict` one when Notion redirects back.
//! - **It links to `/authorize`,** and posts a form to `/disconnect`. A page with such a form must not have
//!   `Referrer-Policy: no-referrer`, because browsers without fetch metadata then send `Origin: null`, which is refused.
//! - **It protects its own sign-in against cross-site requests.** Otherwise another site can sign a visitor
//!   in as an attacker. The visitor then connects their workspace to the attacker's account. Check `Sec-Fetch-Site` or `Origin` of the forms for
//!   signing in and out, and begin a new session at each sign-in.
//! - **It keeps the callback's address out of access logs:** code and state are in its query.
//!
//! # What is checked
//!
//! A flow is bound to four things: to the browser by an encrypted cookie, to the subject, to the redirect URI, and to 10
//! minutes. It is used once across replicas, and its code is exchanged once (RFC 9700 sections 2.1 and 4.7). An `iss` in
//! the callback must be the origin of the authorization URL (RFC 9207).
//!
//! `authorize` and `callback` must be opened in a browser tab: prefetches, embedded requests and scripts' fetches are
//! refused. If another site sends a browser to `authorize`, the user is asked first ([`PageKind::Confirm`]); so it is
//! after a redirect through another site, such as an identity provider.
//!
//! In a minute, a process exchanges at most 5 codes for a subject, and 60 for all visitors who are not signed in.
//!
//! A request that is refused has an answer of its own ([`FlowProblem`]), and is reported as
//! [`Event::FlowFailed`](crate::Event::FlowFailed), except for prefetches.
//!
//! # JSON
//!
//! A request that doesn't accept `text/html` gets JSON instead of a page, and from `/disconnect` instead of a redirect.
//!
//! `GET /status`:
//!
//! ```json
//! {"connected": true, "state": "active", "needs_reauthorization": null, "invalid_token": null,
//!  "workspace": {"id": "…", "name": "Acme", "icon": "🚀"}, "account": "Ann Lee",
//!  "connected_at": 1767225600, "refreshed_at": null}
//! ```
//!
//! - `state`: `active`, `unreadable`, or why the user must connect again: `revoked`, `rotation_lost`, `no_refresh_token`,
//!   `expired`. That reason is in `needs_reauthorization` too. `unreadable` is for the operator: this process can't read
//!   the record, for example because a key is missing. A new connection would replace the record.
//! - `invalid_token`: why the access token can't be sent, as a sentence.
//! - `workspace.icon`: a URL or an emoji. `account`: name or e-mail address of the Notion user who connected.
//! - Times are Unix seconds (UTC).
//!
//! `POST /disconnect` answers the same with `"revoked"`. It is `false` if the tokens could not be revoked.
//!
//! A problem is `{"error": CODE, "message": …}`, with a [code](FlowProblem::code) and the sentence that a page would show.

mod answer;
mod authorize;
mod builder;
mod callback;
mod completion;
mod connection;
mod flow_cookie;
mod limits;
mod page;
mod request_source;
mod return_to;
mod service;
mod state;
mod subjects;

pub use self::{
    answer::{Body, Connected},
    builder::NotionOAuthServiceBuilder,
    page::{Page, PageKind},
    request_source::{AnotherIdentityConfirmed, AuthenticatedByHeader},
    service::NotionOAuthService,
};
pub use crate::flow_problem::FlowProblem;
