//! Opens a connection: TCP, the proxy's tunnel, TLS.

use std::{
    error::Error as StdError,
    future::{Future, ready},
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{
        Connection, HttpConnector,
        proxy::{SocksV5, Tunnel},
    },
    rt::TokioIo,
};
use rustls::{ClientConfig, crypto::ring, pki_types::CertificateDer};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tower::{ServiceExt as _, service_fn};
use tower_service::Service;

use super::{
    config::HttpsConfig,
    error::ConnectError,
    proxy::{Kind, Proxies, Proxy},
    roots::SharedRoots,
};
use crate::{
    error::BoxError,
    tls::{Roots, RootsError},
};

/// Time limit for root certificates, TCP, the proxy's tunnel and TLS together. It is shorter than the time
/// limit of an OAuth call, so that a failure to connect is known as "not sent".
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which a connection without acknowledgements is closed, even if the peer is down and sends no
/// RST.
const SILENCE: Duration = Duration::from_secs(30);

/// A TCP connection, or TLS to a proxy.
type Hop = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to destinations, through the proxy that the configuration selects.
///
/// Clones share the TLS configuration and its sessions.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Shared>);

struct Shared {
    tcp: HttpConnector,
    proxies: Proxies,
    roots: Arc<SharedRoots>,
    added_roots: Vec<CertificateDer<'static>>,
    protocols: &'static [&'static [u8]],
    /// Set once the root certificates were read.
    tls: OnceLock<Tls>,
}

#[derive(Clone)]
struct Tls {
    to_destination: Arc<ClientConfig>,
    to_proxy: Arc<ClientConfig>,
}

impl Connector {
    /// Creates a connector that offers `protocols` (ALPN names) to the destination.
    pub(crate) fn new(config: &HttpsConfig, protocols: &'static [&'static [u8]]) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // The timeout is divided among the addresses of a name, so that an unreachable one does not use up
        // all of it.
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(SILENCE / 2));
        tcp.set_keepalive_interval(Some(SILENCE / 6));
        tcp.set_keepalive_retries(Some(3));
        // Keep-alive probes are not sent while data is unacknowledged.
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(SILENCE));
        Self(Arc::new(Shared {
            tcp,
            proxies: config.proxies.clone(),
            roots: Arc::clone(&config.roots),
            added_roots: config.added_roots.clone(),
            protocols,
            tls: OnceLock::new(),
        }))
    }

    /// Checks the settings that a connection to `destination` needs. Blocks while files are read, for at
    /// most [`CONNECT_TIMEOUT`].
    pub(crate) fn check(&self, destination: &Uri) -> Result<(), ConnectError> {
        self.0
            .proxies
            .to(destination)
            .map_err(ConnectError::proxy)?;
        if is_https(destination) {
            self.0.tls_blocking()?;
        }
        Ok(())
    }

    async fn connect(self, destination: Uri) -> Result<MaybeHttpsStream<Hop>, ConnectError> {
        let proxy = self.0.proxies.to(&destination);
        let proxy = proxy.map_err(ConnectError::proxy)?;
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        // Proxies are used for https only.
        let tls = match is_https(&destination) {
            true => Some(self.0.tls(deadline).await?),
            false => None,
        };
        let connecting = self.0.connect(&destination, proxy.as_ref(), tls);
        match timeout_at(deadline, connecting).await {
            Ok(connected) => connected,
            Err(_) => {
                let error = io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {CONNECT_TIMEOUT:?}"),
                );
                Err(unreached(&destination, proxy.as_ref(), &error))
            }
        }
    }
}

impl Shared {
    async fn tls(&self, deadline: Instant) -> Result<Tls, ConnectError> {
        match self.tls.get() {
            Some(tls) => Ok(tls.clone()),
            None => self.trust(self.roots.get(deadline, CONNECT_TIMEOUT).await),
        }
    }

    fn tls_blocking(&self) -> Result<Tls, ConnectError> {
        match self.tls.get() {
            Some(tls) => Ok(tls.clone()),
            None => self.trust(self.roots.get_blocking(CONNECT_TIMEOUT)),
        }
    }

    fn trust(&self, roots: Result<Roots, RootsError>) -> Result<Tls, ConnectError> {
        // Another connection that waited for the roots may have been first.
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let mut roots = roots.map_err(ConnectError::roots)?;
        roots.extend(&self.added_roots);
        // ring is selected explicitly, so that an application's default provider does not matter.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(ConnectError::roots)?
            .with_root_certificates(roots.to_store())
            .with_no_client_auth();
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
            Arc::new(config)
        };
        let tls = Tls {
            to_destination: offering(self.protocols),
            to_proxy: offering(&[b"http/1.1"]),
        };
        Ok(self.tls.get_or_init(|| tls).clone())
    }

    async fn connect(
        &self,
        destination: &Uri,
        proxy: Option<&Proxy>,
        tls: Option<Tls>,
    ) -> Result<MaybeHttpsStream<Hop>, ConnectError> {
        let unreached = |error: &(dyn StdError + 'static)| unreached(destination, proxy, error);
        let Some(Tls {
            to_destination,
            to_proxy,
        }) = tls
        else {
            let tcp = self.tcp.clone().oneshot(destination.clone()).await;
            let tcp = tcp.map_err(|error| unreached(&error))?;
            return Ok(MaybeHttpsStream::Http(MaybeHttpsStream::Http(tcp)));
        };
        let next = proxy.map_or(destination, Proxy::uri);
        let tcp = self.tcp.clone().oneshot(next.clone()).await;
        let tcp = tcp.map_err(|error| unreached(&error))?;
        let hop = match proxy {
            None => MaybeHttpsStream::Http(tcp),
            Some(proxy) => {
                let hop = match is_https(proxy.uri()) {
                    true => encrypt(tcp, proxy.uri(), to_proxy, None).await?,
                    false => MaybeHttpsStream::Http(tcp),
                };
                let tunnel = open_tunnel(hop, proxy, destination).await;
                tunnel.map_err(|error| unreached(&*error))?
            }
        };
        encrypt(hop, destination, to_destination, proxy).await
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Hop>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        Box::pin(self.clone().connect(destination))
    }
}

async fn encrypt<S>(
    stream: S,
    to: &Uri,
    config: Arc<ClientConfig>,
    proxy: Option<&Proxy>,
) -> Result<MaybeHttpsStream<S>, ConnectError>
where
    S: Connection + Read + Write + Unpin + Send + 'static,
{
    let encrypted = HttpsConnector::from((connected(stream), config)).oneshot(to.clone());
    encrypted
        .await
        .map_err(|error| ConnectError::of_tls(&name(to), &way(proxy), &*error))
}

async fn open_tunnel(hop: Hop, proxy: &Proxy, destination: &Uri) -> Result<Hop, BoxError> {
    let (to, hop) = (proxy.uri().clone(), connected(hop));
    match proxy.kind {
        Kind::Tunnel => {
            let mut tunnel = Tunnel::new(to, hop);
            if let Some(auth) = proxy.way.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            Ok(tunnel.oneshot(destination.clone()).await?)
        }
        Kind::Socks5 => {
            let mut tunnel = SocksV5::new(to, hop);
            if let Some((user, password)) = proxy.way.raw_auth() {
                tunnel = tunnel.with_auth(user.to_owned(), password.to_owned());
            }
            Ok(tunnel.oneshot(destination.clone()).await?)
        }
    }
}

/// A connector that returns an existing connection. It lets each step report its own errors.
fn connected<S: Send + 'static>(
    stream: S,
) -> impl Service<Uri, Response = S, Error = io::Error, Future: Send> {
    let mut stream = Some(stream);
    service_fn(move |_| ready(stream.take().ok_or(io::ErrorKind::NotConnected.into())))
}

fn unreached(
    destination: &Uri,
    proxy: Option<&Proxy>,
    error: &(dyn StdError + 'static),
) -> ConnectError {
    ConnectError::unreached(&name(destination), &way(proxy), error)
}

fn way(proxy: Option<&Proxy>) -> String {
    proxy.map_or_else(String::new, |proxy| {
        // The URI has no user name and no password.
        let place = proxy.uri().to_string();
        let place = place.trim_end_matches('/');
        format!(" through the proxy {place} ({})", proxy.variable)
    })
}

fn name(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    uri.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}
