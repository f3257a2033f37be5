//! Many subjects that each need a refresh, compared with a bare client that makes the same calls.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use notion_auth::{NotionAuthProvider, Subject};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::{
    harness::{Goals, Reports, name, report, request},
    notion::{Api, ApiClient, Notion, connect},
    work::{ONE_THREAD, RUNTIMES, at_a_time, counted, cpu_of_this_thread, runtime},
};

/// Each call uses a port for a minute, and each round has its own server, so that a round does not run out
/// of ports.
const SUBJECTS: usize = 10_000;
const ROUNDS: usize = 7;

/// Large enough that neither side waits for the other, and small enough for any server's backlog.
const IN_FLIGHT: usize = 64;

const OURS: &str = "through the layer";
const BARE: &str = "bare client";
const RATIO: &str = "against the bare client";
const CONNECTED: &str = "subjects are connected";
const REFRESHED: &str = "the refreshes, beyond that";

const CPU: &str = "that thread's processor time, µs a refresh";

pub(crate) fn measure() {
    measure_memory();
    // The first round warms up.
    for round in 0..=ROUNDS {
        for (threads, runtime) in RUNTIMES {
            let times = [time_ours(&runtime()), time_bare(&runtime())];
            if round > 0 {
                let a_second = times.map(|(wall, _)| SUBJECTS as f64 / wall);
                report_pair(&format!("a second, {threads}"), a_second);
            }
            if round > 0 && threads == ONE_THREAD {
                report_pair(CPU, times.map(|(_, cpu)| cpu * 1e6 / SUBJECTS as f64));
            }
        }
    }
}

fn report_pair(figure: &str, [ours, bare]: [f64; 2]) {
    report(OURS, figure, ours);
    report(BARE, figure, bare);
    report(RATIO, figure, ours / bare);
}

/// Reports the memory of connected subjects, and what a refresh of each adds.
fn measure_memory() {
    let notion = Notion::start(Duration::ZERO);
    let connected = || {
        let provider = notion.provider().build().expect("a provider");
        connect(&notion.mock, &provider, SUBJECTS);
        provider
    };
    // Lazily created values are created before the measurement.
    drop(connected());
    let (provider, connected) = counted(connected);
    // The API's memory is not the provider's.
    let client = stale_client(&provider);
    let (_, refreshed) = counted(|| refresh(&runtime(), client.clone()));
    for (name, heap) in [(CONNECTED, connected), (REFRESHED, refreshed)] {
        let left = heap.bytes_current as f64;
        report(name, "at most", heap.bytes_max as f64);
        report(name, "afterwards", left);
        report(name, "afterwards, a subject", left / SUBJECTS as f64);
    }
}

fn time_ours(runtime: &Runtime) -> (f64, f64) {
    let notion = Notion::start(Duration::ZERO);
    let provider = notion.provider().build().expect("a provider");
    connect(&notion.mock, &provider, SUBJECTS);
    let client = stale_client(&provider);
    let times = refresh(runtime, client);
    check(&notion);
    times
}

/// Returns a client with cached tokens that are not valid any more.
fn stale_client(provider: &NotionAuthProvider) -> ApiClient {
    let ended: Vec<_> = runtime().block_on(async {
        let mut ended = Vec::with_capacity(SUBJECTS);
        for number in 0..SUBJECTS {
            let acquired = provider.acquire(&Subject::new(name(number))).await;
            ended.push(acquired.expect("a token").expose().to_owned());
        }
        ended
    });
    Api::new(ended, 1).behind(provider)
}

fn refresh(runtime: &Runtime, client: ApiClient) -> (f64, f64) {
    let requests = (0..SUBJECTS).map(request).collect();
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
fn time_bare(runtime: &Runtime) -> (f64, f64) {
    let notion = Notion::start(Duration::ZERO);
    let grants = (0..SUBJECTS).map(|_| notion.mock.grant());
    let tokens = grants.map(|it| it.refresh_token().expect("a refresh token").to_owned());
    let mut client = Client::builder(TokioExecutor::new());
    let client: Client<_, Full<Bytes>> = client.pool_max_idle_per_host(0).build_http();
    let pair = format!(
        "{}:{}",
        notion.mock.client_id(),
        notion.mock.client_secret()
    );
    let basic = format!("Basic {}", STANDARD.encode(pair));
    let basic = HeaderValue::from_str(&basic).expect("a header");
    let url: Uri = notion.mock.token_url().parse().expect("a URI");
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
    check(&notion);
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

fn check(notion: &Notion) {
    let ledger = notion.mock.ledger();
    assert_eq!(ledger.refreshes().len(), SUBJECTS, "one for each subject");
    assert!(ledger.refresh_token_reuses().is_empty(), "each token once");
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    let title = format!(
        "10,000 subjects, a refresh for each, {IN_FLIGHT} at a time, medians of {ROUNDS} rounds:"
    );
    let head = format!(" | a second, all threads | a second, one thread | {CPU}");
    reports.table(&title, &head, &[OURS, BARE, RATIO]);
    reports.table(
        "The heap, in bytes, store in memory and cache together:",
        " | at most | afterwards | afterwards, a subject",
        &[CONNECTED, REFRESHED],
    );
    let ratio = reports.get(RATIO, "a second, all threads");
    goals.set(
        "many subjects: refreshes per second against a bare client",
        ratio,
    );
}
