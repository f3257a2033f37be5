//! Cost of adding credentials to a request, compared with other crates that look up a token for each
//! request.
//!
//! Each crate is used as it recommends, through its public API, with a cached token that is not about to expire, around a
//! service that answers immediately. This crate's layer also copies each request, to send it again after a 401. Its cost is the time over that service alone. Requests are created
//! before the measurement and dropped after it, so the time to free a copied token is not included.

// A benchmark panics if it cannot continue.
#![allow(clippy::cast_possible_truncation, clippy::expect_used, clippy::panic)]

#[path = "../../harness/mod.rs"]
mod harness;

mod aws;
mod azure;
mod google;
mod kube;
mod middleware;

use std::{
    pin::pin,
    process::{Command, ExitCode},
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use harness::{
    ALLOCATIONS, BEYOND, Case, Goals, Inner, MONTH, Processes, Reports, by, number, profile,
    provider, refreshing, replaying, report_allocations, report_times, request, set_token,
    set_version, table,
};
use http::{HeaderValue, Request};
use tokio::runtime::{Builder, Runtime};
use tower::Service;

const FLOOR: &str = "bare service";
const OURS: &str = "notion-auth";
const STATIC: &str = "tower-http, two static headers";

const AGAINST_OURS: &str = "against notion-auth";
const AGAINST_STATIC: &str = "against two static headers";

const AND_A_VERSION: &str = ", and a version";

/// Returns the name of a case, which may also set Notion's version as a constant. `http` has no standard
/// name for that header, so it costs more than `Authorization`.
fn named(peer: &str, with_version: bool) -> String {
    format!("{peer}{}", if with_version { AND_A_VERSION } else { "" })
}

const MIDDLEWARE: &str = "reqwest-middleware";

/// Runtime that fills the token caches. It is idle during measurements.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
});

/// Entry point of the benchmark. `counter` is the program that counts allocations.
pub fn bench(counter: &str) -> ExitCode {
    let print = |times: &Reports, goals: &mut Goals| {
        let mut allocations = Reports::default();
        allocations.read(Command::new(counter));
        print(times, &allocations, goals);
    };
    harness::main(&[("peers", Processes::Several, measure, &print)])
}

fn measure() {
    let cases = cases();
    // As in an application. One of the peers creates a timer for each request, which needs a runtime.
    let _context = RUNTIME.enter();
    report_times(cases, 61, 40, |_| {
        &[(AGAINST_OURS, OURS), (AGAINST_STATIC, STATIC)]
    });
}

/// Reports the allocations per request of each case. `count` calls its argument and counts them.
pub fn measure_allocations(count: impl Fn(&mut dyn FnMut()) -> u64) {
    let cases = cases();
    let _context = RUNTIME.enter();
    report_allocations(cases, count);
}

fn cases() -> Vec<Case> {
    // reqwest requires a provider, although nothing here is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cached = provider(1_000, None);
    let expiring = provider(1_000, Some(MONTH));
    let authorization = format!("Bearer {}", token());
    let authorization = || HeaderValue::from_str(&authorization).expect("a value");
    let one_static = set_token(authorization(), Inner);
    let mut cases = vec![
        through(FLOOR, Inner),
        kube::floor(),
        aws::floor(),
        azure::floor(),
        middleware::floor(),
        through(OURS, replaying(&cached)),
        through("notion-auth, expiry known", replaying(&expiring)),
        through("notion-auth, `without_replay()`", refreshing(&cached)),
        through("tower-http, one static header", one_static),
        through(STATIC, set_token(authorization(), set_version(Inner))),
    ];
    for with_version in [false, true] {
        cases.extend([
            kube::token_file(with_version),
            kube::exec(with_version),
            google::user_account(with_version),
            aws::lazy_cache(with_version),
            azure::bearer_policy(with_version),
        ]);
    }
    cases.extend(middleware::cases(cached));
    cases
}

/// Sends requests of one subject through this service.
fn through<S: Service<Request<()>> + 'static>(name: &str, service: S) -> Case {
    Case::new(name, FLOOR, || request(500), by(service))
}

/// Returns a token of 64 characters, the same for all crates.
fn token() -> String {
    format!("ntn_{}", "0123456789".repeat(6))
}

/// Returns the output of a future that must be ready at the first poll.
#[inline]
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the token is not cached"),
    }
}

fn print(times: &Reports, allocations: &Reports, goals: &mut Goals) {
    let cases = cases();
    // The bare service is its own floor.
    let cases = cases.iter().filter(|case| case.name != case.floor);
    let rows = cases.clone().map(|case| {
        let count = |name| allocations.get(name, ALLOCATIONS);
        let name = full_name(&case.name);
        let on = type_of_requests(&case.name).to_owned();
        let texts = vec![name, case.floor.to_owned(), on];
        let figures = times.row(&case.name, &[BEYOND, AGAINST_OURS, AGAINST_STATIC]);
        let counts = vec![number(count(&case.name) - count(case.floor))];
        [texts, figures, counts].concat()
    });
    let head =
        " | beyond | on | ns | against notion-auth | against two static headers | allocations";
    table("One request:", 3, head, &rows.collect::<Vec<_>>());

    let names = cases.map(|case| case.name.as_str());
    let names = names.filter(|name| !name.ends_with(AND_A_VERSION));
    let drawn: Vec<_> = names.filter(|name| package(name) != MIDDLEWARE).collect();
    if profile() == "default" {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../figures/peers.svg");
        let title = "A request with credentials, beyond the same without";
        times.draw(path, title, &drawn).expect("a chart");
    }
    for name in drawn.into_iter().filter(|name| is_peer(name)) {
        let ratio = times.get(name, AGAINST_OURS);
        goals.set(&format!("{name} against notion-auth"), ratio);
    }
}

/// Returns the package with which a case's name begins.
fn package(name: &str) -> &str {
    name.split(',').next().unwrap_or(name)
}

fn is_peer(name: &str) -> bool {
    !matches!(package(name), OURS | "tower-http")
}

/// Returns the name with the package's version in the lock file, except for this crate and tower-http.
fn full_name(name: &str) -> String {
    if !is_peer(name) {
        return name.to_owned();
    }
    let package = package(name);
    let found = format!("name = \"{package}\"\nversion = \"");
    let lock = include_str!("../../../Cargo.lock");
    let rest = lock.split(&found).nth(1).expect("a locked package");
    let version = rest.split('"').next().unwrap_or_default();
    name.replacen(package, &format!("{package} {version}"), 1)
}

fn type_of_requests(name: &str) -> &'static str {
    match package(name) {
        "aws-smithy-runtime" | "azure_core" => "its own",
        MIDDLEWARE => "`reqwest::Request`",
        _ => "`http::Request`",
    }
}
