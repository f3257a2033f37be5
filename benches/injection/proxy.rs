//! End to end: a proxy on loopback, with and without the layer in its client.

use std::{
    fmt::Debug,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::header::HOST,
    response::Response,
    serve::ListenerExt,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use notion_auth::{BoxError, NotionAuthLayer, Subject};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};
use tower::{Layer, Service, ServiceExt};

use crate::harness::{Goals, Reports, filled_provider, name, quantile, report};

/// The two proxies take turns, so that each has ten seconds.
const TURNS: usize = 20;
const TURN: Duration = Duration::from_millis(500);
const CLIENTS: usize = 8;

/// Reports requests a second and the time of one, in microseconds.
pub(crate) fn measure() {
    let runtime = Runtime::new().expect("a runtime");
    let upstream = runtime.block_on(serve(Router::new().fallback(async || "{}")));
    let url = format!("http://{upstream}");
    let layer = NotionAuthLayer::refreshing(filled_provider(1, None, |it| it.api_url(url)))
        .without_replay();
    let mut turns = [Vec::new(), Vec::new()];
    runtime.block_on(async {
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
        let without = proxy(upstream, client.clone(), None).await;
        let with = proxy(upstream, layer.layer(client), Some(Subject::new(name(0)))).await;
        for turn in 0..=TURNS {
            for (proxy, turns) in [without, with].into_iter().zip(&mut turns) {
                let times = load(proxy).await;
                // The first turn warms up.
                if turn > 0 {
                    turns.push(times);
                }
            }
        }
    });
    for (name, turns) in ["without", "with"].into_iter().zip(&turns) {
        for turn in turns {
            let a_second = turn.len() as f64 / TURN.as_secs_f64();
            report(name, "requests a second", a_second);
        }
        for (figure, q) in [("p50, µs", 0.5), ("p99, µs", 0.99)] {
            report(name, figure, quantile(turns.iter().flatten().copied(), q));
        }
    }
    for (with, without) in turns[1].iter().zip(&turns[0]) {
        report("proxy", "ratio", with.len() as f64 / without.len() as f64);
    }
}

/// A proxy that sends every request to `upstream` by that client.
async fn proxy<S, B>(upstream: SocketAddr, client: S, subject: Option<Subject>) -> SocketAddr
where
    S: Service<Request, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Debug,
    S::Future: Send,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let forward = move |mut request: Request| {
        let client = client.clone();
        let url = format!("http://{upstream}{}", request.uri().path());
        *request.uri_mut() = url.parse().expect("a URL");
        // It names the proxy. The client adds the right one.
        request.headers_mut().remove(HOST);
        if let Some(subject) = &subject {
            request.extensions_mut().insert(subject.clone());
        }
        async move {
            let response = client.oneshot(request).await.expect("an answer");
            response.map(Body::new)
        }
    };
    serve(Router::new().fallback(forward)).await
}

/// Serves on a free port until the process ends.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let listener = listener.tap_io(|it| it.set_nodelay(true).expect("an option of the socket"));
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

/// Sends requests for a turn, each client one after the other; what each took, in microseconds.
async fn load(proxy: SocketAddr) -> Vec<f64> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let end = Instant::now() + TURN;
    let clients = (0..CLIENTS).map(|_| {
        let client = client.clone();
        async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                let request = Request::get(format!("http://{proxy}/v1/users/me"));
                let request = request.body(Empty::new()).expect("a request");
                let response = client.request(request).await.expect("an answer");
                assert_eq!(response.status(), 200);
                response.into_body().collect().await.expect("a body");
                times.push(start.elapsed().as_nanos() as f64 / 1_000.0);
            }
            times
        }
    });
    let clients: JoinSet<Vec<f64>> = clients.collect();
    clients.join_all().await.concat()
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    reports.table(
        "A proxy on loopback, without and with the layer, ten seconds each in turns:",
        "layer | requests a second | p50, µs | p99, µs",
        &["without", "with"],
    );
    goals.set(
        "proxy with the layer, against without",
        reports.get("proxy", "ratio"),
    );
}
