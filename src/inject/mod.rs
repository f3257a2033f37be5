//! How credentials get on a request: the layer and its service.
//!
//! [`NotionAuthLayer`] wraps any HTTP [`Service`](tower_service::Service). For each request it asks
//! whose credentials to use (the request's extensions say), whether its destination may have a token
//! at all, and the provider for a token; then it sets `Authorization` and `Notion-Version` and calls
//! the inner service.
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use notion_auth::{CloneBody, NotionAuthLayer, Subject, testing};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
//! let notion = testing::MockNotion::start().await?;
//! let provider = notion.provider_builder()?.build()?;
//! provider.store_credentials(&"ann".into(), notion.connect()).await?;
//!
//! let client = ServiceBuilder::new()
//!     .layer(NotionAuthLayer::refreshing(provider).replaying(CloneBody))
//!     .service(notion_auth::https_client());
//!
//! let mut request = Request::get(format!("{}/v1/users/me", notion.base_url()))
//!     .body(Empty::<Bytes>::new())?;
//! request.extensions_mut().insert(Subject::new("ann"));
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! # Ok(()) }
//! ```
//!
//! A token that is at hand costs no allocation, no box and no clone of the service, and the future of
//! such a request is the inner one and 16 bytes. By those a 401 is known as the refusal of that token
//! and no other, and starts a refresh. With [`replaying`](NotionAuthLayer::replaying) the request is
//! then sent once more.

mod config;
mod destination;
mod driven;
mod future;
mod headers;
mod identity;
mod layer;
mod replay;
mod service;
mod session;

#[cfg(feature = "reqwest")]
pub(crate) use self::{
    config::Config,
    identity::{Choice, Credentials, Source},
};
pub use self::{
    future::ResponseFuture,
    layer::NotionAuthLayer,
    replay::{CloneBody, EmptyBody, NoReplay, ReplayBody},
    service::NotionAuth,
    session::SessionService,
};
