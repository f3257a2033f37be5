//! Many subjects that each need a refresh, compared with a bare client that makes the same calls.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::TokioExecutor,
};
use notion_auth::{NotionAuthProvider, Subject};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tower::ServiceExt;

use crate::{
    harness::{Goals, Reports, name, report, request},
    notion::{Api, ApiClient, Notion, connect},
    work::{ONE_THREAD, RUNTIMES, at_a_time, counted, cpu_of_this_thread, runtime},
};

const ROUNDS: usize = 7;

/// Large enough that neither side waits for the other, and small enough for any server's backlog.
const IN_FLIGHT: usize = 64;

/// A way to the token endpoint.
struct Way {
    name: &'static str,
    /// Through the layer, by the bare client, and the ratio of the two.
    rows: [&'static str; 3],
    subjects: usize,
    start: fn() -> Notion,
}

/// Each call uses a port for a minute, and each round has its own server, so that a round does not run out
/// of ports.
const PLAIN: Way = Way {
    name: "many subjects",
    rows: [
        "through the layer",
        "bare client",
        "against the bare client",
    ],
    subjects: 10_000,
    start: || Notion::start(Duration::ZERO),
};

/// As Notion's, with fewer subjects, because a call takes longer.
const TLS: Way = Way {
    name: "many subjects, TLS",
    rows: [
        "through the layer, TLS",
        "bare client, TLS",
        "against the bare client, TLS",
    ],
    subjects: 2_000,
    start: || Notion::start(Duration::ZERO).with_tls(),
};

const CONNECTED: &str = "subjects are connected";
const REFRESHED: &str = "the refreshes, beyond that";

const CPU: &str = "that thread's processor time, µs a refresh";

pub(crate) fn measure() {
    measure_memory();
    // The first round warms up.
    for round in 0..=ROUNDS {
        for (threads, runtime) in RUNTIMES {
            for way in [PLAIN, TLS] {
                let times = [time_ours(&runtime(), &way), time_bare(&runtime(), &way)];
                if round > 0 {
                    let a_second = times.map(|(wall, _)| way.subjects as f64 / wall);
                    report_pair(&way, &format!("a second, {threads}"), a_second);
                }
                if round > 0 && threads == ONE_THREAD {
                    let each = times.map(|(_, cpu)| cpu * 1e6 / way.subjects as f64);
                    report_pair(&way, CPU, each);
                }
            }
        }
    }
}

fn report_pair(way: &Way, figure: &str, [ours, bare]: [f64; 2]) {
    for (row, value) in way.rows.into_iter().zip([ours, bare, ours / bare]) {
        report(row, figure, value);
    }
}

/// Reports the memory of connected subjects, and what a refresh of each adds.
fn measure_memory() {
    let notion = Notion::start(Duration::ZERO);
    let connected = || {
        let provider = notion.provider().build().expect("a provider");
        connect(&notion.mock, &provider, PLAIN.subjects);
        provider
    };
    // Lazily created values are created before the measurement.
    drop(connected());
    let (provider, connected) = counted(connected);
    // The API's memory is not the provider's.
    let client = stale_client(&provider, PLAIN.subjects);
    let (_, refreshed) = counted(|| refresh(&runtime(), client.clone(), PLAIN.subjects));
    for (name, heap) in [(CONNECTED, connected), (REFRESHED, refreshed)] {
        let left = heap.bytes_current as f64;
        report(name, "at most", heap.bytes_max as f64);
        report(name, "afterwards", left);
        report(name, "afterwards, a subject", left / PLAIN.subjects as f64);
    }
}

fn time_ours(runtime: &Runtime, way: &Way) -> (f64, f64) {
    let (notion, subjects) = ((way.start)(), way.subjects);
    let provider = notion.provider().build().expect("a provider");
    connect(&notion.mock, &provider, subjects);
    let client = stale_client(&provider, subjects);
    // Reads the system's root certificates, as an application does at its start.
    let health = self::runtime().block_on(provider.health());
    health.expect("a healthy provider");
    let times = refresh(runtime, client, subjects);
    check(&notion, subjects);
    times
}

/// Returns a client with cached tokens that are not valid any more.
fn stale_client(provider: &NotionAuthProvider, subjects: usize) -> ApiClient {
    let ended: Vec<_> = runtime().block_on(async {
        let mut ended = Vec::with_capacity(subjects);
        for number in 0..subjects {
            let acquired = provider.acquire(&Subject::new(name(number))).await;
            ended.push(acquired.expect("a token").expose().to_owned());
        }
        ended
    });
    Api::new(ended, 1).behind(provider)
}

fn refresh(runtime: &Runtime, client: ApiClient, subjects: usize) -> (f64, f64) {
    let requests = (0..subjects).map(request).collect();
    time(runtime, requests, move |request| {
        let answer = client.clone().oneshot(request);
        async move {
            let answer = answer.await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
        }
    })
}

/// Makes the same calls without this crate: with hyper's client, each on a new connection, and parses the
/// responses.
fn time_bare(runtime: &Runtime, way: &Way) -> (f64, f64) {
    let (notion, subjects) = ((way.start)(), way.subjects);
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    match &notion.tls {
        None => time_bare_by(tcp, runtime, &notion, subjects),
        Some(tls) => {
            tcp.enforce_http(false);
            let mut roots = RootCertStore::empty();
            roots.add(tls.authority.clone()).expect("a certificate");
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring speaks TLS")
                .with_root_certificates(roots)
                .with_no_client_auth();
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_only()
                .enable_http1()
                .wrap_connector(tcp);
            time_bare_by(connector, runtime, &notion, subjects)
        }
    }
}

fn time_bare_by<C>(connector: C, runtime: &Runtime, notion: &Notion, subjects: usize) -> (f64, f64)
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let grants = (0..subjects).map(|_| notion.mock.grant());
    let tokens = grants.map(|it| it.refresh_token().expect("a refresh token").to_owned());
    let mut client = Client::builder(TokioExecutor::new());
    let client: Client<_, Full<Bytes>> = client.pool_max_idle_per_host(0).build(connector);
    let pair = format!(
        "{}:{}",
        notion.mock.client_id(),
        notion.mock.client_secret()
    );
    let basic = format!("Basic {}", STANDARD.encode(pair));
    let basic = HeaderValue::from_str(&basic).expect("a header");
    let url: Uri = notion.token_url().parse().expect("a URI");
    let times = time(runtime, tokens.collect(), move |token| {
        let body = json!({"grant_type": "refresh_token", "refresh_token": token});
        let request = Request::post(url.clone())
            .header(AUTHORIZATION, basic.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header("notion-version", "2026-03-11")
            .header(USER_AGENT, "bare/1.0")
            .body(Full::from(body.to_string()))
            .expect("a request");
        let answer = client.request(request);
        async move {
            let answer = answer.await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            let body = answer.into_body().collect().await.expect("a body");
            let answer: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
            assert!(answer["access_token"].is_string());
        }
    });
    check(notion, subjects);
    times
}

/// Returns the seconds that the work takes, and the processor time of this thread.
fn time<I, F, W>(runtime: &Runtime, items: Vec<I>, work: W) -> (f64, f64)
where
    I: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
    W: Fn(I) -> F + Clone + Send + 'static,
{
    let cpu = cpu_of_this_thread();
    let wall = runtime.block_on(at_a_time(IN_FLIGHT, items, work));
    (wall.as_secs_f64(), cpu_of_this_thread() - cpu)
}

fn check(notion: &Notion, subjects: usize) {
    let ledger = notion.mock.ledger();
    assert_eq!(ledger.refreshes().len(), subjects, "one for each subject");
    assert!(ledger.refresh_token_reuses().is_empty(), "each token once");
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    let title = format!(
        "10,000 subjects (with TLS, 2,000), a refresh for each, {IN_FLIGHT} at a time, medians of {ROUNDS} rounds:"
    );
    let head = format!(" | a second, all threads | a second, one thread | {CPU}");
    reports.table(&title, &head, &[PLAIN.rows, TLS.rows].concat());
    reports.table(
        "The heap, in bytes, store in memory and cache together:",
        " | at most | afterwards | afterwards, a subject",
        &[CONNECTED, REFRESHED],
    );
    let goal = "refreshes per second against a bare client";
    for way in [PLAIN, TLS] {
        let ratio = reports.get(way.rows[2], "a second, all threads");
        goals.set(&format!("{}: {goal}", way.name), ratio);
    }
}
