use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    driven::Driven,
    future::ResponseFuture,
    replay::{NoReplay, ReplayBody},
    selection::Choice,
    selection::Config,
};
use crate::error::BoxError;

/// Middleware that puts Notion credentials on each request.
///
/// Made by [`NotionAuthLayer`](super::NotionAuthLayer). Its error is an
/// [`AuthError`](crate::AuthError) as a [`BoxError`], or the inner service's. It is ready when the inner service is.
///
/// A future that is dropped takes its request with it, and nothing else: a refresh that it caused
/// goes on.
#[derive(Debug, Clone)]
pub struct NotionAuth<S, R = NoReplay> {
    inner: S,
    config: Arc<Config>,
    replay: R,
}

impl<S, R> NotionAuth<S, R> {
    pub(super) fn new(inner: S, config: Arc<Config>, replay: R) -> Self {
        Self {
            inner,
            config,
            replay,
        }
    }

    /// The service that requests are sent with.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The service that requests are sent with.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service that requests are sent with.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, R> NotionAuth<S, R> {
    /// The service that was found ready; a clone takes its place.
    fn take_ready(&mut self) -> S {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }

    /// A service that is not ready. What was found ready lets go of its place, such as in a limit of
    /// concurrency, since it is not called.
    fn take_unready(&mut self) -> S {
        drop(self.take_ready());
        self.inner.clone()
    }
}

impl<S, R, B, ResBody> Service<Request<B>> for NotionAuth<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    R: ReplayBody<B>,
{
    type Response = Response<ResBody>;
    type Error = BoxError;
    type Future = ResponseFuture<S, B, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if R::NEVER {
            if let Some(ticket) = self.config.hit(&mut request) {
                return ResponseFuture::hit(self.inner.call(request), ticket);
            }
        }
        self.call_driven(request)
    }
}

impl<S, R> NotionAuth<S, R> {
    /// The way of all requests that are not hits, or that may be sent again. Inlined, it would have hits
    /// save registers for it.
    #[inline(never)]
    fn call_driven<B, ResBody>(&mut self, request: Request<B>) -> ResponseFuture<S, B, R>
    where
        S: Service<Request<B>, Response = Response<ResBody>> + Clone,
        S::Error: Into<BoxError>,
        R: ReplayBody<B>,
    {
        let choice = self
            .config
            .destination
            .check(request.method(), request.uri(), request.headers())
            .and_then(|()| self.config.choose(request.extensions()));
        let config = Arc::clone(&self.config);
        let replay = self.replay.clone();
        ResponseFuture::driven(match choice {
            Ok(Choice::Send(credentials)) => {
                let service = self.take_ready();
                Driven::sending(config, replay, service, request, credentials)
            }
            Ok(Choice::Wait(grant, ticket)) => {
                let service = self.take_unready();
                Driven::waiting(config, replay, service, request, grant, ticket)
            }
            Err(error) => {
                drop(self.take_ready());
                Driven::failed(config, replay, error)
            }
        })
    }
}
