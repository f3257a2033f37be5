//! Runs `notion-client` over TLS on loopback, against the mock Notion server, while a token is rotated.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails there"
)]

use std::{net::SocketAddr, sync::Arc};

use notion_auth::{Subject, testing::MockNotion};
use notion_auth_sdks::bot_by_notion_client;
use rcgen::{CertificateParams, KeyPair};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

const HOST: &str = "api.notion.com";

/// Serves TLS as `api.notion.com` in front of this server. Returns its address and its certificate in PEM.
async fn serve_tls(server: String) -> (SocketAddr, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([HOST.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await.unwrap();
                let mut inside = TcpStream::connect(server).await.unwrap();
                // A client may end a connection without notice.
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (address, certificate.pem())
}

#[tokio::test]
async fn notion_client_call_is_repeated_with_the_new_token_after_a_401() {
    let notion = MockNotion::start().await.unwrap();
    let provider = notion.provider_builder().unwrap().build().unwrap();
    let ann = Subject::new("ann");
    let credentials = notion.connect();
    let stored = provider.store_credentials(&ann, credentials.clone());
    stored.await.unwrap();
    let (address, pem) = serve_tls(notion.base_url().replace("http://", "")).await;
    let http = move || {
        let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        reqwest::Client::builder()
            .no_proxy()
            .resolve(HOST, address)
            .tls_certs_only([root])
    };

    notion.revoke_access_token(credentials.access_token.expose());
    let bot = bot_by_notion_client(&provider, &ann, http).await.unwrap();
    assert_eq!(Some(&*bot.id), credentials.bot_id());
    assert_eq!(notion.ledger().refreshes().len(), 1);
    assert_eq!(notion.ledger().api_calls().len(), 2);
}
