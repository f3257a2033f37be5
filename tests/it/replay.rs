//! Replays after a 401: requests that are sent again, and those that cannot be.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::AUTHORIZATION,
};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Collected};
use notion_auth::{BoxError, NotionAuthLayer, Subject, layer::BufferedBody};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use tokio::runtime;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{World, auth_error};

/// A request as the inner service received it.
#[derive(Debug, PartialEq)]
struct Received {
    method: Method,
    uri: Uri,
    version: Version,
    /// In order, with the sensitive flag.
    headers: Vec<(HeaderName, HeaderValue, bool)>,
    body: Bytes,
    text: Option<String>,
    number: Option<u64>,
    subject: Option<Subject>,
}

impl Received {
    fn of(request: Request<Bytes>) -> Self {
        let (mut head, body) = request.into_parts();
        assert!(head.headers.remove(AUTHORIZATION).is_some());
        Self {
            method: head.method,
            uri: head.uri,
            version: head.version,
            headers: listed(&head.headers),
            body,
            text: head.extensions.get().cloned(),
            number: head.extensions.get().copied(),
            subject: head.extensions.get().cloned(),
        }
    }
}

fn listed(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue, bool)> {
    headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone(), value.is_sensitive()))
        .collect()
}

/// Answers the first request with Notion's 401, and the others with 200.
#[derive(Clone, Default)]
struct RefuseOnce {
    received: Arc<Mutex<Vec<Received>>>,
}

impl Service<Request<Bytes>> for RefuseOnce {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let mut received = self.received.lock().unwrap();
        received.push(Received::of(request));
        ready(Ok(if received.len() == 1 {
            refusal(())
        } else {
            Response::new(())
        }))
    }
}

fn refusal<B>(body: B) -> Response<B> {
    let refusal = Response::builder().status(401);
    refusal
        .header("x-notion-request-id", "1")
        .body(body)
        .unwrap()
}

fn method() -> impl Strategy<Value = Method> {
    let known = [
        Method::GET,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    prop_oneof![
        select(known.to_vec()),
        "[A-Z!#$%&'*+.^_`|~-]{1,40}"
            .prop_filter("no token", |name| name != "CONNECT" && name != "TRACE")
            .prop_map(|name| Method::from_bytes(name.as_bytes()).unwrap()),
    ]
}

fn uri() -> impl Strategy<Value = Uri> {
    let origin = select(vec![
        "",
        "https://api.notion.com",
        "HTTPS://API.notion.com:443",
    ]);
    let path = "/[a-zA-Z0-9._~!$&'()*+,;=:@-]{0,300}(/[a-z0-9%25{}\"]{1,9}){0,5}(\\?[a-z0-9/?&=\\[\\]-]{0,40})?";
    (origin, path).prop_filter_map("parsed", |(origin, path)| {
        // Paths in which a URL parser may find a host are refused without an origin.
        if origin.is_empty() && (path.contains(['.', '%']) || path.starts_with("//")) {
            return None;
        }
        format!("{origin}{path}").parse().ok()
    })
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof![
        select(vec![
            "accept",
            "content-type",
            "cookie",
            "notion-version",
            "x-a",
            "authorization",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9!#$%&'*+.^_`|~-]{1,70}",
    ];
    let byte = prop_oneof![0x20_u8..=0x7e, 0x80_u8..=0xff, Just(b'\t')];
    let value = (prop::collection::vec(byte, 0..90), any::<bool>());
    prop::collection::vec((name, value), 0..24).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, (value, is_sensitive)) in lines {
            if name == "host" {
                continue;
            }
            let mut value = HeaderValue::from_bytes(&value).unwrap();
            value.set_sensitive(is_sensitive);
            headers.append(name.parse::<HeaderName>().unwrap(), value);
        }
        headers
    })
}

fn request() -> impl Strategy<Value = Request<Bytes>> {
    let version = select(vec![Version::HTTP_10, Version::HTTP_11, Version::HTTP_2]);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let extensions = (any::<Option<String>>(), any::<Option<u64>>());
    (method(), uri(), version, headers(), body, extensions).prop_map(
        |(method, uri, version, headers, body, (text, number))| {
            let mut request = Request::new(Bytes::from(body));
            *request.method_mut() = method;
            *request.uri_mut() = uri;
            *request.version_mut() = version;
            *request.headers_mut() = headers;
            if let Some(text) = text {
                request.extensions_mut().insert(text);
            }
            if let Some(number) = number {
                request.extensions_mut().insert(number);
            }
            request
        },
    )
}

/// Runs 500 cases, or the number in `REPLAY_CASES`.
#[test]
fn replayed_request_equals_the_first() {
    let cases = std::env::var("REPLAY_CASES").ok();
    let cases = cases.and_then(|text| text.parse().ok()).unwrap_or(500);
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _context = runtime.enter();
    let world = World::with(notion_auth::testing::MockNotion::in_process(), |builder| {
        builder.api_url("https://api.notion.com")
    });
    let connected = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&request(), |mut request| {
            // Each case has its own subject, because repeated refusals delay the next refresh.
            connected.set(connected.get() + 1);
            let subject = format!("subject {}", connected.get());
            let inner = RefuseOnce::default();
            let layer = NotionAuthLayer::refreshing(world.provider.clone());
            request.extensions_mut().insert(Subject::new(&*subject));
            let response = runtime.block_on(async {
                world.connect(&subject).await;
                // The first request reads the store, later ones are cache hits.
                if connected.get() % 2 == 0 {
                    world.provider.acquire(&(*subject).into()).await.unwrap();
                }
                layer.layer(inner.clone()).oneshot(request).await
            });
            prop_assert_eq!(response.unwrap().status(), 200);
            let received = inner.received.lock().unwrap();
            prop_assert_eq!(received.len(), 2);
            prop_assert_eq!(&received[0], &received[1]);
            Ok(())
        })
        .unwrap();
}

/// A body of these frames, without a length.
struct Frames(VecDeque<Frame<Bytes>>);

impl Frames {
    fn of(parts: &[&'static str]) -> Self {
        let data = parts.iter().map(|part| Frame::data(Bytes::from(*part)));
        Self(data.collect())
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// Sends a body through the default layer to a service that refuses the first request. Returns the status, and the
/// bodies that the service received.
async fn send(body: BufferedBody<Frames>) -> (StatusCode, Vec<Collected<Bytes>>) {
    let world = World::new();
    world.connect("ann").await;
    let received = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&received);
    let inner = service_fn(move |request: Request<BufferedBody<Frames>>| {
        let sink = Arc::clone(&sink);
        async move {
            let body = request.into_body().collect().await?;
            let mut received = sink.lock().unwrap();
            received.push(body);
            let is_first = received.len() == 1;
            Ok::<_, BoxError>(if is_first {
                refusal(())
            } else {
                Response::new(())
            })
        }
    });
    let (head, _) = world.get("ann").into_parts();
    let layer = NotionAuthLayer::refreshing(world.provider.clone());
    let response = layer
        .layer(inner)
        .oneshot(Request::from_parts(head, body))
        .await;
    let received = std::mem::take(&mut *received.lock().unwrap());
    (response.unwrap().status(), received)
}

#[tokio::test(start_paused = true)]
async fn buffered_body_within_the_limit_is_sent_again() {
    for (parts, limit) in [
        (&[][..], 0),
        (&["four"], 4),
        (&["four", "", "more"], 8),
        (&["four"], 1 << 20),
    ] {
        let body = BufferedBody::read(Frames::of(parts), limit).await.unwrap();
        assert_eq!(
            body.size_hint().exact(),
            Some(parts.concat().len() as u64),
            "{parts:?}"
        );
        assert_eq!(body.is_end_stream(), parts.is_empty());
        let (status, received) = send(body).await;
        assert_eq!(status, 200, "{parts:?}");
        let [first, second] = received.try_into().unwrap();
        assert_eq!(first.to_bytes(), parts.concat());
        assert_eq!(second.to_bytes(), parts.concat());
    }
}

#[tokio::test]
async fn buffered_bytes_do_not_keep_the_memory_of_their_frame() {
    let frame = Bytes::from(vec![7; 1 << 20]).slice(..10);
    let memory = frame.as_ptr();
    let body = http_body_util::Full::new(frame);
    let mut body = BufferedBody::read(body, 100).await.unwrap();
    let frame = body.frame().await.unwrap().unwrap();
    let data = frame.into_data().unwrap();
    assert_eq!(data, vec![7; 10]);
    assert_ne!(data.as_ptr(), memory);
}

#[tokio::test(start_paused = true)]
async fn body_over_the_limit_is_sent_once_and_whole() {
    for (parts, limit) in [(&["four"][..], 3), (&["four", "more", "five"], 4)] {
        let body = BufferedBody::read(Frames::of(parts), limit).await.unwrap();
        assert_eq!(body.size_hint().exact(), None);
        let (status, received) = send(body).await;
        assert_eq!(status, 401, "{parts:?}");
        let [only] = received.try_into().unwrap();
        assert_eq!(only.to_bytes(), parts.concat());
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_of_a_buffered_body_are_sent_both_times() {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), 7.into())]);
    for parts in [&["four"][..], &[]] {
        let mut frames = Frames::of(parts);
        frames.0.push_back(Frame::trailers(trailers.clone()));
        let body = BufferedBody::read(frames, 100).await.unwrap();
        let (status, received) = send(body).await;
        assert_eq!(status, 200);
        assert_eq!(received.len(), 2);
        for body in received {
            assert_eq!(body.trailers(), Some(&trailers));
        }
    }
}

#[tokio::test]
async fn error_of_a_body_is_returned_by_read() {
    let body = http_body_util::Full::new(Bytes::from("four")).map_err(BoxError::from);
    let limited = http_body_util::Limited::new(body, 3);
    assert!(BufferedBody::read(limited, 100).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn relative_uri_is_completed_with_the_api_url() {
    let world = World::new();
    for (path, expected) in [
        ("/v1/users/me?page_size=1", Some("/v1/users/me?page_size=1")),
        ("/", Some("/")),
        ("//evil.example/v1", None),
        ("/\\evil.example", None),
        ("/%2fevil.example", None),
        ("/v1/..//evil.example", None),
        ("*", None),
        ("evil.example:443", None),
    ] {
        world.connect(path).await;
        let inner = RefuseOnce::default();
        let layer = NotionAuthLayer::refreshing(world.provider.clone());
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = path.parse().unwrap();
        request.extensions_mut().insert(Subject::new(path));
        let outcome = layer.layer(inner.clone()).oneshot(request).await;
        let received = inner.received.lock().unwrap();
        match expected {
            Some(expected) => {
                assert_eq!(outcome.unwrap().status(), 200, "{path}");
                let expected = format!("{}{expected}", world.notion.base_url());
                assert!(received.iter().all(|it| it.uri == *expected), "{path}");
            }
            None => {
                assert!(auth_error(&outcome.unwrap_err()).is_destination(), "{path}");
                assert!(received.is_empty(), "{path}");
            }
        }
    }
}
