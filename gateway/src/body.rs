//! Bodies in both directions.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use notion_auth::BoxError;
use tokio::{
    runtime::Handle,
    time::{Instant, Sleep, sleep, timeout},
};

use crate::connections::Busy;

/// How long the rest of a refused upload is read, and how much of it. Notion's parts of a file have at most 20 MiB.
const DRAIN_TIME: Duration = Duration::from_secs(30);
const DRAIN_BYTES: usize = 32 * 1024 * 1024;

/// The data frames of a body, without its trailers. Fails if no frame arrives for `idle`.
///
/// Not `tower_http::timeout::TimeoutBody`, because that hides the body's length.
pub(crate) struct DataFrames<B> {
    body: B,
    idle: Duration,
    /// Set while a frame is awaited.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// No frame of a body arrived in time.
#[derive(Debug)]
pub(crate) struct Stalled(Duration);

impl<B> DataFrames<B> {
    pub(crate) fn new(body: B, idle: Duration) -> Self {
        Self {
            body,
            idle,
            deadline: None,
        }
    }
}

impl<B> Body for DataFrames<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if !frame.is_data() => {}
                Poll::Ready(frame) => {
                    this.deadline = None;
                    return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
                }
                Poll::Pending => {
                    let idle = this.idle;
                    let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(idle)));
                    return deadline
                        .as_mut()
                        .poll(cx)
                        .map(|()| Some(Err(Stalled(idle).into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A caller's body. If it is dropped before its end, a background task reads the rest up to a limit.
///
/// Some clients read no response before they have sent everything. They would see a broken connection instead.
pub(crate) struct RequestBody {
    /// `None` after the end or an error.
    body: Option<DataFrames<Incoming>>,
    /// The caller waits for `100 Continue`, which is sent with the first read.
    awaits_continue: bool,
    busy: Option<Busy>,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, idle: Duration, awaits_continue: bool, busy: Busy) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        Self {
            busy: body.is_some().then_some(busy),
            body: body.map(|body| DataFrames::new(body, idle)),
            awaits_continue,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.awaits_continue = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let busy = self.busy.take();
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let Some(rest) = rest
            && !self.awaits_continue
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let _ = timeout(DRAIN_TIME, drain(rest)).await;
                drop(busy);
            });
        }
    }
}

async fn drain(mut body: impl Body<Data = Bytes> + Unpin) {
    let mut left = DRAIN_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(read) {
            // With a response that is complete, hyper closes its side of the body only with the next request.
            Some(rest) if !body.is_end_stream() => left = rest,
            _ => return,
        }
    }
}

/// A body that drops `held` when it ends or its caller goes away.
pub(crate) struct Holding<B, H> {
    body: B,
    _held: H,
}

impl<B, H> Holding<B, H> {
    pub(crate) fn new(body: B, held: H) -> Self {
        Self { body, _held: held }
    }
}

impl<B: Body + Unpin, H: Unpin> Body for Holding<B, H> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// When a body last made progress.
#[derive(Clone)]
pub(crate) struct Progress {
    begun: Instant,
    milliseconds: Arc<AtomicU64>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self {
            begun: Instant::now(),
            milliseconds: Arc::default(),
        }
    }

    fn note(&self) {
        let milliseconds = self.begun.elapsed().as_millis();
        let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        self.milliseconds.store(milliseconds, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Instant {
        let milliseconds = self.milliseconds.load(Ordering::Relaxed);
        self.begun + Duration::from_millis(milliseconds)
    }
}

/// A body that notes when it was polled successfully.
pub(crate) struct Noting<B> {
    body: B,
    progress: Option<Progress>,
}

impl<B> Noting<B> {
    /// Without a progress, it notes nothing.
    pub(crate) fn new(body: B, progress: Option<Progress>) -> Self {
        Self { body, progress }
    }
}

impl<B: Body + Unpin> Body for Noting<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let (Some(progress), Poll::Ready(_)) = (&self.progress, &polled) {
            progress.note();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no more of the body arrived within {:?}", self.0)
    }
}

impl std::error::Error for Stalled {}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use axum::http::HeaderMap;
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn trailers_are_left_out() {
        let body = Full::new(Bytes::from_static(b"data"))
            .with_trailers(ready(Some(Ok(HeaderMap::from_iter([])))));
        let body = DataFrames::new(body, Duration::from_secs(1))
            .collect()
            .await;
        assert!(body.is_ok_and(|body| body.trailers().is_none() && body.to_bytes() == "data"));
    }
}
