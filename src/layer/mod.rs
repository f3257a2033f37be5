//! How credentials get on a request: the layer and its service.
//!
//! [`NotionAuthLayer`] wraps any HTTP [`Service`](tower_service::Service). The extensions of a request say whose
//! credentials it uses. If its destination may have a token, the layer gets one from the provider, sets `Authorization`
//! and `Notion-Version`, and calls the inner service.
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
//! A cached token costs no allocation, no box and no clone of the service. The future of such a request is the inner one
//! and 16 bytes, by which a 401 finds the entry that was used, and starts a refresh. With [`replaying`](NotionAuthLayer::replaying) the request is
//! then sent once more.

mod destination;
mod driven;
mod future;
mod replay;
mod selection;
mod service;
mod session;

use std::sync::Arc;

use tower_layer::Layer;

pub(crate) use self::selection::Config;
#[cfg(feature = "reqwest")]
pub(crate) use self::selection::{Choice, Credentials, Source};
pub use self::{
    future::ResponseFuture,
    replay::{CloneBody, EmptyBody, NoReplay, ReplayBody},
    service::NotionAuth,
    session::SessionService,
};
use crate::{provider::NotionAuthProvider, subject::Mode};

/// Layer that applies [`NotionAuth`], which puts Notion credentials on each request.
///
/// `R` says how requests are copied to be sent again; see [`replaying`](Self::replaying).
#[derive(Debug, Clone)]
pub struct NotionAuthLayer<R = NoReplay> {
    config: Arc<Config>,
    replay: R,
}

impl NotionAuthLayer {
    /// Credentials that have expired are refreshed before the request is sent; those that the API
    /// refuses are refreshed for the next one.
    #[must_use]
    pub fn refreshing(provider: NotionAuthProvider) -> Self {
        Self::new(&provider, Mode::Refreshing)
    }

    /// Requests whose credentials have expired or were refused fail at once: the store may be read,
    /// the token endpoint is never called.
    #[must_use]
    pub fn fail_fast(provider: NotionAuthProvider) -> Self {
        Self::new(&provider, Mode::FailFast)
    }

    fn new(provider: &NotionAuthProvider, mode: Mode) -> Self {
        Self {
            config: Arc::new(Config::new(provider, mode)),
            replay: NoReplay,
        }
    }
}

impl<R> NotionAuthLayer<R> {
    /// Sends a request once more, with the new token, when the API refused the one it was sent with.
    ///
    /// Notion's tokens normally end without notice, by a 401: without this, each rotation reaches a
    /// caller as one failed request. It copies head and body of each request before it is sent,
    /// which allocates. `replay` is [`CloneBody`],
    /// [`EmptyBody`], or a function that copies a body or declines.
    #[must_use]
    pub fn replaying<T>(self, replay: T) -> NotionAuthLayer<T> {
        NotionAuthLayer {
            config: self.config,
            replay,
        }
    }

    /// Replaces a `Notion-Version` that the caller sent. Otherwise it is kept.
    #[must_use]
    pub fn overriding_version(self) -> Self {
        self.with(|config| config.overrides_version = true)
    }

    /// Accepts URIs without a host (`/v1/users/me`), as in a server's stack and on a raw connection. The inner service
    /// decides where they go, and is trusted with the token.
    ///
    /// The URI must be a path that begins with one slash and a name. A `Host` header must name Notion's
    /// API: remove that of your own server before this layer. URIs with a host are checked all the same.
    #[must_use]
    pub fn inner_decides_destination(self) -> Self {
        self.with(|config| config.destination.inner_decides = true)
    }

    /// Puts a [`CredentialUsed`](crate::CredentialUsed) into the extensions of each response. This
    /// allocates.
    #[must_use]
    pub fn reporting_credentials(self) -> Self {
        self.with(|config| {
            config.reports = true;
            config.is_plain = false;
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S, R: Clone> Layer<S> for NotionAuthLayer<R> {
    type Service = NotionAuth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        NotionAuth::new(inner, Arc::clone(&self.config), self.replay.clone())
    }
}
