//! A transport that records every request, and sends the same response to all of them.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use notion_auth::{credentials::NotionAppCredentialsBuilder, oauth::OAuthFlow, testing::TestClock};
use serde_json::Value;
use tower::service_fn;
use tower_service::Service;

use super::{built, provider};

type Answer = dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync;

#[derive(Clone)]
pub(super) struct Wire {
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
    answer: Arc<Answer>,
}

impl Wire {
    pub(super) fn new(
        answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self {
            seen: Arc::default(),
            answer: Arc::new(answer),
        }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        Self::new(move |_| response(status, body.clone()))
    }

    /// Returns a response with this header.
    pub(super) fn with_header(
        status: u16,
        body: impl Into<Bytes>,
        name: HeaderName,
        value: &'static str,
    ) -> Self {
        let mut response = response(status, body);
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
        Self::new(move |_| response.clone())
    }

    pub(super) fn transport(
        &self,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + use<> {
        let wire = self.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let wire = wire.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let request = Request::from_parts(head, body);
                let response = (wire.answer)(&request).map(Full::new);
                wire.seen.lock().expect("no panic").push(request);
                Ok(response)
            }
        })
    }

    /// Returns a client with a `TestClock`.
    pub(super) fn flow(&self, app: NotionAppCredentialsBuilder) -> OAuthFlow {
        let builder = provider(app).transport(self.transport());
        built(builder.clock(TestClock::new()))
    }

    pub(super) fn seen(&self) -> Vec<Request<Bytes>> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Returns the only request.
    #[track_caller]
    pub(super) fn request(&self) -> Request<Bytes> {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }
}

pub(super) fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}
