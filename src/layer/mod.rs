//! The layer that authenticates requests, its service, and the policies for replays.
//!
//! [`NotionAuthLayer`] wraps any HTTP [`Service`](tower_service::Service). It selects credentials by the request's
//! extensions, sets `Authorization` and `Notion-Version`, and calls the inner service.
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use notion_auth::{NotionAuthLayer, Subject, https_client, testing::MockNotion};
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
//! # let notion = MockNotion::start().await?;
//! # let provider = notion.provider_builder()?.build()?;
//! # provider.store_credentials(&"ann".into(), notion.connect()).await?;
//! let client = NotionAuthLayer::refreshing(provider).layer(https_client());
//! let request = Request::get("/v1/users/me").extension(Subject::new("ann"));
//! let response = client.oneshot(request.body(Empty::<Bytes>::new())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(()) }
//! ```
//!
//! # Credentials
//!
//! The first of these is used:
//!
//! 1. [`ExplicitCredentials`](crate::ExplicitCredentials) in the request's extensions
//! 2. the stored credentials of the [`Subject`](crate::Subject) in the extensions
//! 3. the app's integration token, if the app has no OAuth client or the extensions have
//!    [`UseIntegrationToken`](crate::UseIntegrationToken)
//!
//! # Destination
//!
//! Only the provider's API origin gets a token. A URI without a host, such as `/v1/users/me`, is completed with that
//! origin. Any other host, scheme or port is an error, and so is a `Host` header that names another host.
//!
//! # Replays
//!
//! If Notion answers 401, the credentials are refreshed and the request is sent once more. Therefore the layer copies each
//! request before it is sent. The body must be `Clone` or a [`BufferedBody`]. For other bodies, see [`without_replay`] and
//! [`replaying`].
//!
//! The copy of a head takes one allocation if the subject is its only extension. A second extension adds five, because they
//! can only be cloned as a whole, so a proxy should not pass on the extensions of its server.
//!
//! [`without_replay`]: NotionAuthLayer::without_replay
//! [`replaying`]: NotionAuthLayer::replaying
//!
//! # Order of layers
//!
//! From the outside in:
//!
//! | layer | reason |
//! |---|---|
//! | `Trace` | one span for all tries of a request, without the token |
//! | `Timeout` | one limit for all tries and pauses. A refresh continues after a time-out. Waiting for readiness, as of `ConcurrencyLimit`, is not included; `tokio::time::timeout` around everything includes it |
//! | `Retry` | each try selects current credentials, and holds no permit while it pauses. This layer handles 401 itself |
//! | `FollowRedirect` | each hop is checked before it gets a token. Inside this layer, a redirect would take the token along |
//! | **`NotionAuthLayer`** | |
//! | `ConcurrencyLimit` | a request that waits for credentials holds no permit |
//! | `RateLimit` | counts what is sent, including replays and redirects. It can't be cloned, so a `Buffer` is around it. Notion's limit applies to each connection, so this one only bounds the process |
//! | the client | |
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use notion_auth::{
//!     NotionAuthLayer, RetryRateLimited, Subject, https_client,
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
//! // Rate-limited, redirected and refused: the caller sees none of it.
//! # notion.revoke_access_token(ann.access_token.expose());
//! let me = format!("{}/v1/users/me", notion.base_url());
//! notion.script(Call::Api, [Fault::RateLimited { retry_after: Some(0) }, Fault::Redirect(me.clone())]);
//! let request = Request::get(me).extension(Subject::new("ann")).body(Empty::<Bytes>::new())?;
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! assert_eq!(notion.ledger().api_calls().len(), 4);
//! assert_eq!(notion.ledger().refreshes().len(), 1);
//! # Ok(()) }
//! ```

mod buffered;
mod copy;
mod destination;
mod future;
mod replay;
mod selection;
mod service;
mod session;
mod slow;

use tower_layer::Layer;

pub(crate) use self::selection::Config;
#[cfg(feature = "reqwest")]
pub(crate) use self::selection::{Choice, Credentials, Source};
pub use self::{
    buffered::BufferedBody,
    future::ResponseFuture,
    replay::{CloneBody, EmptyBody, NoReplay, ReplayBody},
    service::NotionAuth,
    session::SessionService,
};
use crate::{error::AuthError, provider::NotionAuthProvider, subject::Mode};

/// Layer that sets Notion credentials on each request.
///
/// `R` is the policy by which requests are sent again after a 401.
#[derive(Debug, Clone)]
pub struct NotionAuthLayer<R = CloneBody> {
    config: Config,
    replay: R,
}

impl NotionAuthLayer {
    /// Builds a refreshing layer from the environment; see [`NotionAuthProvider::from_env`].
    ///
    /// # Errors
    /// Those of [`NotionAuthProvider::from_env`].
    pub fn from_env() -> Result<Self, AuthError> {
        NotionAuthProvider::from_env().map(Self::refreshing)
    }

    /// Refreshes credentials that have expired before the request is sent, and those that Notion refused before it is
    /// sent once more.
    #[must_use]
    pub fn refreshing(provider: NotionAuthProvider) -> Self {
        Self {
            config: Config::new(&provider, Mode::Refreshing),
            replay: CloneBody,
        }
    }
}

impl NotionAuthLayer<NoReplay> {
    /// Fails at once if credentials have expired or were refused. The store may be read; the token endpoint is never
    /// called.
    #[must_use]
    pub fn fail_fast(provider: NotionAuthProvider) -> Self {
        Self {
            config: Config::new(&provider, Mode::FailFast),
            replay: NoReplay,
        }
    }
}

impl<R> NotionAuthLayer<R> {
    /// Sends each request at most once. A 401 goes back to the caller, and the next request has the new token.
    ///
    /// Notion's tokens normally end without notice, so each rotation reaches a caller as one failed request. In return,
    /// bodies need not be copied, and a request with a cached token allocates nothing.
    #[must_use]
    pub fn without_replay(self) -> NotionAuthLayer<NoReplay> {
        self.replaying(NoReplay)
    }

    /// Copies bodies by another policy: [`EmptyBody`], or a function `Fn(&B) -> Option<B>`.
    #[must_use]
    pub fn replaying<T>(self, policy: T) -> NotionAuthLayer<T> {
        NotionAuthLayer {
            config: self.config,
            replay: policy,
        }
    }

    /// Replaces a `Notion-Version` that the caller sent. By default it is kept.
    #[must_use]
    pub fn overriding_version(mut self) -> Self {
        self.config.overrides_version = true;
        self
    }

    /// Leaves URIs without a host (`/v1/users/me`) as they are, as on a raw connection. The inner service decides their
    /// destination, and is trusted with the token.
    ///
    /// Such a URI must be a path that begins with one slash and a name. URIs with a host are checked all the same.
    #[must_use]
    pub fn inner_decides_destination(mut self) -> Self {
        self.config.destination.inner_decides = true;
        self
    }

    /// Puts a [`CredentialUsed`](crate::CredentialUsed) into the extensions of each response. Allocates for each
    /// request.
    #[must_use]
    pub fn reporting_credentials(mut self) -> Self {
        self.config.reports = true;
        self.config.is_plain = false;
        self
    }
}

impl<S: Clone, R: Clone> Layer<S> for NotionAuthLayer<R> {
    type Service = NotionAuth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        NotionAuth::new(inner, self.config.clone(), self.replay.clone())
    }
}
