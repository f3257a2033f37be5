//! End to end: a proxy on loopback, with and without the layer in its client.

use std::{
    convert::Infallible,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use notion_auth::{BoxError, NotionAuthLayer, NotionAuthProvider, Subject, testing::MockNotion};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

use crate::support::{processes::report, statistics::quantile};

/// The two proxies take turns, so that each has ten seconds.
const TURNS: usize = 20;
const TURN: Duration = Duration::from_millis(500);
const CLIENTS: usize = 8;

type Upstream = Client<HttpConnector, Incoming>;

/// Tells requests a second and the time of one, in microseconds.
pub(crate) fn measure() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let upstream = serve(service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
        }))
        .await;
        let client: Upstream = Client::builder(TokioExecutor::new()).build_http();
        let provider = provider(upstream).await;
        let without = proxy(upstream, client.clone(), None).await;
        let layered = NotionAuthLayer::refreshing(provider).layer(client);
        let with = proxy(upstream, layered, Some(Subject::new("ann"))).await;

        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..=TURNS {
            for (proxy, times) in [without, with].into_iter().zip(&mut times) {
                let taken = load(proxy).await;
                // The first turn warms up.
                if turn > 0 {
                    times.push(taken);
                }
            }
        }
        for (name, turns) in ["without", "with"].into_iter().zip(&times) {
            tell(name, turns);
        }
        let pairs = times[1].iter().zip(&times[0]);
        let ratios = pairs.map(|(with, without)| with.len() as f64 / without.len() as f64);
        report("proxy: ratio", quantile(ratios, 0.5));
    });
}

fn tell(name: &str, turns: &[Vec<f64>]) {
    let a_second = turns
        .iter()
        .map(|turn| turn.len() as f64 / TURN.as_secs_f64());
    report(
        &format!("proxy {name}: requests a second"),
        quantile(a_second, 0.5),
    );
    let all = || turns.iter().flatten().copied();
    report(&format!("proxy {name}: p50"), quantile(all(), 0.5));
    report(&format!("proxy {name}: p99"), quantile(all(), 0.99));
}

async fn provider(upstream: SocketAddr) -> NotionAuthProvider {
    let notion = MockNotion::in_process();
    let provider = notion
        .provider_builder()
        .expect("a builder")
        .api_url(format!("http://{upstream}"))
        .build()
        .expect("a provider");
    let ann = Subject::new("ann");
    let stored = provider.store_credentials(&ann, notion.connect()).await;
    stored.expect("the credentials are stored");
    provider
}

/// A proxy that sends every request to `upstream` by that client.
async fn proxy<S, B>(upstream: SocketAddr, client: S, subject: Option<Subject>) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    serve(service_fn(move |mut request: Request<Incoming>| {
        let client = client.clone();
        let url = format!("http://{upstream}{}", request.uri().path());
        *request.uri_mut() = url.parse().expect("a URL");
        if let Some(subject) = &subject {
            request.extensions_mut().insert(subject.clone());
        }
        client.oneshot(request)
    }))
    .await
}

/// Serves on a free port until the process ends.
async fn serve<S, B>(service: S) -> SocketAddr
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("an option of the socket");
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(async move {
                // The client goes away when it has had enough.
                let _ = connection.await;
            });
        }
    });
    address
}

/// Sends requests for a turn, each client one after the other; what each took, in microseconds.
async fn load(proxy: SocketAddr) -> Vec<f64> {
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let end = Instant::now() + TURN;
    let clients = (0..CLIENTS).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                let request = Request::get(format!("http://{proxy}/v1/users/me"))
                    .body(Empty::new())
                    .expect("a request");
                let response = client.request(request).await.expect("an answer");
                assert_eq!(response.status(), 200);
                response.into_body().collect().await.expect("a body");
                times.push(start.elapsed().as_nanos() as f64 / 1_000.0);
            }
            times
        })
    });
    let mut all = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        all.extend(client.await.expect("it ends"));
    }
    all
}
