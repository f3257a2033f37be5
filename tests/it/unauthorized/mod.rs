//! Which 401s count as refusals, and their effect on the credentials.

mod counting;
mod no_refresh_token;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::Request as AxumRequest, routing::any};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use notion_auth::{BoxError, testing::notion::MockNotionService};
use tower::{Service, ServiceExt, service_fn};

use crate::support::Body;

/// The sender of a 401, determined by its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// It cannot be Notion.
    Foreign,
    /// It may be Notion or a proxy.
    Unknown,
    Notion,
}

use Sender::{Foreign, Notion, Unknown};

type Headers = &'static [(&'static str, &'static str)];

const ID: &str = "x-notion-request-id";
const TYPE: &str = "content-type";
const JSON: &str = "application/json";

/// Headers of 401s, and their sender.
pub(crate) const ANSWERS: [(Headers, Sender); 33] = [
    (&[], Foreign),
    (&[(TYPE, "text/html; charset=utf-8")], Foreign),
    (&[(TYPE, "text/plain")], Foreign),
    (&[(TYPE, "")], Foreign),
    (&[(TYPE, "json")], Foreign),
    (&[(TYPE, "+json")], Foreign),
    (&[(TYPE, "application/jsonp")], Foreign),
    (&[(TYPE, "application/x-ndjson")], Foreign),
    (&[(TYPE, "text/html; type=application/json")], Foreign),
    (&[(TYPE, "application/json, text/html")], Foreign),
    (&[(TYPE, JSON), (TYPE, "text/html")], Foreign),
    (&[("www-authenticate", "Basic realm=\"proxy\"")], Foreign),
    (
        &[(TYPE, "text/html"), ("www-authenticate", "Negotiate")],
        Foreign,
    ),
    (&[(ID, "")], Foreign),
    (&[(ID, " ")], Foreign),
    (&[(ID, ""), (TYPE, "text/html")], Foreign),
    (&[(ID, "1"), (ID, "2")], Foreign),
    (&[(ID, "1"), (ID, ""), (TYPE, "text/html")], Foreign),
    (&[("x-request-id", "1"), (TYPE, "text/html")], Foreign),
    (&[(TYPE, JSON)], Unknown),
    (&[(TYPE, "application/json; charset=utf-8")], Unknown),
    (&[(TYPE, "APPLICATION/JSON;charset=UTF-8")], Unknown),
    (&[(TYPE, "application/problem+json")], Unknown),
    (&[(TYPE, "application/vnd.api+JSON ; v=1")], Unknown),
    (&[(TYPE, JSON), ("www-authenticate", "Bearer")], Unknown),
    (&[(ID, ""), (TYPE, JSON)], Unknown),
    (&[(ID, " "), (TYPE, JSON)], Unknown),
    (&[(ID, "1"), (ID, "2"), (TYPE, JSON)], Unknown),
    (&[(ID, "1")], Notion),
    (&[(ID, "1"), (ID, "1")], Notion),
    (&[(ID, "1"), (TYPE, JSON)], Notion),
    (&[(ID, "1"), (TYPE, "text/html")], Notion),
    (&[(ID, "1"), ("www-authenticate", "Basic")], Notion),
];

const PAGE: &str = "a page";

pub(crate) fn header_map(headers: Headers) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        })
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

/// A server between a client and Notion that may answer API requests itself.
#[derive(Clone, Default)]
pub(crate) struct Between {
    answer: Arc<Mutex<Option<(StatusCode, Headers)>>>,
    answered: Arc<AtomicUsize>,
}

impl Between {
    /// Sets the response. With `None`, Notion answers.
    pub(crate) fn answer(&self, status: u16, headers: impl Into<Option<Headers>>) {
        let status = StatusCode::from_u16(status).unwrap();
        *self.answer.lock().unwrap() = headers.into().map(|headers| (status, headers));
    }

    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    fn own(&self) -> Option<Response<Body>> {
        let (status, headers) = (*self.answer.lock().unwrap())?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Full::from(PAGE));
        *response.status_mut() = status;
        *response.headers_mut() = header_map(headers);
        Some(response)
    }

    fn service(
        &self,
        notion: MockNotionService,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = BoxError, Future: Send>
    + Clone
    + use<> {
        let between = self.clone();
        service_fn(move |request: Request<Body>| {
            let own = between.own();
            let notion = notion.clone();
            async move {
                if let Some(own) = own {
                    return Ok(own);
                }
                let (head, body) = notion.oneshot(request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok(Response::from_parts(head, Full::from(body)))
            }
        })
    }

    /// Starts a server on a socket that sends this response, and 200 where Notion would answer. Returns its
    /// URL.
    pub(crate) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let between = self.clone();
        let answer = move |_: AxumRequest| {
            let own = between.own().unwrap_or_default();
            async { own.map(axum::body::Body::new) }
        };
        let router = Router::new().fallback(any(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}
