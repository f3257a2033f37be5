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

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use tower_service::Service;

use crate::error::{BoxError, causes};

/// The error by which a transport says that a request was not sent: no byte of it left this machine,
/// so nothing was spent and it is safe to try again.
///
/// A transport's error counts as this when it is, or has among its sources, a `NotSent`; so does an
/// error of `poll_ready`. Any other error, once the request was handed over, leaves open what the
/// server did with it. When in doubt, do not say it.
#[derive(Debug, thiserror::Error)]
#[error("the request was not sent")]
pub struct NotSent(#[source] BoxError);

impl NotSent {
    /// Says that `cause` came before the first byte.
    pub fn new(cause: impl Into<BoxError>) -> Self {
        Self(cause.into())
    }
}

/// The most that is read of an answer, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// An answer, read whole.
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum SendError {
    /// No byte of the request left us.
    NotSent(BoxError),
    /// What the server did is not known.
    Lost(BoxError),
}

/// Any Tower service that sends requests to the OAuth endpoints, without its type.
#[derive(Clone)]
pub(crate) struct Transport(Arc<dyn Exchange>);

trait Exchange: Send + Sync {
    fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, SendError>> + Send>>;
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

    /// Sends the request and reads the answer, all within `deadline`.
    ///
    /// `gate` is asked as late as the transport allows, and not passed if the answer is no.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        deadline: Duration,
        gate: SendGate,
    ) -> Result<Answer, SendError> {
        request.extensions_mut().insert(gate.clone());
        match tokio::time::timeout(deadline, self.0.send(request)).await {
            Ok(outcome) => outcome,
            Err(elapsed) if gate.is_closed() => Err(SendError::NotSent(elapsed.into())),
            Err(elapsed) => Err(SendError::Lost(elapsed.into())),
        }
    }
}

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
    fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, SendError>> + Send>> {
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
                    SendError::Lost(error)
                }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT)
                .collect()
                .await
                .map_err(SendError::Lost)?
                .to_bytes();
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
            })
        })
    }
}

fn says_not_sent(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(<dyn StdError>::is::<NotSent>)
}

/// A request's last checkpoint before its first byte.
///
/// It is passed when the request is handed to the transport; a transport that connects first takes
/// it back (`hold`) and passes it when it is connected.
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

    /// Checks, and from here on the request counts as sent.
    pub(super) fn hand_over(&self) -> Result<(), BoxError> {
        (self.0.check)().inspect_err(|_| self.0.refused.store(true, Ordering::Release))?;
        self.0.passed.store(true, Ordering::Release);
        Ok(())
    }

    /// The transport goes on to connect: the request is not sent before the next `hand_over`.
    #[cfg(feature = "https")]
    pub(super) fn hold(&self) {
        self.0.passed.store(false, Ordering::Release);
    }

    /// Whether a request was held back by the check.
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
