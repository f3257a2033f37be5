//! A TLS server that records its requests.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring},
};

use super::authority::Identity;

pub(super) const H1: &str = "http/1.1";
pub(super) const H2: &str = "h2";

pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
}

impl Server {
    pub(super) async fn start(identity: Identity, protocols: &[&str]) -> Self {
        let acceptor = acceptor(identity, protocols);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let keeps = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, keeps) = (acceptor.clone(), Arc::clone(&keeps));
                tokio::spawn(async move {
                    // A client that does not trust the server closes the connection.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let answer = service_fn(move |request: Request<Incoming>| {
                        keeps.lock().expect("nobody panicked").push(Seen {
                            version: request.version(),
                            headers: request.headers().clone(),
                        });
                        let response = Response::builder()
                            .header(CONTENT_TYPE, "application/json")
                            .body(Full::new(Bytes::from_static(b"{}")));
                        async { Ok::<_, Infallible>(response.expect("a response")) }
                    });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        Self { address, seen }
    }

    /// Returns a URL with the server's address, which is on this machine.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns a URL with a name.
    pub(super) fn url_as(&self, name: &str) -> String {
        format!("https://{name}:{}", self.address.port())
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}

pub(super) fn acceptor(identity: Identity, protocols: &[&str]) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS")
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], identity.key);
    let mut config = config.expect("a certificate and its key");
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
