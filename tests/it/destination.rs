//! Rules 1 and 2: the token goes to one place, whatever `Host`, target and method say.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
};

use http::{
    HeaderMap, HeaderName, Method, Request, Response, Uri, Version,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use notion_auth::{
    AccessToken, BoxError, ExplicitCredentials, NotionAuthLayer, NotionAuthProvider, Subject,
    testing::{self, MockNotion},
};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

use crate::support::{Body, auth_error};

/// What a server has seen of a request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

/// A server for HTTP/1 and HTTP/2 on loopback that notes what it is sent, and answers 200.
pub(crate) struct Recorder {
    pub(crate) authority: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let sink = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = Arc::clone(&sink);
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    sink.lock().unwrap().push(Seen {
                        version: request.version(),
                        uri: request.uri().clone(),
                        headers: request.headers().clone(),
                    });
                    async { Ok::<_, Infallible>(Response::new(Body::default())) }
                });
                tokio::spawn(async move {
                    auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                });
            }
        });
        Self { authority, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// What came since this was last asked.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Values of `Host` for a server at this authority, and whether a request with them gets a token.
pub(crate) fn hosts(authority: &str) -> Vec<(Vec<String>, bool)> {
    let port = authority.rsplit(':').next().unwrap();
    let one = |host: &str| vec![host.to_owned()];
    vec![
        (vec![], true),
        (one(authority), true),
        (one("evil.example"), false),
        (vec![format!("evil.example:{port}")], false),
        (one("127.0.0.1"), false),
        (one("127.0.0.1:1"), false),
        (vec![format!("localhost:{port}")], false),
        (vec![format!("user@{authority}")], false),
        (vec![format!("{authority}, {authority}")], false),
        (vec![format!("{authority},evil.example")], false),
        (vec![format!("127.0.0.1:0{port}")], false),
        (one(""), false),
        (vec![authority.to_owned(), authority.to_owned()], false),
        (vec![authority.to_owned(), "evil.example".to_owned()], false),
        (vec!["evil.example".to_owned(), authority.to_owned()], false),
    ]
}

/// A provider for that API, with credentials for `ann`.
pub(crate) async fn provider(api_url: &str) -> NotionAuthProvider {
    let notion = MockNotion::in_process();
    let builder = notion.provider_builder().unwrap().api_url(api_url);
    let provider = builder.build().unwrap();
    let ann = Subject::new("ann");
    let stored = provider.store_credentials(&ann, notion.connect());
    stored.await.unwrap();
    provider
}

fn get(uri: &str, hosts: &[String], others: usize) -> Request<Body> {
    let mut request = Request::get(uri).body(Full::default()).unwrap();
    let headers = request.headers_mut();
    for number in 0..others {
        let name = HeaderName::try_from(format!("x-{number}")).unwrap();
        headers.insert(name, number.into());
    }
    for host in hosts {
        headers.append(HOST, host.parse().unwrap());
    }
    request.extensions_mut().insert(Subject::new("ann"));
    request
}

type Sending = Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;

fn send<S>(service: S, request: Request<Body>) -> Sending
where
    S: Service<Request<Body>, Error = BoxError> + 'static,
{
    Box::pin(async move { service.oneshot(request).await.map(drop) })
}

#[tokio::test]
async fn rule_01_host_header_of_another_site_gets_no_token_over_either_version() {
    let server = Recorder::start().await;
    let provider = provider(&server.url()).await;
    let integration = testing::fixed_token("ntn_fixed", &server.url()).unwrap();
    let explicit = ExplicitCredentials::new(&AccessToken::new("ntn_explicit")).unwrap();
    let uri = format!("{}/v1/users/me", server.url());
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(version == Version::HTTP_2)
            .build_http::<Body>();
        let hit = NotionAuthLayer::refreshing(provider.clone()).without_replay();
        let replaying = NotionAuthLayer::refreshing(provider.clone());
        let inner_decides = hit.clone().inner_decides_destination();
        let integration = NotionAuthLayer::refreshing(integration.clone()).without_replay();
        for (hosts, is_allowed) in hosts(&server.authority) {
            // Few headers are scanned for `Host`, many are asked for it.
            for others in [0, 4, 30] {
                let request = || get(&uri, &hosts, others);
                let with_own = || {
                    let mut request = request();
                    request.extensions_mut().insert(explicit.clone());
                    request
                };
                for sending in [
                    send(hit.layer(client.clone()), request()),
                    send(hit.layer(client.clone()), with_own()),
                    send(replaying.layer(client.clone()), request()),
                    send(inner_decides.layer(client.clone()), request()),
                    send(integration.layer(client.clone()), request()),
                ] {
                    let sent = sending.await;
                    let seen = server.take();
                    let case = format!("{version:?} {hosts:?} {others}: {sent:?} {seen:?}");
                    if is_allowed {
                        assert!(sent.is_ok(), "{case}");
                        assert_eq!(seen.len(), 1, "{case}");
                        assert!(seen[0].headers.contains_key(AUTHORIZATION), "{case}");
                        assert_eq!(seen[0].version, version, "{case}");
                    } else {
                        assert!(seen.is_empty(), "{case}");
                        let error = sent.unwrap_err();
                        let error = auth_error(&error);
                        assert!(error.is_destination(), "{case}");
                        assert!(error.to_string().contains("Host header"), "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn rule_01_connect_and_trace_get_no_token() {
    let server = Recorder::start().await;
    let layer = NotionAuthLayer::refreshing(provider(&server.url()).await).without_replay();
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    for method in [Method::CONNECT, Method::TRACE] {
        for uri in [format!("{}/", server.url()), server.authority.clone()] {
            let mut request = get(&uri, &[], 0);
            *request.method_mut() = method.clone();
            let layer = layer.clone().inner_decides_destination();
            let error = send(layer.layer(client.clone()), request).await;
            let error = error.unwrap_err();
            assert!(auth_error(&error).is_destination(), "{method} {uri}");
        }
    }
    assert!(server.take().is_empty());
}

/// Sends requests on one connection to the server, whatever their URIs say, as a raw connection does.
async fn raw(
    authority: String,
) -> impl Service<Request<Body>, Response = Response<hyper::body::Incoming>, Error = BoxError> + Clone
{
    let stream = tokio::net::TcpStream::connect(authority).await;
    let io = TokioIo::new(stream.unwrap());
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let sender = Arc::new(tokio::sync::Mutex::new(sender));
    tower::service_fn(move |request: Request<Body>| {
        let sender = Arc::clone(&sender);
        async move {
            let mut sender = sender.lock().await;
            sender.ready().await?;
            Ok::<_, BoxError>(sender.send_request(request).await?)
        }
    })
}

#[tokio::test]
async fn rule_02_raw_connection_is_sent_plain_paths_only() {
    let server = Recorder::start().await;
    let layer = NotionAuthLayer::refreshing(provider(&server.url()).await).without_replay();
    let layer = layer.inner_decides_destination();
    let connection = raw(server.authority.clone()).await;
    for (target, is_allowed) in [
        ("/v1/users/me?page_size=1", true),
        ("/", true),
        ("//evil.example/x", false),
        ("/\\evil.example", false),
        ("/%5Cevil.example", false),
        ("/%2fevil.example", false),
        ("/..//evil.example", false),
        ("*", false),
        ("evil.example:443", false),
        ("evil.example", false),
        ("http://evil.example/x", false),
    ] {
        let service = layer.layer(connection.clone());
        let sent = send(
            service,
            get(target, std::slice::from_ref(&server.authority), 0),
        )
        .await;
        let seen = server.take();
        let case = format!("{target}: {sent:?} {seen:?}");
        if is_allowed {
            assert!(sent.is_ok(), "{case}");
            assert_eq!(seen[0].uri, target, "{case}");
            assert!(seen[0].headers.contains_key(AUTHORIZATION), "{case}");
        } else {
            assert!(seen.is_empty(), "{case}");
            assert!(auth_error(&sent.unwrap_err()).is_destination(), "{case}");
        }
    }
    for (hosts, is_allowed) in hosts(&server.authority) {
        let service = layer.layer(connection.clone());
        let sent = send(service, get("/v1/users/me", &hosts, 0)).await;
        let seen = server.take();
        assert_eq!(sent.is_ok(), is_allowed, "{hosts:?} {sent:?}");
        assert_eq!(seen.len(), usize::from(is_allowed), "{hosts:?}");
    }
}

#[tokio::test]
async fn rule_01_host_header_is_checked_before_credentials_are_waited_for() {
    let server = Recorder::start().await;
    let layer = NotionAuthLayer::refreshing(provider(&server.url()).await).without_replay();
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let uri = format!("{}/v1/users/me", server.url());
    let mut request = get(&uri, &["evil.example".to_owned()], 0);
    request.extensions_mut().insert(Subject::new("nobody"));
    let error = send(layer.layer(client), request).await.unwrap_err();
    let error = auth_error(&error);
    assert!(error.is_destination(), "{error}");
    assert_eq!(error.to_response().status(), 500);
}
