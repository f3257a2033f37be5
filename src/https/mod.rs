//! The built-in HTTPS client for API calls, and the connection code it shares with the built-in OAuth
//! transport.

mod config;
mod connect;
mod error;
mod proxy;
mod roots;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Request, Response, Uri, header::USER_AGENT};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, ResponseFuture},
    rt::{TokioExecutor, TokioTimer},
};
use pin_project_lite::pin_project;
use tower_service::Service;

pub use self::{config::HttpsConfig, error::HttpsError};
pub(crate) use self::{
    connect::Connector,
    error::{ConnectError, connect_error},
};
use crate::error::{AuthError, BoxError};

/// How long an idle connection is kept. Shorter than the idle timeout of common middleboxes.
const IDLE: Duration = Duration::from_secs(60);

/// Interval of HTTP/2 pings, and the time limit for their acknowledgement.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

pub(crate) const OWN_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("notion-auth/", env!("CARGO_PKG_VERSION")));

/// Creates an HTTPS client for API calls: hyper with rustls, HTTP/1.1 and HTTP/2, pooled connections.
///
/// Trusted certificates and the proxy are read from the environment, see [`HttpsConfig`]. A variable that
/// cannot be used is an error of the first request that needs it, and of
/// [`NotionAuthProvider::health`](crate::NotionAuthProvider::health).
///
/// - It sends `User-Agent: notion-auth/VERSION` unless the request has its own, because Notion refuses
///   requests without one.
/// - It follows no redirects.
/// - Connecting takes at most 5 seconds. A dead connection is detected within 30 seconds, by HTTP/2 pings
///   and TCP keep-alive. There is no time limit for responses: add a timeout around the client.
/// - It also supports plain http, for a server on this machine. The layer around the client decides whether
///   a token may be sent there.
#[must_use]
pub fn https_client<B>() -> HttpsClient<B>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    HttpsConfig::from_env().client()
}

impl HttpsConfig {
    /// Checks the settings that connections to `destination` need, without connecting. Blocks while root
    /// certificates are read, for at most 5 seconds.
    ///
    /// [`NotionAuthProvider::health`](crate::NotionAuthProvider::health) does this for Notion's API.
    ///
    /// # Errors
    /// If an environment variable cannot be used. The error's source names it. Plain http and a URI without
    /// a host need no settings.
    pub fn check(&self, destination: &Uri) -> Result<(), AuthError> {
        let checked = Connector::new(self, &[]).check(destination);
        checked.map_err(ConnectError::into_auth_error)
    }

    /// Creates a client for API calls, see [`https_client`].
    #[must_use]
    pub fn client<B>(&self) -> HttpsClient<B>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let protocols: &[&[u8]] = match self.http1_only {
            true => &[b"http/1.1"],
            false => &[b"h2", b"http/1.1"],
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PONG)
            // A connection that dies while idle is removed before the next request uses it.
            .http2_keep_alive_while_idle(true)
            .build(Connector::new(self, protocols));
        HttpsClient(client)
    }
}

/// HTTPS client for API calls: a Tower service for requests with body `B`.
///
/// Created by [`https_client`] or [`HttpsConfig::client`]. Clones share their connections.
pub struct HttpsClient<B>(Client<Connector, B>);

impl<B> Service<Request<B>> for HttpsClient<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Incoming>;
    type Error = HttpsError;
    type Future = HttpsFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpsError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> HttpsFuture {
        request
            .headers_mut()
            .entry(USER_AGENT)
            .or_insert(OWN_USER_AGENT);
        HttpsFuture {
            response: self.0.request(request),
        }
    }
}

impl<B> Clone for HttpsClient<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> fmt::Debug for HttpsClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsClient")
    }
}

pin_project! {
    /// Response future of [`HttpsClient`].
    pub struct HttpsFuture {
        #[pin]
        response: ResponseFuture,
    }
}

impl Future for HttpsFuture {
    type Output = Result<Response<Incoming>, HttpsError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().response.poll(context));
        Poll::Ready(response.map_err(HttpsError::new))
    }
}

impl fmt::Debug for HttpsFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsFuture")
    }
}
