use std::task::{Context, Poll};

use http::{Extensions, Request};
use tower_layer::Layer;
use tower_service::Service;

use super::{NotionAuth, NotionAuthLayer};
use crate::{
    provider::{Identity, Session},
    subject::{ExplicitCredentials, Subject, UseIntegrationToken},
};

impl Session {
    /// Wraps a client: anything that sends requests, without credentials of its own. Each request is sent with the
    /// session's credentials. Those that have expired are refreshed first, and a request whose token is refused is sent
    /// once more.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::Request;
    /// use http_body_util::Empty;
    /// use notion_auth::testing;
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), notion_auth::BoxError> {
    /// # let notion = testing::MockNotion::start().await?;
    /// # let provider = notion.provider_builder()?.build()?;
    /// # provider.store_credentials(&"ann".into(), notion.connect()).await?;
    /// let ann = provider.session("ann").wrap(notion_auth::https_client());
    /// let request = Request::get("/v1/users/me").body(Empty::<Bytes>::new())?;
    /// assert_eq!(ann.oneshot(request).await?.status(), 200);
    /// # Ok(()) }
    /// ```
    pub fn wrap<S: Clone>(&self, client: S) -> SessionService<NotionAuth<S>> {
        self.bind(NotionAuthLayer::refreshing(self.provider.clone()).layer(client))
    }

    /// Binds a service that already has a [`NotionAuthLayer`] around it to this session.
    pub fn bind<S>(&self, service: S) -> SessionService<S> {
        SessionService {
            inner: service,
            identity: self.identity.clone(),
        }
    }
}

/// Middleware that gives each request the credentials of a session, and replaces any identity that it had.
///
/// Made by [`Session::wrap`] and [`Session::bind`].
#[derive(Debug, Clone)]
pub struct SessionService<S> {
    inner: S,
    identity: Identity,
}

impl<S, B> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.identity.put_into(request.extensions_mut());
        self.inner.call(request)
    }
}

impl Identity {
    pub(crate) fn put_into(&self, extensions: &mut Extensions) {
        extensions.remove::<UseIntegrationToken>();
        match self {
            Self::Subject(subject) => {
                extensions.remove::<ExplicitCredentials>();
                extensions.insert(subject.clone());
            }
            Self::Credentials(credentials) => {
                extensions.remove::<Subject>();
                extensions.insert(credentials.clone());
            }
        }
    }
}
