use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{driven::Driven, replay::ReplayBody};
use crate::{
    error::BoxError,
    provider::{EntryHandle, Unauthorized},
};

pin_project! {
    /// Response future for [`NotionAuth`](super::NotionAuth).
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S::Future, Pin<Box<Driven<S, B, R>>>>,
    }
}

pin_project! {
    // The handle's niche tells the two apart: a hit is the inner future and 16 bytes.
    #[project = StateProjection]
    enum State<F, D> {
        Hit { #[pin] inner: F, handle: EntryHandle },
        Driven { driven: D },
    }
}

impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
    #[inline]
    pub(super) fn hit(inner: S::Future, handle: EntryHandle) -> Self {
        Self {
            state: State::Hit { inner, handle },
        }
    }

    pub(super) fn driven(driven: Driven<S, B, R>) -> Self {
        Self {
            state: State::Driven {
                driven: Box::pin(driven),
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
        match self.project().state.project() {
            StateProjection::Hit { inner, handle } => {
                let answer = inner.poll(cx);
                if let Poll::Ready(Ok(response)) = &answer {
                    let unauthorized = Unauthorized::of(response.status(), response.headers());
                    if let Some(unauthorized) = unauthorized {
                        handle.refused(unauthorized);
                    }
                }
                answer.map_err(Into::into)
            }
            StateProjection::Driven { driven } => driven.as_mut().poll(cx),
        }
    }
}

impl<S: Service<Request<B>>, B, R> fmt::Debug for ResponseFuture<S, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
