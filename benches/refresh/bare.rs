use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use notion_auth::testing::MockNotion;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// The same call with nothing around it: a new connection, the request, the answer read and parsed.
#[derive(Clone)]
pub(crate) struct Bare {
    address: SocketAddr,
    host: HeaderValue,
    basic: HeaderValue,
}

impl Bare {
    pub(crate) fn of(mock: &MockNotion) -> Self {
        let url = mock.base_url();
        let host = url.strip_prefix("http://").expect("a plain URL");
        let pair = format!("{}:{}", mock.client_id(), mock.client_secret());
        let basic = format!("Basic {}", STANDARD.encode(pair));
        Self {
            address: host.parse().expect("an address"),
            host: HeaderValue::from_str(host).expect("a header"),
            basic: HeaderValue::from_str(&basic).expect("a header"),
        }
    }

    pub(crate) async fn refresh(self, token: String) {
        let stream = TcpStream::connect(self.address)
            .await
            .expect("a connection");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("a handshake");
        tokio::spawn(connection);
        let response = sender.send_request(self.request(&token)).await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.expect("a body");
        let answer: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        assert!(answer["access_token"].is_string());
    }

    fn request(&self, token: &str) -> Request<Full<Bytes>> {
        let body = json!({"grant_type": "refresh_token", "refresh_token": token});
        Request::builder()
            .method(Method::POST)
            .uri("/v1/oauth/token")
            .header(HOST, self.host.clone())
            .header(AUTHORIZATION, self.basic.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header("notion-version", "2026-03-11")
            .header(USER_AGENT, "bare/1.0")
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request")
    }
}
