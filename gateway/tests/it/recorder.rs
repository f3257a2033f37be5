//! A server in Notion's place that records what it receives.

use std::future::IntoFuture as _;

use axum::{Router, body::Body, extract::Request, response::Response};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::program::Gateway;

pub(super) struct Received {
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

/// Starts a gateway in front of a server that responds to all requests by this function.
pub(super) async fn in_front_of(
    respond: fn() -> Response,
    settings: &[(&str, &str)],
) -> (Gateway, UnboundedReceiver<Received>) {
    let (sender, received) = unbounded_channel();
    let record = async move |request: Request<Body>| {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a whole body");
        let trailers = body.trailers().cloned();
        let _ = sender.send(Received {
            target: head.uri.to_string(),
            headers: head.headers,
            body: body.to_bytes().to_vec(),
            trailers,
        });
        respond()
    };
    let gateway = gateway_to(Router::new().fallback(record), settings).await;
    (gateway, received)
}

/// Starts a gateway in front of that router, with one token for all keys.
pub(super) async fn gateway_to(router: Router, settings: &[(&str, &str)]) -> Gateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, router).into_future());
    gateway_of(&url, settings).await
}

/// Starts a gateway in front of the server with that URL, with one token for all keys.
pub(super) async fn gateway_of(url: &str, settings: &[(&str, &str)]) -> Gateway {
    let mut all = vec![
        ("NOTION_API_URL", url),
        ("NOTION_CLIENT_ID", ""),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_TOKEN", "ntn_of_the_integration"),
    ];
    all.extend(settings);
    Gateway::start_with(&all).await
}
