//! Connections to Notion, through a proxy if the environment names one.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Request, Response, Uri, uri::Scheme};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            Client, Error,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use notion_auth::{BoxError, oauth::NotSent};
use tokio::net::TcpStream;
use tower::{Service, ServiceExt as _};

use crate::{
    in_time::{CONNECT_TIMEOUT, InTime},
    settings,
};

/// Between two questions whether a connection is alive.
const ALIVE: Duration = Duration::from_secs(20);

/// A Tower service for requests to Notion with the body `B`.
pub(crate) type HttpsClient<B> = Client<InTime<HttpsConnector<ViaProxy>>, B>;

/// A client for API calls.
pub(crate) fn api_client<B>(via: &ViaProxy) -> Result<HttpsClient<B>, BoxError>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(via.clone());
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        // All callers share a connection: one that died in silence would hold them all up.
        .http2_keep_alive_interval(ALIVE)
        .build(InTime(connector)))
}

/// What sends requests to the OAuth endpoints where there is a proxy: it repeats nothing, and has a new
/// connection for each, as `NotionAuthProviderBuilder::transport` asks for.
pub(crate) fn oauth_transport(
    via: &ViaProxy,
) -> Result<
    impl Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error = BoxError, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static,
    BoxError,
> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(via.clone());
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .retry_canceled_requests(false)
        .build(InTime(connector));
    Ok(client.map_err(|error: Error| -> BoxError {
        if error.is_connect() {
            NotSent::new(error).into()
        } else {
            error.into()
        }
    }))
}

/// TCP connections: by the proxy that `HTTPS_PROXY` names for what is https, unless `NO_PROXY` excepts it.
#[derive(Clone)]
pub(crate) struct ViaProxy {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

impl ViaProxy {
    /// Reads `HTTPS_PROXY` (or `https_proxy`, `ALL_PROXY`) and `NO_PROXY`. What is said of these
    /// destinations must be possible.
    pub(crate) fn from_env(destinations: &[Uri]) -> Result<Self, BoxError> {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        // It is shared out among the addresses of a name, so that a dead one does not use up all of it.
        direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let via = Self {
            direct,
            proxies: Arc::new(Matcher::from_env()),
        };
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let Some(proxy) = settings::text(name)? else {
                continue;
            };
            let anywhere = Uri::from_static("https://api.notion.com");
            if Matcher::builder()
                .https(proxy)
                .build()
                .intercept(&anywhere)
                .is_none()
            {
                return Err(
                    format!("{name}: it is no proxy: http://[USER:PASSWORD@]HOST:PORT").into(),
                );
            }
        }
        let mut proxies = destinations.iter().filter_map(|to| via.proxy(to));
        if proxies.any(|proxy| proxy.uri().scheme() != Some(&Scheme::HTTP)) {
            return Err(
                "HTTPS_PROXY: only a proxy that is itself spoken to in plain http works here: \
                 http://[USER:PASSWORD@]HOST:PORT"
                    .into(),
            );
        }
        drop(proxies);
        Ok(via)
    }

    /// The proxy on the way to that place.
    pub(crate) fn proxy(&self, destination: &Uri) -> Option<Intercept> {
        // Plain http is for this machine only.
        (destination.scheme() == Some(&Scheme::HTTPS))
            .then(|| self.proxies.intercept(destination))
            .flatten()
    }
}

impl Service<Uri> for ViaProxy {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let direct = self.direct.clone();
        let Some(proxy) = self.proxy(&destination) else {
            return Box::pin(async move { Ok(direct.oneshot(destination).await?) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        Box::pin(async move { Ok(tunnel.oneshot(destination).await?) })
    }
}
