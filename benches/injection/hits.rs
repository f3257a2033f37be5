//! A cache hit on one thread, compared with other ways to set headers.

use std::{convert::Infallible, future::Ready};

use http::{Request, Response};
use notion_auth::{NotionAuth, Subject, layer::NoReplay, testing};
use tower::Service;

use crate::harness::{
    ALLOCATIONS, API, BEYOND, Case, Goals, Inner, Json, MONTH, NS, Reports, by, by_clones_of,
    insert_both, name, number, profile, provider, refreshing, replaying, report_allocations,
    report_times, request, request_with_json, request_with_version, set_header_if_absent,
    set_header_twice, table,
};

const FLOOR: &str = "bare service";
const FLOOR_CLONED: &str = "bare service, cloned";
const RAW: &str = "two raw inserts";
const TH2: &str = "th×2";
const TH2_CLONED: &str = "th×2, cloned";
const TH2_IF_ABSENT: &str = "th×2, version if absent";
const HIT: &str = "hit";
const HIT_CLONED: &str = "hit, cloned";
const HIT_REPLAY: &str = "default layer, empty body";
const HIT_REPLAY_EXTENSION: &str = "default layer, another extension";
const HIT_JSON: &str = "default layer, `Full<Bytes>`";
const FLOOR_JSON: &str = "bare service, `Full<Bytes>`";
const TH2_JSON: &str = "th×2, `Full<Bytes>`";
const MAKING: &str = "making a subject";
const LOAD: &str = "a dependent load in 300 MiB";

pub(crate) const AGAINST: &str = "against th×2";

/// Number of cached subjects, unless stated otherwise.
pub(crate) const SUBJECTS: usize = 1_000;

/// Numbers of cached subjects that are compared.
const SIZES: [usize; 4] = [1, SUBJECTS, 100_000, 1_000_000];

/// Few rounds with many batches each, so that the processor's caches contain the case's data.
const ROUNDS: usize = 7;
const BATCHES: usize = 1_000;

pub(crate) fn measure() {
    report_allocations(cases(), |work| {
        allocation_counter::measure(work).count_total
    });
    let mut cases = cases();
    cases.extend(SIZES.into_iter().flat_map(cases_of_size));
    cases.push(Case::new(MAKING, FLOOR, || name(500), Subject::new));
    cases.push(Case::new(LOAD, FLOOR, || (), dependent_loads()));
    report_times(cases, ROUNDS, BATCHES, |case| match case.floor {
        FLOOR_CLONED => &[(AGAINST, TH2_CLONED)],
        FLOOR_JSON => &[(AGAINST, TH2_JSON)],
        _ => &[(AGAINST, TH2)],
    });
}

/// The cases of the first table, and the components of a hit's cost.
fn cases() -> Vec<Case> {
    let one = || request(500);
    let cached = provider(SUBJECTS, None);
    let expiring = provider(SUBJECTS, Some(MONTH));
    let integration = testing::fixed_token("ntn_0123456789", API).expect("a provider");
    let with_version = || request_with_version(500);
    let with_extension = || {
        let mut request = request(500);
        request.extensions_mut().insert("of another middleware");
        request
    };
    vec![
        kept(FLOOR, Inner, one),
        cloned(FLOOR_CLONED, Inner),
        kept(RAW, insert_both(), one),
        kept(TH2, set_header_twice(), one),
        cloned(TH2_CLONED, set_header_twice()),
        kept(TH2_IF_ABSENT, set_header_if_absent(), one),
        kept(HIT, refreshing(&cached), one),
        cloned(HIT_CLONED, refreshing(&cached)),
        kept("hit, known expiry", refreshing(&expiring), one),
        kept(
            "hit, caller's own version",
            refreshing(&cached),
            with_version,
        ),
        kept(
            "hit, with another extension",
            refreshing(&cached),
            with_extension,
        ),
        kept("integration token", refreshing(&integration), one),
        kept(HIT_REPLAY, replaying(&cached), one),
        kept(HIT_REPLAY_EXTENSION, replaying(&cached), with_extension),
        with_json(FLOOR_JSON, Inner),
        with_json(TH2_JSON, set_header_twice()),
        with_json(HIT_JSON, replaying(&cached)),
    ]
}

/// Returns a hit among this many subjects: always the same one, and a varying one.
fn cases_of_size(count: usize) -> [Case; 2] {
    let service = refreshing(&provider(count, None));
    let mut random = fastrand::Rng::with_seed(count as u64);
    [
        kept(hot(count), service.clone(), move || request(count / 2)),
        kept(any(count), service, move || request(random.usize(..count))),
    ]
}

fn hot(count: usize) -> String {
    format!("hit, one of {}", number(count as f64))
}

fn any(count: usize) -> String {
    format!("hit, any of {}", number(count as f64))
}

/// Sends requests through one service.
fn kept<S: Service<Request<()>> + 'static>(
    name: impl Into<String>,
    service: S,
    make: impl FnMut() -> Request<()> + 'static,
) -> Case {
    Case::new(name, FLOOR, make, by(service))
}

/// Sends requests with a body through one service.
fn with_json<S: Service<Request<Json>> + 'static>(name: &str, service: S) -> Case {
    Case::new(name, FLOOR_JSON, || request_with_json(500), by(service))
}

/// Sends each request through a clone of the service, as `oneshot` does.
fn cloned<S: Service<Request<()>> + Clone + 'static>(name: &str, service: S) -> Case {
    Case::new(name, FLOOR_CLONED, || request(500), by_clones_of(service))
}

/// Loads that each depend on the previous one, anywhere in 300 MiB.
fn dependent_loads() -> impl FnMut(()) -> u32 {
    const LINES: usize = 300 * 1024 * 1024 / 64;
    let mut order: Vec<u32> = (0..LINES as u32).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut order);
    let mut lines = vec![[0_u32; 16]; LINES];
    for (at, line) in order.iter().enumerate() {
        lines[*line as usize][0] = order[(at + 1) % LINES];
    }
    let mut at = 0;
    move |()| {
        at = lines[at as usize][0];
        at
    }
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    let cases = cases().into_iter().map(|case| case.name);
    reports.table(
        "One thread, 1,000 cached subjects; against two static headers (th×2), cloned against cloned:",
        " | ns | ns over the bare service | against th×2 | allocations",
        &cases.collect::<Vec<_>>(),
    );
    let sizes = SIZES.map(|count| {
        let row = [hot(count), any(count)].map(|name| reports.row(&name, &[BEYOND, AGAINST]));
        [vec![number(count as f64)], row.concat()].concat()
    });
    table(
        "One thread, by number of cached subjects: always the same one, and any of them:",
        1,
        "subjects | one, ns | against th×2 | any, ns | against th×2",
        &sizes,
    );
    println!(
        "For comparison, {LOAD}: {} ns; {MAKING} of 36 bytes, before the request is sent: {} ns.\n",
        number(reports.get(LOAD, NS)),
        number(reports.get(MAKING, NS))
    );
    if profile() == "default" {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/figures/subjects.svg");
        let title = "Cost of a hit by cached subjects";
        let mut names = vec![TH2.to_owned()];
        names.extend(SIZES.into_iter().flat_map(|count| [hot(count), any(count)]));
        reports.draw(path, title, &names).expect("a chart");
    }

    let over = |name: &str, other: &str| reports.get(name, BEYOND) / reports.get(other, BEYOND);
    let allocations = |name| reports.get(name, ALLOCATIONS);
    let random_loads = reports.get(&any(SIZES[3]), BEYOND) / reports.get(LOAD, NS);
    goals.set(
        "allocations beyond two raw inserts",
        allocations(HIT) - allocations(RAW),
    );
    goals.set("hit, one hot, against th×2", reports.get(HIT, AGAINST));
    goals.set(
        "hit, any of 1,000, against th×2",
        reports.get(&any(SUBJECTS), AGAINST),
    );
    goals.set(
        "hit against th×2, version if absent",
        over(HIT, TH2_IF_ABSENT),
    );
    goals.set("both cloned", over(HIT_CLONED, TH2_CLONED));
    goals.set(
        "future of a hit beyond the inner one, bytes",
        bytes_beyond_the_inner_future(),
    );
    goals.set("any of 1,000,000, against a dependent load", random_loads);
    goals.set(
        "default layer, empty body, against th×2",
        reports.get(HIT_REPLAY, AGAINST),
    );
    goals.set(
        "default layer, empty body, allocations",
        allocations(HIT_REPLAY) - allocations(RAW),
    );
    goals.set(
        "default layer, Full<Bytes>, against th×2",
        reports.get(HIT_JSON, AGAINST),
    );
    goals.set(
        "default layer, Full<Bytes>, allocations",
        allocations(HIT_JSON) - allocations(TH2_JSON),
    );
}

/// Compares with an inner future of the bare service's size.
fn bytes_beyond_the_inner_future() -> f64 {
    type Outer = <NotionAuth<Inner, NoReplay> as Service<Request<()>>>::Future;
    let inner = size_of::<Ready<Result<Response<()>, Infallible>>>();
    size_of::<Outer>().saturating_sub(inner) as f64
}
