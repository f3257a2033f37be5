//! End-to-end measurement of a proxy on loopback, with and without the layer in its client, and the memory of the
//! subjects that it serves.

use std::{
    fmt::Debug,
    future::{Future, ready},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderValue, header::HOST},
    response::Response,
    serve::ListenerExt,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use notion_auth::{BoxError, NotionAuthLayer, Subject, layer::BufferedBody};
use tokio::{net::TcpListener, runtime::Runtime, sync::Barrier, task::JoinSet};
use tower::{Layer, Service, ServiceExt};

use crate::harness::{
    Goals, Reports, filled_provider, name, quantile, report, set_token, set_version,
};

/// The proxies alternate in short turns, because the machine's speed changes within seconds. In turns of half a second, two
/// equal proxies differed by up to 5 %.
const TURNS: usize = 200;
const TURN: Duration = Duration::from_millis(50);
const CLIENTS: usize = 8;

/// Each request is of any of these.
const ACTIVE: usize = 1_000;
const MILLION: usize = 1_000_000;

/// Bodies of more bytes would be sent once.
const BUFFERED: usize = 64 * 1024;

const WITHOUT: &str = "without";
const STATIC: &str = "two static headers";
const DEFAULT: &str = "default layer";
const DEFAULT_MILLION: &str = "default layer, a million subjects";
const NO_REPLAY_MILLION: &str = "`without_replay()`, a million subjects";
const PROXIES: [&str; 5] = [WITHOUT, STATIC, DEFAULT, DEFAULT_MILLION, NO_REPLAY_MILLION];

/// As long as the subjects'.
const TOKEN: &str = "Bearer ntn_0123456789012345678901234567890123456789012345";

const RATIO: &str = "against without";
const HEAP: &str = "heap of the subjects, MB";

/// Reports requests per second, the time of one request in microseconds, and the heap.
pub(crate) fn measure() {
    let runtime = Runtime::new().expect("a runtime");
    let upstream = runtime.block_on(serve(Router::new().fallback(async || "{}")));
    let (thousand, heap_of_thousand) = layer_with(ACTIVE, upstream);
    let (million, heap_of_million) = layer_with(MILLION, upstream);
    let heaps = [0.0, 0.0, heap_of_thousand, heap_of_million, heap_of_million];
    let mut turns = PROXIES.map(|_| Vec::new());
    runtime.block_on(async {
        let token = HeaderValue::from_static(TOKEN);
        let set_headers = set_token(token, set_version(client()));
        let without_replay = million.clone().without_replay();
        let proxies = [
            proxy(upstream, client(), ready).await,
            proxy(upstream, set_headers, ready).await,
            proxy(upstream, thousand.layer(client()), buffered).await,
            proxy(upstream, million.layer(client()), buffered).await,
            proxy(upstream, without_replay.layer(client()), ready).await,
        ];
        for turn in 0..=TURNS {
            let mut order = [0, 1, 2, 3, 4];
            fastrand::shuffle(&mut order);
            for at in order {
                let times = load(proxies[at]).await;
                // The first turn warms up.
                if turn > 0 {
                    turns[at].push(times);
                }
            }
        }
    });
    for ((name, own), heap) in PROXIES.into_iter().zip(&turns).zip(heaps) {
        for (turn, without) in own.iter().zip(&turns[0]) {
            let a_second = turn.len() as f64 / TURN.as_secs_f64();
            report(name, "requests a second", a_second);
            report(name, RATIO, turn.len() as f64 / without.len() as f64);
        }
        for (figure, q) in [("p50, µs", 0.5), ("p99, µs", 0.99)] {
            report(name, figure, quantile(own.iter().flatten().copied(), q));
        }
        report(name, HEAP, heap);
    }
}

/// Returns a layer with this many cached subjects, and their heap in megabytes.
fn layer_with(subjects: usize, upstream: SocketAddr) -> (NotionAuthLayer, f64) {
    let mut layer = None;
    let heap = allocation_counter::measure(|| {
        let url = format!("http://{upstream}");
        let provider = filled_provider(subjects, None, |it| {
            it.api_url(url).cache_capacity(subjects)
        });
        layer = Some(NotionAuthLayer::refreshing(provider));
    });
    (layer.expect("a layer"), heap.bytes_current as f64 / 1e6)
}

fn client<B: HttpBody<Data: Send> + Send>() -> Client<HttpConnector, B> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn buffered(body: Body) -> BufferedBody<Body> {
    let body = BufferedBody::read(body, BUFFERED).await;
    body.expect("the client's body")
}

/// Starts a proxy that sends every request to `upstream` through this client, after its body was prepared.
async fn proxy<S, B, P, F>(upstream: SocketAddr, client: S, prepare: P) -> SocketAddr
where
    S: Service<Request<F::Output>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Debug,
    S::Future: Send,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    P: Fn(Body) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    // As a session's. Each proxy has them, because they are not the layer's work.
    let subjects: Vec<_> = (0..ACTIVE).map(|it| Subject::new(name(it))).collect();
    let subjects = Arc::new(subjects);
    let forward = move |request: Request| {
        let (client, prepare) = (client.clone(), prepare.clone());
        let subject = subjects[fastrand::usize(..ACTIVE)].clone();
        async move {
            let (mut head, body) = request.into_parts();
            let url = format!("http://{upstream}{}", head.uri.path());
            head.uri = url.parse().expect("a URL");
            // The client's `Host` names the proxy. The HTTP client adds the right one.
            head.headers.remove(HOST);
            // The server's extensions are of no use to the HTTP client, and the layer would clone them.
            head.extensions.clear();
            head.extensions.insert(subject);
            let request = Request::from_parts(head, prepare(body).await);
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

/// Sends requests for one turn, sequentially on each of several connections. Returns the time of each in microseconds.
async fn load(proxy: SocketAddr) -> Vec<f64> {
    let client = client::<Empty<Bytes>>();
    let url = format!("http://{proxy}/v1/users/me");
    let send = async move || {
        let request = Request::get(&url).body(Empty::new()).expect("a request");
        let response = client.request(request).await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.expect("a body");
    };
    let connected = Arc::new(Barrier::new(CLIENTS));
    let clients = (0..CLIENTS).map(|_| {
        let (send, connected) = (send.clone(), Arc::clone(&connected));
        async move {
            // Opens the connection.
            send().await;
            connected.wait().await;
            let end = Instant::now() + TURN;
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                send().await;
                times.push(start.elapsed().as_nanos() as f64 / 1_000.0);
            }
            times
        }
    });
    let clients: JoinSet<Vec<f64>> = clients.collect();
    clients.join_all().await.concat()
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    let head = format!("layer | requests a second | {RATIO} | p50, µs | p99, µs | {HEAP}");
    reports.table(
        "A proxy on loopback, whose requests are of a thousand subjects, ten seconds for each in short turns:",
        &head,
        &PROXIES,
    );
    let ratio = reports.get(DEFAULT, RATIO);
    goals.set("proxy with the default layer, against without", ratio);
}
