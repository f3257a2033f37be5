use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use tower::ServiceExt;
use tower_service::Service;

use super::transport::{NotSent, SendGate};
use crate::{
    error::BoxError,
    https::{Connector, HttpsConfig},
};

/// The built-in transport of OAuth calls, which opens a new connection for each request.
///
/// Connections are not pooled: an idle connection may turn out to be closed only after the request was
/// written, and then it is unknown whether a token was spent. Connecting is a separate step, so that every
/// failure in it is known as "not sent".
#[derive(Clone)]
pub(crate) struct HttpsTransport {
    connector: Connector,
}

impl HttpsTransport {
    /// Returns a connector that offers HTTP/1.1 only, as this transport requires.
    pub(crate) fn connector(config: &HttpsConfig) -> Connector {
        Connector::new(config, &[b"http/1.1"])
    }

    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector }
    }
}

impl Service<Request<Full<Bytes>>> for HttpsTransport {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let gate = request.extensions().get::<SendGate>().cloned();
        if let Some(gate) = &gate {
            gate.hold();
        }
        Box::pin(send(self.connector.clone(), request, gate))
    }
}

async fn send(
    connector: Connector,
    request: Request<Full<Bytes>>,
    gate: Option<SendGate>,
) -> Result<Response<Incoming>, BoxError> {
    let (request, target) = to_origin_form(request)?;
    let io = connector.oneshot(target).await.map_err(NotSent::new)?;
    let (mut sender, connection) = lenient().handshake(io).await.map_err(NotSent::new)?;
    // The task ends when the response was read, or when the caller dropped the exchange.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to the OAuth endpoint ended with an error");
        }
    });
    sender.ready().await.map_err(NotSent::new)?;
    if let Some(gate) = gate {
        gate.hand_over().map_err(NotSent::new)?;
    }
    sender
        .try_send_request(request)
        .await
        .map_err(|mut error| match error.take_message() {
            Some(_) => NotSent::new(error.into_error()).into(),
            None => error.into_error().into(),
        })
}

/// Accepts what other HTTP clients accept, because a response that cannot be parsed may hold the only copy
/// of a rotated refresh token.
fn lenient() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(1_000)
        .max_buf_size(1024 * 1024);
    builder
}

/// Converts a request to origin form: the path as target, and the authority as `Host`.
fn to_origin_form(request: Request<Full<Bytes>>) -> Result<(Request<Full<Bytes>>, Uri), BoxError> {
    let (mut head, body) = request.into_parts();
    let target = head.uri;
    let authority = target
        .authority()
        .ok_or_else(|| NotSent::new("the URL has no host"))?;
    head.headers.insert(
        HOST,
        HeaderValue::from_str(authority.as_str()).map_err(NotSent::new)?,
    );
    head.uri = match target.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    };
    Ok((Request::from_parts(head, body), target))
}
