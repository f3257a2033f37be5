//! Callers' connections: HTTP/1.1 only, with limits on what a caller can cause before its key is known.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, http::header::EXPECT, serve::Listener};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Semaphore,
    time::{Instant, Sleep, sleep},
};
use tower::ServiceExt as _;

use crate::{
    access::{AccessLog, Exchange},
    body::{Holding, RequestBody},
};

/// Time limit for a whole request head, from its first byte.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Time limit for the first byte of a connection's next request. Longer than the idle time of usual load balancers,
/// because a request on a connection that is just being closed fails.
const IDLE_TIME: Duration = Duration::from_secs(120);

/// The same where few connections are left, so that idle ones don't keep others out.
const SCARCE_IDLE_TIME: Duration = Duration::from_secs(5);

/// Time limit for the next piece of a caller's body. Shorter than the one for Notion's response, so that the caller is named
/// as the one that is late.
const UPLOAD_IDLE: Duration = Duration::from_secs(30);

/// How long a caller may read nothing of its response.
const UNREAD_TIME: Duration = Duration::from_secs(60);

/// Maximum size of a request head, and of the buffers of each connection. As much as nginx takes by default.
const HEAD_BYTES: usize = 32 * 1024;

/// Time limit for requests to complete at shutdown.
const GRACE: Duration = Duration::from_secs(30);

/// Between two warnings that the limit of connections is reached.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// Serves connections, at most `limit` at a time, until `end`. Then requests in progress have [`GRACE`] to complete.
/// `router` returns what new connections are served by.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    limit: usize,
    router: impl Fn() -> Router,
    log: AccessLog,
    end: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let accepting = async {
        let places = Places::new(limit);
        let mut warned: Option<Instant> = None;
        loop {
            if places.free.available_permits() == 0
                && warned.is_none_or(|warned| warned.elapsed() >= WARNING_PAUSE)
            {
                tracing::warn!(limit, "the limit of connections is reached; new ones wait");
                warned = Some(Instant::now());
            }
            // The semaphore is never closed.
            let permit = Arc::clone(&places.free).acquire_owned().await.ok();
            let (stream, _) = listener.accept().await;
            let (places, watcher) = (places.clone(), connections.watcher());
            let connection = connection(stream, places, router(), log.clone(), watcher);
            tokio::spawn(async move {
                connection.await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = end => {}
        () = accepting => {}
    }
    drop(listener);
    tokio::select! {
        () = connections.shutdown() => {}
        () = sleep(GRACE) => {
            tracing::warn!("requests that took longer than {GRACE:?} to end were cut off");
        }
    }
}

async fn connection<S>(stream: S, places: Places, router: Router, log: AccessLog, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let busy = Arc::default();
    let socket = Socket::new(stream, places, Arc::clone(&busy));
    let service = service_fn(move |request: Request<Incoming>| {
        respond(request, router.clone(), log.clone(), Busy::with(&busy))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The socket has both limits. This one makes hyper read from it when a response is complete.
        .header_read_timeout(IDLE_TIME + HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    // An error is the caller's: it went away, was too slow, or sent what is no request.
    let _ = watcher.watch(connection).await;
}

type ResponseBody = Holding<Body, (Arc<Exchange>, Busy)>;

async fn respond(
    request: Request<Incoming>,
    router: Router,
    log: AccessLog,
    busy: Busy,
) -> Result<Response<ResponseBody>, Infallible> {
    let exchange = Arc::new(Exchange::begin(log, &request));
    let awaits_continue = request.headers().contains_key(EXPECT);
    let mut request = request.map(|body| {
        Body::new(RequestBody::new(
            body,
            UPLOAD_IDLE,
            awaits_continue,
            busy.clone(),
        ))
    });
    request.extensions_mut().insert(Arc::clone(&exchange));
    let response = router.oneshot(request).await?;
    exchange.responded(&response);
    Ok(response.map(|body| Holding::new(body, (exchange, busy))))
}

/// The connections that there may be.
#[derive(Clone)]
struct Places {
    free: Arc<Semaphore>,
    limit: usize,
}

impl Places {
    fn new(limit: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }

    fn are_scarce(&self) -> bool {
        self.free.available_permits() < self.limit / 4
    }
}

/// A request or response of a connection that is not complete, or an upload whose rest is being read. While there is one, the
/// connection waits for no request head.
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn with(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        Self::with(&self.0)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection with time limits for what hyper has no limits for: request heads from their first byte, and responses
/// that are not read.
struct Socket<S> {
    stream: S,
    places: Places,
    /// The number of [`Busy`].
    busy: Arc<AtomicUsize>,
    head: Head,
    read_deadline: Option<Pin<Box<Sleep>>>,
    /// Set while a write is awaited.
    write_deadline: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    NotAwaited,
    Awaited,
    Begun,
}

impl<S> Socket<S> {
    fn new(stream: S, places: Places, busy: Arc<AtomicUsize>) -> Self {
        Self {
            stream,
            places,
            busy,
            head: Head::NotAwaited,
            read_deadline: None,
            write_deadline: None,
        }
    }

    /// Returns whether a request head is late, after a read that made progress or not.
    fn poll_late(&mut self, cx: &mut Context<'_>, has_read: bool) -> Poll<()> {
        // hyper reads at least once while it has a request, to notice a caller that goes away.
        if self.busy.load(Ordering::Relaxed) > 0 {
            self.head = Head::NotAwaited;
            return Poll::Pending;
        }
        let next = if has_read { Head::Begun } else { Head::Awaited };
        if self.head == Head::NotAwaited || (self.head == Head::Awaited && has_read) {
            self.head = next;
            self.read_deadline = None;
        }
        if has_read {
            return Poll::Pending;
        }
        let limit = match self.head {
            Head::Begun => HEAD_TIME,
            _ if self.places.are_scarce() => SCARCE_IDLE_TIME,
            _ => IDLE_TIME,
        };
        let deadline = self
            .read_deadline
            .get_or_insert_with(|| Box::pin(sleep(limit)));
        deadline.as_mut().poll(cx)
    }

    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_deadline = None;
            return polled;
        }
        let deadline = self
            .write_deadline
            .get_or_insert_with(|| Box::pin(sleep(UNREAD_TIME)));
        let late = deadline.as_mut().poll(cx);
        late.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match polled {
            Poll::Ready(Ok(())) => {
                let _ = self.poll_late(cx, buffer.filled().len() > before);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if self.poll_late(cx, false).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
