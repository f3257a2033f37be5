//! How users connect: the OAuth routes as one Tower service.
//!
//! [`NotionOAuthService`] takes whatever HTTP server the host has. It is mounted where the app's
//! redirect URI says (`https://example.com/notion/callback` mounts it at `/notion`):
//!
//! | route | |
//! |---|---|
//! | `GET /authorize` | begins a flow for the request's [`Subject`](crate::Subject) and sends the browser to Notion; `?return_to=` names where it goes afterwards |
//! | `GET /callback` | the redirect URI: ends the flow, stores the credentials, sends the browser back with `notion=connected` in the query |
//! | `POST /disconnect` | revokes and forgets; sends a browser to `return_to` with `notion=disconnected` |
//! | `GET /status` | the subject's connection, without a token |
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
//!     // The host's session layer, which knows who is signed in.
//!     .layer(Extension(Subject::new("ann")));
//! # Ok(()) }
//! ```
//!
//! # What the host does
//!
//! Its session layer puts the [`Subject`](crate::Subject) into the extensions of each request: from its
//! own session, never from the query, the path or a header that the caller controls. Without one the
//! answer is 401, unless the host [names subjects](NotionOAuthServiceBuilder::name_subject) itself.
//!
//! Its pages link to `/authorize` and post a form to `/disconnect`. A script or a program, which is whoever
//! does not accept `text/html`, gets JSON instead of pages, and from `/disconnect` instead of a redirect.
//! Keep the callback's URI out of access logs: code and state are in its query.
//!
//! # What is checked
//!
//! A flow is bound to the browser by an encrypted cookie of its own, to the subject, which must be the
//! same at its start and its end, to the app's redirect URI, and to ten minutes; it is used once, on whichever replica, and its
//! code is exchanged once (RFC 9700 section 2.1 and 4.7). Whatever fails changes nothing, has an answer
//! of its own ([`FlowProblem`]) and is reported as [`Event::FlowFailed`](crate::Event::FlowFailed).
//!
//! # JSON
//!
//! `GET /status`: `{"connected": true, "state": "active", "needs_reauthorization": null, "invalid_token": null,
//! "workspace": {"id": …, "name": …, "icon": …}, "connected_at": …, "refreshed_at": …}`; times are Unix
//! seconds (UTC), the icon is a URL or an emoji, and a connection that must be renewed says why:
//! `revoked`, `rotation_lost`, `no_refresh_token`, `expired`. The `state` is `active`, `unreadable` (connecting again would
//! not help), or that reason. `invalid_token` is a sentence that says
//! why the access token of a connection cannot be sent. `POST /disconnect`: the same, with `"revoked"`, which is false if
//! Notion could not be told. Problems: `{"error": CODE, "message": …}`.

mod answer;
mod authorize;
mod builder;
mod callback;
mod completion;
mod connection;
mod cross_site;
mod flow_cookie;
mod page;
mod return_to;
mod service;
mod state;
mod subjects;

pub use self::{
    answer::{Body, Connected},
    builder::NotionOAuthServiceBuilder,
    cross_site::AuthenticatedByHeader,
    page::Page,
    service::NotionOAuthService,
};
pub use crate::flow_problem::FlowProblem;
