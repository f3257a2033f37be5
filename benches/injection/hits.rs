//! One thread: a hit beside what else one would put on a request.

use std::{hint::black_box, time::Instant};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use notion_auth::{CloneBody, NotionAuthLayer, NotionAuthProvider, header::NOTION_VERSION};
use tower::{Layer, Service, ServiceBuilder};
use tower_http::set_header::{SetRequestHeader, SetRequestHeaderLayer};

use crate::support::{
    goal::short,
    inner::{BATCH, Inner, request},
    interleave::{Case, interleave},
    processes::{self, report},
    residents::{Expiry, provider},
};

const FLOOR: &str = "bare service";
const FLOOR_CLONED: &str = "bare service, cloned";
pub(crate) const TH2: &str = "th x2";
const TH2_CLONED: &str = "th x2, cloned";
const TH2_IF_ABSENT: &str = "th x2, version if absent";

/// Reports what a process measures.
pub(crate) fn measure() {
    let mut cases = cases();
    let times = interleave(&mut cases, 31, 400);
    for name in times.names() {
        let floor = if name.contains("cloned") {
            FLOOR_CLONED
        } else {
            FLOOR
        };
        report(&format!("{name}: ns over floor"), times.over(name, floor));
        report(
            &format!("{name}: ratio"),
            times.ratio((name, floor), (TH2, FLOOR)),
        );
    }
    for name in times.names() {
        report(&format!("{name}: order"), 0.0);
    }
}

fn version() -> HeaderValue {
    HeaderValue::from_static("2026-03-11")
}

fn token() -> HeaderValue {
    let mut token = HeaderValue::from_static("Bearer ntn_0123456789");
    token.set_sensitive(true);
    token
}

#[derive(Clone)]
struct RawInserts(Inner, HeaderValue, HeaderValue);

impl Service<Request<()>> for RawInserts {
    type Response = <Inner as Service<Request<()>>>::Response;
    type Error = <Inner as Service<Request<()>>>::Error;
    type Future = <Inner as Service<Request<()>>>::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        request.headers_mut().insert(AUTHORIZATION, self.1.clone());
        request.headers_mut().insert(NOTION_VERSION, self.2.clone());
        self.0.call(request)
    }
}

pub(crate) fn refreshing(provider: &NotionAuthProvider) -> notion_auth::NotionAuth<Inner> {
    NotionAuthLayer::refreshing(provider.clone()).layer(Inner)
}

pub(crate) type Th2 = SetRequestHeader<SetRequestHeader<Inner, HeaderValue>, HeaderValue>;

/// Two static headers by tower-http.
pub(crate) fn th2() -> Th2 {
    ServiceBuilder::new()
        .layer(SetRequestHeaderLayer::overriding(AUTHORIZATION, token()))
        .layer(SetRequestHeaderLayer::overriding(NOTION_VERSION, version()))
        .service(Inner)
}

fn cases() -> Vec<Case> {
    let th2 = th2();
    let th2_if_absent = ServiceBuilder::new()
        .layer(SetRequestHeaderLayer::overriding(AUTHORIZATION, token()))
        .layer(SetRequestHeaderLayer::if_not_present(
            NOTION_VERSION,
            version(),
        ))
        .service(Inner);
    let counted =
        HeaderValue::from_maybe_shared(bytes::Bytes::from_owner(b"Bearer ntn_0123456789".to_vec()))
            .unwrap();
    let raw = RawInserts(Inner, counted, version());
    let one = || request(500);
    let mut cases = vec![
        Case::kept(FLOOR, Inner, one),
        Case::cloned(FLOOR_CLONED, Inner, one),
        Case::kept("raw inserts", raw, one),
        Case::kept(TH2, th2.clone(), one),
        Case::cloned(TH2_CLONED, th2, one),
        Case::kept(TH2_IF_ABSENT, th2_if_absent, one),
    ];
    let thousand = provider(1_000, Expiry::Unknown);
    let mut rng = fastrand::Rng::with_seed(1);
    cases.push(Case::kept("hit, 1000, hot", refreshing(&thousand), one));
    cases.push(Case::cloned(
        "hit, 1000, hot, cloned",
        refreshing(&thousand),
        one,
    ));
    cases.push(Case::kept(
        "hit, 1000, random",
        refreshing(&thousand),
        move || request(rng.usize(..1000)),
    ));
    let known = provider(1_000, Expiry::Known);
    cases.push(Case::kept("hit, 1000, known", refreshing(&known), one));
    let replaying = NotionAuthLayer::refreshing(thousand.clone())
        .replaying(CloneBody)
        .layer(Inner);
    cases.push(Case::kept("hit, replay", replaying, one));
    cases
}

pub(crate) fn compare() {
    let reports = processes::run("hits", processes::repeats());
    for line in [
        "raw inserts",
        TH2,
        TH2_CLONED,
        TH2_IF_ABSENT,
        "hit, 1000, hot",
        "hit, 1000, hot, cloned",
        "hit, 1000, random",
        "hit, 1000, known",
        "hit, replay",
    ] {
        println!(
            "{line:40} {:>8} {:>8}",
            short(reports.median(&format!("{line}: ns over floor"))),
            short(reports.median(&format!("{line}: ratio")))
        );
    }
    let _ = (BATCH, black_box(Instant::now()), ());
}

pub(crate) fn profile(name: &str, batches: usize) {
    let mut cases = cases();
    let case = cases.iter_mut().find(|case| case.name == name).unwrap();
    interleave(std::slice::from_mut(case), 1, batches);
}

pub(crate) fn quick() {
    let mut cases = cases();
    cases.retain(|case| {
        [FLOOR, TH2, "hit, 1000, hot", "hit, 1000, random"].contains(&case.name.as_str())
    });
    let times = interleave(&mut cases, 9, 4000);
    for name in times.names() {
        println!(
            "{name} {:.1} {:.2}",
            times.over(name, FLOOR),
            times.ratio((name, FLOOR), (TH2, FLOOR))
        );
    }
}
