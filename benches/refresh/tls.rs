//! `MockNotion` behind TLS.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use notion_auth::testing::MockNotion;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// A server with a certificate of its own authority.
pub(crate) struct TlsServer {
    pub(crate) origin: String,
    pub(crate) authority: CertificateDer<'static>,
}

impl TlsServer {
    /// Serves HTTP/1.1 on a free port until the runtime ends.
    pub(crate) async fn start(mock: &MockNotion) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let acceptor = acceptor(&authority, &address.ip().to_string());
        let service = TowerToHyperService::new(mock.service());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Otherwise the response waits for the acknowledgement of the session tickets.
                stream.set_nodelay(true).expect("an option of the socket");
                let (acceptor, service) = (acceptor.clone(), service.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.expect("a handshake");
                    // A client that closes its connection early is noticed by the client's own checks.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            origin: format!("https://{address}"),
            authority: authority.der().clone(),
        }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn acceptor(authority: &CertifiedIssuer<'_, KeyPair>, name: &str) -> TlsAcceptor {
    let key = key();
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    TlsAcceptor::from(Arc::new(config.expect("a certificate and its key")))
}
