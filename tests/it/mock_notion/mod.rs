//! `MockNotion`, on a socket and in process.

mod api;
mod consent;
mod faults;
mod ledger;
mod refreshes;
mod revoked;
mod server;
mod token_endpoint;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use notion_auth::{
    header::NOTION_VERSION,
    testing::notion::{Grant, MockNotion},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tower::ServiceExt;

/// How a call is sent to the mock server.
#[derive(Clone, Copy, Debug)]
enum Via {
    Socket,
    Process,
}

const BOTH: [Via; 2] = [Via::Socket, Via::Process];

/// The reason why there is no complete response.
#[derive(Debug)]
enum Broken {
    NoAnswer,
    InTheBody(StatusCode),
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    json: Value,
}

impl Answer {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self
    }

    #[track_caller]
    fn is_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        if self.json.get("error").is_some() {
            assert_eq!(self.json["error"], code, "{self:?}");
        } else {
            assert_eq!(self.json["code"], code, "{self:?}");
            assert_eq!(self.json["object"], "error", "{self:?}");
            assert_eq!(self.json["status"], status, "{self:?}");
        }
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap()
    }

    #[track_caller]
    fn access_token(&self) -> &str {
        self.text("access_token")
    }

    #[track_caller]
    fn refresh_token(&self) -> &str {
        self.text("refresh_token")
    }

    #[track_caller]
    fn location(&self) -> &str {
        self.headers[LOCATION].to_str().unwrap()
    }
}

/// Creates an in-process mock server with a connection.
fn granted() -> (MockNotion, Grant) {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    (notion, grant)
}

fn refresh_token(grant: &Grant) -> &str {
    grant.refresh_token().unwrap()
}

fn basic(notion: &MockNotion) -> String {
    let pair = format!("{}:{}", notion.client_id(), notion.client_secret());
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");
const VERSION: (HeaderName, &str) = (NOTION_VERSION, "2026-03-11");

fn request(
    method: &str,
    path: &str,
    headers: &[(HeaderName, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

fn post_request(notion: &MockNotion, path: &str, body: &Value) -> Request<Full<Bytes>> {
    let headers = [(AUTHORIZATION, &*basic(notion)), JSON, VERSION];
    request("POST", path, &headers, body.to_string())
}

fn refresh_request(notion: &MockNotion, token: &str) -> Request<Full<Bytes>> {
    let body = json!({ "grant_type": "refresh_token", "refresh_token": token });
    post_request(notion, "/v1/oauth/token", &body)
}

fn me_request(token: &str) -> Request<Full<Bytes>> {
    let bearer = format!("Bearer {token}");
    let headers = [(AUTHORIZATION, &*bearer), VERSION];
    request("GET", "/v1/users/me", &headers, "")
}

async fn post(notion: &MockNotion, path: &str, body: &Value) -> Answer {
    call(notion, post_request(notion, path, body)).await
}

async fn refresh(notion: &MockNotion, token: &str) -> Answer {
    call(notion, refresh_request(notion, token)).await
}

async fn exchange(notion: &MockNotion, code: &str, redirect_uri: Option<&str>) -> Answer {
    let mut body = json!({ "grant_type": "authorization_code", "code": code });
    if let Some(uri) = redirect_uri {
        body["redirect_uri"] = uri.into();
    }
    post(notion, "/v1/oauth/token", &body).await
}

async fn me(notion: &MockNotion, token: &str) -> Answer {
    call(notion, me_request(token)).await
}

/// Asserts that the API refuses the access token.
async fn is_unauthorized(notion: &MockNotion, access_token: &str) {
    me(notion, access_token).await.is_error(401, "unauthorized");
}

/// Asserts that a refresh is refused.
async fn is_invalid_grant(notion: &MockNotion, refresh_token: &str) {
    refresh(notion, refresh_token)
        .await
        .is_error(400, "invalid_grant");
}

async fn api(notion: &MockNotion, grant: &Grant, method: &str, path: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {}", grant.access_token());
    let headers = [(AUTHORIZATION, &*bearer), JSON, VERSION];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(notion, request(method, path, &headers, body)).await
}

async fn call(notion: &MockNotion, request: Request<Full<Bytes>>) -> Answer {
    send(notion, Via::Process, request).await.unwrap()
}

async fn send(
    notion: &MockNotion,
    via: Via,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Broken> {
    match via {
        Via::Process => {
            let response = notion.service().oneshot(request).await;
            read(response.map_err(|_| Broken::NoAnswer)?).await
        }
        Via::Socket => {
            let (mut client, connection) = open(notion).await;
            // Not spawned, because dropping this call closes the connection, as a client that gives up
            // does.
            let call = async {
                let response = client.send_request(request).await;
                read(response.map_err(|_| Broken::NoAnswer)?).await
            };
            let connection = async {
                let _ = connection.await;
                std::future::pending().await
            };
            tokio::select! { answer = call => answer, () = connection => unreachable!() }
        }
    }
}

async fn read<B: http_body::Body>(response: http::Response<B>) -> Result<Answer, Broken> {
    let (head, body) = response.into_parts();
    let body = body.collect().await;
    let body = body.map_err(|_| Broken::InTheBody(head.status))?.to_bytes();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

async fn connect(base_url: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(base_url.strip_prefix("http://").unwrap()).await
}

type Client = SendRequest<Full<Bytes>>;

async fn open(notion: &MockNotion) -> (Client, Connection<TokioIo<TcpStream>, Full<Bytes>>) {
    let stream = connect(&notion.base_url()).await.unwrap();
    handshake(TokioIo::new(stream)).await.unwrap()
}
