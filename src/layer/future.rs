use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    replay::{Keep, ReplayBody},
    service::Replay,
    slow::SlowPath,
};
use crate::{
    error::BoxError,
    provider::{EntryHandle, Unauthorized},
};

pin_project! {
    /// Response future for [`NotionAuth`](super::NotionAuth).
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
        R: ReplayBody<B>,
    {
        #[pin]
        state: State<S::Future, R::Kept<Replay<S, B>>, Pin<Box<SlowPath<S, B, R>>>>,
    }
}

pin_project! {
    // The handle has a niche for the other variant. Without a replay, the future is the inner one and 16 bytes.
    #[project = StateProjection]
    enum State<F, K, P> {
        Sent { #[pin] inner: F, handle: EntryHandle, replay: K },
        Slow { path: P },
    }
}

impl<S: Service<Request<B>>, B, R: ReplayBody<B>> ResponseFuture<S, B, R> {
    #[inline]
    pub(super) fn sent(
        inner: S::Future,
        handle: EntryHandle,
        replay: R::Kept<Replay<S, B>>,
    ) -> Self {
        Self {
            state: State::Sent {
                inner,
                handle,
                replay,
            },
        }
    }

    pub(super) fn slow(path: SlowPath<S, B, R>) -> Self {
        Self {
            state: State::Slow {
                path: Box::pin(path),
            },
        }
    }
}

impl<S, B, R, ResBody> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    R: ReplayBody<B>,
{
    type Output = Result<Response<ResBody>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let path = match state.as_mut().project() {
                StateProjection::Sent {
                    inner,
                    handle,
                    replay,
                } => {
                    let answer = inner.poll(cx);
                    let unauthorized = match &answer {
                        Poll::Ready(Ok(it)) => Unauthorized::of(it.status(), it.headers()),
                        _ => None,
                    };
                    // Returned as it is: moving a response costs more than all checks.
                    let Some(unauthorized) = unauthorized else {
                        return answer.map_err(Into::into);
                    };
                    let Some(replay) = replay.take() else {
                        handle.refused(unauthorized);
                        return answer.map_err(Into::into);
                    };
                    let refusal = ready!(answer).map_err(Into::into)?;
                    match SlowPath::renewing(replay, *handle, unauthorized, refusal) {
                        Ok(path) => path,
                        Err(refusal) => return Poll::Ready(Ok(refusal)),
                    }
                }
                StateProjection::Slow { path } => return path.as_mut().poll(cx),
            };
            state.set(State::Slow {
                path: Box::pin(path),
            });
        }
    }
}

impl<S: Service<Request<B>>, B, R: ReplayBody<B>> fmt::Debug for ResponseFuture<S, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
