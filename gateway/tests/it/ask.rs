//! Requests by hand, to see every header.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

use super::wait::soon;

pub(super) struct Sending {
    builder: http::request::Builder,
    body: Bytes,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

pub(super) fn get(url: &str) -> Sending {
    request(Method::GET, url)
}

pub(super) fn post(url: &str) -> Sending {
    request(Method::POST, url)
}

pub(super) fn request(method: Method, url: &str) -> Sending {
    Sending {
        builder: Request::builder().method(method).uri(url),
        body: Bytes::new(),
    }
}

impl Sending {
    pub(super) fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// A header that need not be text.
    pub(super) fn header_value(mut self, name: &str, value: http::HeaderValue) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Follows nothing.
    pub(super) async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// `None` if no whole answer comes.
    pub(super) async fn try_send(self) -> Option<Answer> {
        let request = self.builder.body(Full::new(self.body)).expect("a request");
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let (head, body) = soon(client.request(request)).await.ok()?.into_parts();
        Some(Answer {
            status: head.status,
            headers: head.headers,
            body: soon(body.collect()).await.ok()?.to_bytes(),
        })
    }
}

impl Answer {
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_str()
            .expect("text")
    }

    /// The cookie that was set, as the browser sends it back.
    #[track_caller]
    pub(super) fn cookie(&self) -> &str {
        self.header("set-cookie")
            .split(';')
            .next()
            .expect("a cookie")
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
