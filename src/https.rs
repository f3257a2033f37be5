//! The connections of the feature `https`.

use http_body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsProtocols1};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::error::BoxError;

/// What [`https_client`] makes: a Tower service for requests with the body `B`.
pub type HttpsClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// A client for API calls: hyper with rustls, HTTP/1.1 and HTTP/2, pooled connections, the web's
/// root certificates built in.
///
/// It follows no redirects. It also speaks plain http, for a server on this machine; whether a
/// token may go there is for the layer around it to say.
#[must_use]
pub fn https_client<B>() -> HttpsClient<B>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    Client::builder(TokioExecutor::new()).build(connector().enable_http1().enable_http2().build())
}

/// ring is named here, so that an application's own choice of a default provider does not matter.
#[expect(
    clippy::expect_used,
    reason = "ring offers the cipher suites of rustls's default versions"
)]
pub(crate) fn connector() -> HttpsConnectorBuilder<WantsProtocols1> {
    HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .expect("ring speaks TLS 1.2 and 1.3")
        .https_or_http()
}
