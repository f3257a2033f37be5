use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::time::Instant;
use tower_service::Service;
use zeroize::Zeroizing;

use crate::error::{BoxError, causes};

/// Error by which a transport reports that no byte of a request was sent, so that it is safe to send it
/// again.
///
/// An error of `call` counts as not sent if it is a `NotSent` or has one among its sources. Errors of
/// `poll_ready` always count as not sent. With any other error, it is unknown whether the server processed
/// the request. Use `NotSent` only if you are certain.
#[derive(Debug, thiserror::Error)]
#[error("the request was not sent")]
pub struct NotSent(#[source] BoxError);

impl NotSent {
    /// Wraps an error that occurred before the first byte was sent.
    pub fn new(cause: impl Into<BoxError>) -> Self {
        Self(cause.into())
    }
}

/// Maximum size of a response body, both as received and decoded, in bytes.
pub(super) const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// A response whose body is still to be read.
pub(super) struct Incoming {
    status: StatusCode,
    headers: HeaderMap,
    body: UnsyncBoxBody<Bytes, BoxError>,
    sent_at: Instant,
}

/// A response, with as much of its body as was received.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// The reason why the body is incomplete.
    pub(super) cut: Option<Cut>,
}

/// The reason why the rest of a body is missing.
#[derive(Debug)]
pub(super) enum Cut {
    Broken(BoxError),
    TimedOut(ReadDeadline),
    TooLarge,
}

/// Deadline for a complete response body.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReadDeadline {
    /// This long after the request was sent.
    AfterRequest(Duration),
    /// This long after the response's head was received.
    AfterHead(Duration),
}

/// The reason why there is no response.
#[derive(Debug)]
pub(super) enum SendError {
    /// No byte of the request was sent.
    NotSent(BoxError),
    /// No response began within this time. It is unknown whether the server processed the request.
    TimedOut(Duration),
    /// The connection ended before a response began. It is unknown whether the server processed the
    /// request.
    Broken(BoxError),
}

/// A type-erased Tower service that sends requests to the OAuth endpoints.
#[derive(Clone)]
pub(crate) struct Transport(Arc<dyn Exchange>);

type Sending = Pin<Box<dyn Future<Output = Result<Response<ErasedBody>, SendError>> + Send>>;
type ErasedBody = UnsyncBoxBody<Bytes, BoxError>;

trait Exchange: Send + Sync {
    fn send(&self, request: Request<Full<Bytes>>) -> Sending;
}

impl Transport {
    pub(crate) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self(Arc::new(ServiceTransport(service)))
    }

    /// Sends the request and waits up to `deadline` for the head of the response.
    ///
    /// `gate` is checked as late as the transport allows. If the check fails, nothing is sent.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        deadline: Duration,
        gate: SendGate,
    ) -> Result<Incoming, SendError> {
        request.extensions_mut().insert(gate.clone());
        let sent_at = Instant::now();
        match tokio::time::timeout(deadline, self.0.send(request)).await {
            Ok(response) => {
                let (head, body) = response?.into_parts();
                Ok(Incoming {
                    status: head.status,
                    headers: head.headers,
                    body,
                    sent_at,
                })
            }
            Err(_) if gate.is_closed() => Err(SendError::NotSent(NotInTime(deadline).into())),
            Err(_) => Err(SendError::TimedOut(deadline)),
        }
    }
}

impl Incoming {
    /// Reads the body up to its end, [`BODY_LIMIT`] or the deadline.
    pub(super) async fn read(mut self, deadline: ReadDeadline) -> Answer {
        let left = match deadline {
            ReadDeadline::AfterRequest(limit) => limit.saturating_sub(self.sent_at.elapsed()),
            ReadDeadline::AfterHead(limit) => limit,
        };
        let mut read = Zeroizing::new(Vec::new());
        let reading = async {
            while let Some(frame) = self.body.frame().await {
                let Ok(data) = frame.map_err(Cut::Broken)?.into_data() else {
                    continue;
                };
                if !append(&mut read, &data) {
                    return Err(Cut::TooLarge);
                }
            }
            Ok(())
        };
        let cut = match tokio::time::timeout(left, reading).await {
            Ok(outcome) => outcome.err(),
            Err(_) => Some(Cut::TimedOut(deadline)),
        };
        Answer {
            status: self.status,
            headers: self.headers,
            body: read,
            cut,
        }
    }
}

/// Appends as much of `data` as [`BODY_LIMIT`] allows. Returns `false` if some was left out.
///
/// A growing vector would leave copies of the tokens in memory.
pub(super) fn append(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8]) -> bool {
    let data_that_fits = data.get(..BODY_LIMIT - bytes.len()).unwrap_or(data);
    let length = bytes.len() + data_that_fits.len();
    if length > bytes.capacity() {
        let capacity = length.max(bytes.capacity() * 2).min(BODY_LIMIT);
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(data_that_fits);
    data_that_fits.len() == data.len()
}

#[derive(Debug, thiserror::Error)]
#[error("the time limit of {0:?} passed before the request was sent")]
struct NotInTime(Duration);

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

struct ServiceTransport<S>(S);

impl<S, B> Exchange for ServiceTransport<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn send(&self, request: Request<Full<Bytes>>) -> Sending {
        let mut service = self.0.clone();
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx))
                .await
                .map_err(|error| SendError::NotSent(error.into()))?;
            if let Some(gate) = request.extensions().get::<SendGate>() {
                gate.hand_over().map_err(SendError::NotSent)?;
            }
            let response = service.call(request).await.map_err(|error| {
                let error = error.into();
                if says_not_sent(&*error) {
                    SendError::NotSent(error)
                } else {
                    SendError::Broken(error)
                }
            })?;
            Ok(response.map(|body| {
                body.map_frame(|frame| {
                    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
                })
                .map_err(Into::into)
                .boxed_unsync()
            }))
        })
    }
}

fn says_not_sent(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(<dyn StdError>::is::<NotSent>)
}

/// The pre-send check of a request.
///
/// It runs when the request is handed to the transport. A transport that connects first calls `hold`, and
/// runs the check again when the connection is open.
#[derive(Clone)]
pub(crate) struct SendGate(Arc<Gate>);

struct Gate {
    check: Box<dyn Fn() -> Result<(), BoxError> + Send + Sync>,
    refused: AtomicBool,
    passed: AtomicBool,
}

impl SendGate {
    pub(crate) fn new(check: impl Fn() -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Gate {
            check: Box::new(check),
            refused: AtomicBool::new(false),
            passed: AtomicBool::new(false),
        }))
    }

    pub(crate) fn open() -> Self {
        Self::new(|| Ok(()))
    }

    /// Runs the check. If it passes, the request counts as sent from now on.
    pub(super) fn hand_over(&self) -> Result<(), BoxError> {
        (self.0.check)().inspect_err(|_| self.0.refused.store(true, Ordering::Release))?;
        self.0.passed.store(true, Ordering::Release);
        Ok(())
    }

    /// Marks the request as not sent until the next check, because the transport still has to connect.
    #[cfg(feature = "https")]
    pub(super) fn hold(&self) {
        self.0.passed.store(false, Ordering::Release);
    }

    /// Returns whether the check kept the request from being sent.
    pub(crate) fn has_refused(&self) -> bool {
        self.0.refused.load(Ordering::Acquire)
    }

    fn is_closed(&self) -> bool {
        !self.0.passed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for SendGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendGate")
    }
}
