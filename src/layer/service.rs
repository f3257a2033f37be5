use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    copy::RequestCopy,
    future::ResponseFuture,
    replay::{CloneBody, Keep, ReplayBody},
    selection::{Choice, Config},
    slow::SlowPath,
};
use crate::{cache::Fence, error::BoxError, subject::Subject};

/// Middleware that sets Notion credentials on each request.
///
/// Made by [`NotionAuthLayer`](super::NotionAuthLayer). Its error is an [`AuthError`](crate::AuthError) as a
/// [`BoxError`], or the inner service's. It is ready when the inner service is.
///
/// Dropping a response future cancels its request only. A refresh that the request started goes on.
#[derive(Debug, Clone)]
pub struct NotionAuth<S, R = CloneBody> {
    inner: S,
    applied: Arc<Applied<S>>,
    replay: R,
}

/// What a layer around one service shares between the service's clones.
#[derive(Debug)]
pub(super) struct Applied<S> {
    pub(super) config: Config,
    /// Cloned for each replay. The lock is what makes it `Sync`.
    spare: Mutex<S>,
}

impl<S: Clone> Applied<S> {
    /// Returns a service that is not ready.
    pub(super) fn spare(&self) -> S {
        self.spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What is kept of a request that can be sent again after a 401.
pub(super) struct Replay<S, B> {
    pub(super) copy: RequestCopy<B>,
    /// Of the credentials that the request is sent with.
    pub(super) fence: Fence,
    pub(super) applied: Arc<Applied<S>>,
}

impl<S, B> Replay<S, B> {
    /// Keeps what a replay needs of a request without credentials, if its body can be copied. `plain` is the subject of
    /// a request that [`RequestCopy::of_plain`] copies.
    pub(super) fn of<R: ReplayBody<B>>(
        policy: &R,
        request: &Request<B>,
        plain: Option<&Subject>,
        fence: Option<Fence>,
        applied: &Arc<Applied<S>>,
    ) -> Option<Self> {
        let fence = fence?;
        let body = policy.copy(request.body())?;
        Some(Self {
            copy: match plain {
                Some(subject) => RequestCopy::of_plain(request, subject, body),
                None => RequestCopy::of(request, &applied.config.destination, body),
            },
            fence,
            applied: Arc::clone(applied),
        })
    }
}

impl<S: Clone, R> NotionAuth<S, R> {
    pub(super) fn new(inner: S, config: Config, replay: R) -> Self {
        Self {
            applied: Arc::new(Applied {
                config,
                spare: Mutex::new(inner.clone()),
            }),
            inner,
            replay,
        }
    }

    /// Takes the service that was polled ready. A clone takes its place.
    fn take_ready(&mut self) -> S {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }

    /// Returns a service that is not ready. The one that was polled ready is dropped, because it may hold a permit, such
    /// as of a concurrency limit, and is not called.
    fn take_unready(&mut self) -> S {
        drop(self.take_ready());
        self.inner.clone()
    }
}

impl<S, R> NotionAuth<S, R> {
    /// Returns the inner service.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service, and drops the middleware.
    pub fn into_inner(self) -> S {
        self.inner
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
        let applied = &self.applied;
        applied.config.destination.complete(&mut request);
        let mut replay = R::Kept::default();
        let handle = applied
            .config
            .inject_cached(&mut request, |request, plain, fence| {
                replay.keep(|| Replay::of(&self.replay, request, plain, fence, applied));
            });
        match handle {
            Some(handle) => ResponseFuture::sent(self.inner.call(request), handle, replay),
            None => self.call_slowly(request),
        }
    }
}

impl<S, R> NotionAuth<S, R> {
    /// Inlined, it would make the fast path save registers for it.
    #[inline(never)]
    fn call_slowly<B, ResBody>(&mut self, request: Request<B>) -> ResponseFuture<S, B, R>
    where
        S: Service<Request<B>, Response = Response<ResBody>> + Clone,
        S::Error: Into<BoxError>,
        R: ReplayBody<B>,
    {
        let applied = Arc::clone(&self.applied);
        let replay = self.replay.clone();
        let choice = applied
            .config
            .destination
            .check(request.method(), request.uri(), request.headers())
            .and_then(|()| applied.config.choose(request.extensions()));
        ResponseFuture::slow(match choice {
            Ok(Choice::Send(credentials)) => {
                SlowPath::sending(applied, replay, self.take_ready(), request, credentials)
            }
            Ok(Choice::Wait(outcome, handle)) => {
                let service = self.take_unready();
                SlowPath::waiting(applied, replay, service, request, outcome, handle)
            }
            Err(error) => {
                drop(self.take_ready());
                SlowPath::failed(applied, replay, error)
            }
        })
    }
}
