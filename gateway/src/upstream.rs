//! The connection to Notion, with a time limit for responses.

use std::{
    error::Error as StdError,
    fmt, io,
    iter::successors,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use hyper::{Method, Request, Response, body::Incoming};
use metrics::{Histogram, histogram};
use notion_auth::{HttpsClient, HttpsConfig, HttpsError, layer::BufferedBody};
use tokio::time::{Instant, sleep_until};
use tower::Service;

use crate::body::{Noting, Progress};

/// Time limit for the head of Notion's response, from the last progress of the request's body.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// Time limit for the next piece of a response.
pub(crate) const RESPONSE_IDLE: Duration = Duration::from_secs(60);

/// A request's body, of which short ones are in memory.
pub(crate) type Upload = BufferedBody<Body>;

/// Client for Notion's API. It speaks HTTP/1.1, so that each response has its own connection and flow control.
/// Over HTTP/2, responses that callers don't read would fill the window that all share.
#[derive(Clone)]
pub(crate) struct Upstream<C = HttpsClient<Noting<Upload>>> {
    client: C,
    /// By the first digit of the status; the first one counts requests without a response.
    latency: [Histogram; 6],
}

#[derive(Debug)]
pub(crate) enum UpstreamError {
    Https(HttpsError),
    NoResponse,
}

impl Upstream {
    pub(crate) fn new(https: &HttpsConfig) -> Self {
        Self::of(https.clone().http1_only().client())
    }
}

impl<C> Upstream<C>
where
    C: Service<Request<Noting<Upload>>, Response = Response<Incoming>, Error = HttpsError>,
{
    fn of(client: C) -> Self {
        let latency = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]
            .map(|status| histogram!("gateway_upstream_duration_seconds", "status" => status));
        Self { client, latency }
    }

    async fn send(mut self, request: Request<Upload>) -> Result<Response<Incoming>, UpstreamError> {
        let again = repeatable(&request);
        match self.attempt(request).await {
            Err(UpstreamError::Https(error)) if is_closed(&error) => match again {
                Some(head) => {
                    let body = BufferedBody::read(Body::empty(), 0).await;
                    let Ok(body) = body else {
                        return Err(UpstreamError::Https(error));
                    };
                    self.attempt(head.map(|()| body)).await
                }
                None => Err(UpstreamError::Https(error)),
            },
            result => result,
        }
    }

    async fn attempt(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let begun = Instant::now();
        let progress = (!http_body::Body::is_end_stream(request.body())).then(Progress::start);
        let request = request.map(|body| Noting::new(body, progress.clone()));
        let responding = self.client.call(request);
        let result = tokio::select! {
            result = responding => result.map_err(UpstreamError::Https),
            () = silent(begun, progress) => Err(UpstreamError::NoResponse),
        };
        let class = match &result {
            Ok(response) => usize::from(response.status().as_u16() / 100),
            Err(_) => 0,
        };
        if let Some(latency) = self.latency.get(class) {
            latency.record(begun.elapsed());
        }
        result
    }
}

impl<C> Service<Request<Upload>> for Upstream<C>
where
    C: Service<Request<Noting<Upload>>, Response = Response<Incoming>, Error = HttpsError>
        + Clone
        + Send
        + 'static,
    C::Future: Send,
{
    type Response = Response<Incoming>;
    type Error = UpstreamError;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Response<Incoming>, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.client.poll_ready(cx).map_err(UpstreamError::Https)
    }

    fn call(&mut self, request: Request<Upload>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Ends when there was no progress for the time limit.
async fn silent(begun: Instant, progress: Option<Progress>) {
    let mut last = begun;
    loop {
        sleep_until(last + HEAD_TIME).await;
        match &progress {
            Some(progress) if progress.last() > last => last = progress.last(),
            _ => return,
        }
    }
}

/// Returns a copy of a GET without a body. It may be sent twice, because it changes nothing.
fn repeatable(request: &Request<Upload>) -> Option<Request<()>> {
    let has_body = !http_body::Body::is_end_stream(request.body());
    if request.method() != Method::GET || has_body {
        return None;
    }
    let mut copy = Request::new(());
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Whether the server closed the connection before it responded, as it does with one that was idle for long.
fn is_closed(error: &HttpsError) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };

    let first: &(dyn StdError + 'static) = error;
    !error.is_not_sent()
        && successors(Some(first), |&error| error.source()).any(|error| {
            let is_incomplete = error
                .downcast_ref::<hyper::Error>()
                .is_some_and(|error| error.is_incomplete_message() || error.is_canceled());
            let kind = error.downcast_ref().map(io::Error::kind);
            is_incomplete
                || matches!(
                    kind,
                    Some(
                        BrokenPipe
                            | ConnectionAborted
                            | ConnectionReset
                            | NotConnected
                            | UnexpectedEof
                    )
                )
        })
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https(error) => error.fmt(f),
            Self::NoResponse => write!(
                f,
                "no response began within {HEAD_TIME:?}; what Notion did with the request is not known"
            ),
        }
    }
}

impl StdError for UpstreamError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Https(error) => error.source(),
            Self::NoResponse => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::Pin};

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::BodyExt as _;
    use tokio::time::{Sleep, sleep};
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// A body of so many pieces, each after a pause.
    struct Slow {
        pieces: usize,
        pause: Duration,
        sleep: Pin<Box<Sleep>>,
    }

    impl http_body::Body for Slow {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            if self.pieces == 0 {
                return Poll::Ready(None);
            }
            std::task::ready!(self.sleep.as_mut().poll(cx));
            self.pieces -= 1;
            self.sleep = Box::pin(sleep(self.pause));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn response_has_a_minute_from_the_end_of_the_upload() {
        for (pieces, pause, ended) in [(0, 0, 60), (1, 50, 110), (10, 50, 560), (2, 70, 130)] {
            // It reads the whole body and never responds.
            let client = service_fn(|request: Request<Noting<Upload>>| async {
                drop(request.into_body().collect().await);
                pending().await
            });
            let pause = Duration::from_secs(pause);
            let body = Body::new(Slow {
                pieces,
                pause,
                sleep: Box::pin(sleep(pause)),
            });
            // The first piece is read here.
            let body = BufferedBody::read(body, 0).await;
            let body = body.unwrap_or_else(|error| unreachable!("{error}"));
            let begun = Instant::now();
            let result = Upstream::of(client).oneshot(Request::new(body)).await;
            assert!(matches!(result, Err(UpstreamError::NoResponse)));
            let first = if pieces > 0 { pause.as_secs() } else { 0 };
            assert_eq!(begun.elapsed().as_secs() + first, ended, "{pieces}");
        }
    }
}
