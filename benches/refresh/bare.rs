use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use notion_auth::testing::MockNotion;
use serde_json::{Value, json};

/// The same call as one would make it without this crate: by hyper's client, on a new connection, the
/// answer read and parsed.
#[derive(Clone)]
pub(crate) struct Bare {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    basic: HeaderValue,
}

impl Bare {
    pub(crate) fn of(mock: &MockNotion) -> Self {
        let pair = format!("{}:{}", mock.client_id(), mock.client_secret());
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let uri = format!("{}/v1/oauth/token", mock.base_url());
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build_http(),
            uri: uri.parse().expect("a URI"),
            basic: HeaderValue::from_str(&basic).expect("a header"),
        }
    }

    pub(crate) async fn refresh(self, token: String) {
        let response = self.client.request(self.request(&token)).await;
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
            .uri(self.uri.clone())
            .header(AUTHORIZATION, self.basic.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header("notion-version", "2026-03-11")
            .header(USER_AGENT, "bare/1.0")
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request")
    }
}
