//! The built-in client for API calls, and what it shares with the built-in OAuth transport: how
//! connections are made, whom they trust, and which proxy they use.

mod connect;
mod error;
mod proxy;
mod roots;

use std::{
    env,
    ffi::OsString,
    fmt,
    pin::Pin,
    sync::Arc,
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
use rustls::pki_types::CertificateDer;
use tower_service::Service;

pub use self::error::HttpsError;
pub(crate) use self::{
    connect::Connector,
    error::{ConnectError, connect_error},
};
use self::{proxy::Proxies, roots::SharedRoots};
use crate::{
    error::{AuthError, BoxError},
    tls::{self, RootPaths},
};

/// How long an idle connection is kept. Less than middleboxes remember one that is silent.
const IDLE: Duration = Duration::from_secs(60);

/// How often an HTTP/2 connection is asked for a sign of life, and how long that may take.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

pub(crate) const OWN_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("notion-auth/", env!("CARGO_PKG_VERSION")));

/// A client for API calls: hyper with rustls, HTTP/1.1 and HTTP/2, pooled connections.
///
/// [`HttpsConfig`] says which certificates it trusts and which proxy it uses; this function takes both
/// from the environment. A variable that can't be used is an error of the first request that needs it,
/// and of [`NotionAuthProvider::health`](crate::NotionAuthProvider::health).
///
/// - It sends `User-Agent: notion-auth/VERSION` unless the request has its own, because Notion refuses
///   requests without one.
/// - It follows no redirects.
/// - Connecting takes at most 5 seconds. A dead connection is noticed within 30 seconds, by HTTP/2
///   pings and by TCP keep-alive. A response itself may take any time: put a timeout around the client.
/// - It also speaks plain http, for a server on this machine. Whether a token may go there is decided by
///   the layer around the client.
#[must_use]
pub fn https_client<B>() -> HttpsClient<B>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    HttpsConfig::from_env().client()
}

/// Root certificates and proxies of the built-in client and OAuth transport.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use notion_auth::{HttpsConfig, NotionAuthLayer, NotionAuthProvider};
/// use tower::Layer;
///
/// # fn example(
/// #     app: notion_auth::NotionAppCredentials,
/// #     pem: Vec<u8>,
/// # ) -> Result<(), notion_auth::BoxError> {
/// let https = HttpsConfig::from_env().add_root_certificate(pem)?;
/// let provider = NotionAuthProvider::builder()
///     .app(app)
///     .https(https.clone())
///     .build()?;
/// let client = NotionAuthLayer::refreshing(provider).layer(https.client::<Full<Bytes>>());
/// # Ok(()) }
/// ```
///
/// # Root certificates
///
/// The platform's: the system's bundle on Linux, the keychain on macOS, the certificate store on
/// Windows. `SSL_CERT_FILE` (a file of certificates in PEM) and `SSL_CERT_DIR` (directories of such
/// files) take their place. Certificates bundled with this crate (Mozilla's) serve only where neither
/// variable is set and the platform has none.
///
/// Certificates are read when they are first needed, once for a configuration and its clones. Reading
/// counts towards the 5 seconds of connecting.
///
/// # Proxies
///
/// | variable | |
/// |---|---|
/// | `HTTPS_PROXY`, else `ALL_PROXY` | `http://[USER:PASSWORD@]HOST:PORT`, or with `https://` (TLS to the proxy) or `socks5://`. `socks5h://` and `socks://` mean the same: the proxy resolves names. Without a scheme, it is `http://` |
/// | `NO_PROXY` | destinations without a proxy, separated by commas or blanks: names (with all names below them; `.name` and `*.name` mean the same), addresses, networks such as `10.0.0.0/8`, or `*`; with `:PORT`, for that port alone. An entry that is none of these is ignored, without an error: the destination is reached through the proxy |
///
/// Names in lower case count as well, after those in upper case. A blank variable counts as unset.
/// Destinations on this machine (`localhost`, 127.0.0.0/8, `[::1]`, `0.0.0.0`, `[::]`) and plain http are never proxied. The
/// proxy sees the destination's name and no request.
#[derive(Clone)]
#[must_use = "a configuration does nothing until a client is made from it"]
pub struct HttpsConfig {
    roots: Arc<SharedRoots>,
    added_roots: Vec<CertificateDer<'static>>,
    proxies: Proxies,
}

impl HttpsConfig {
    /// Reads the variables of this process.
    pub fn from_env() -> Self {
        Self::from_vars(|name| env::var_os(name))
    }

    /// Reads the variables that `get` finds, instead of those of this process. It is called here and not
    /// later; the files that they name are read when they are needed.
    pub fn from_vars(get: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            roots: Arc::new(SharedRoots::new(RootPaths::from_vars(&get))),
            added_roots: Vec::new(),
            proxies: Proxies::from_vars(&get),
        }
    }

    /// Trusts this root certificate as well: one in DER, or any number of them in PEM.
    ///
    /// # Errors
    /// When there is no certificate in it, or one that is damaged. (In `SSL_CERT_FILE`, a damaged one beside
    /// good ones is left out.)
    pub fn add_root_certificate(
        mut self,
        certificate: impl AsRef<[u8]>,
    ) -> Result<Self, AuthError> {
        let mut roots = tls::parse(certificate.as_ref()).ok_or_else(|| {
            AuthError::configuration(
                "add_root_certificate: expected root certificates in PEM, none of them damaged, or one in DER",
            )
        })?;
        self.added_roots.append(&mut roots);
        Ok(self)
    }

    /// Checks the settings that connections to `destination` need, without making one. It blocks
    /// while the files of root certificates are read, for 5 seconds at most.
    ///
    /// [`NotionAuthProvider::health`](crate::NotionAuthProvider::health) does it for Notion.
    ///
    /// # Errors
    /// When a variable can't be used. The source of the error names it. Plain http and a URI without a
    /// host need no settings.
    pub fn check(&self, destination: &Uri) -> Result<(), AuthError> {
        let checked = Connector::new(self, &[]).check(destination);
        checked.map_err(ConnectError::into_auth_error)
    }

    /// Makes a client for API calls.
    #[must_use]
    pub fn client<B>(&self) -> HttpsClient<B>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PONG)
            // A connection that died while it was idle is gone before the next request takes it.
            .http2_keep_alive_while_idle(true)
            .build(Connector::new(self, &[b"h2", b"http/1.1"]));
        HttpsClient(client)
    }
}

impl Default for HttpsConfig {
    fn default() -> Self {
        Self::from_env()
    }
}

impl fmt::Debug for HttpsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the proxies: their passwords are in them.
        f.debug_struct("HttpsConfig")
            .field("root_paths", self.roots.paths())
            .field("added_roots", &self.added_roots.len())
            .finish_non_exhaustive()
    }
}

/// Tower service that sends requests with the body `B`, made by [`https_client`] or
/// [`HttpsConfig::client`].
///
/// Clones share their connections.
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
