//! What is put on requests, by us and by others.

use std::hint::black_box;

use http::{HeaderValue, Request, Response};
use notion_auth::{
    CloneBody, NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject, header::NOTION_VERSION,
    testing,
};
use tower::{Layer, Service};

use crate::support::{
    inner::{API, Inner, name, request, send},
    prepared::Prepared,
    residents::{Expiry, provider},
    rivals::{RawInserts, set_header_if_absent, set_header_twice},
};

pub(crate) const FLOOR: &str = "bare service";
pub(crate) const FLOOR_CLONED: &str = "bare service, cloned";
pub(crate) const RAW: &str = "two raw inserts";
pub(crate) const TH2: &str = "th×2";
pub(crate) const TH2_CLONED: &str = "th×2, cloned";
pub(crate) const TH2_IF_ABSENT: &str = "th×2, version if absent";
pub(crate) const HIT: &str = "hit";
pub(crate) const HIT_CLONED: &str = "hit, cloned";
pub(crate) const HIT_REPLAY: &str = "hit, replay of an empty body";

pub(crate) const MAKING: &str = "making a subject";

/// How many subjects the cache holds where it is not said.
pub(crate) const RESIDENTS: usize = 1_000;

/// The cases that come first in the table, and all of which the cost of a hit is made up.
pub(crate) fn cases() -> Vec<Prepared> {
    let one = || request(500);
    let residents = provider(RESIDENTS, Expiry::Unknown);
    let expiring = provider(RESIDENTS, Expiry::Known);
    let integration = testing::fixed_token("ntn_0123456789", API).expect("a provider");
    vec![
        kept(FLOOR, Inner, one),
        cloned(FLOOR_CLONED, Inner, one),
        kept(RAW, RawInserts::new(), one),
        kept(TH2, set_header_twice(), one),
        cloned(TH2_CLONED, set_header_twice(), one),
        kept(TH2_IF_ABSENT, set_header_if_absent(), one),
        kept(HIT, refreshing(&residents), one),
        cloned(HIT_CLONED, refreshing(&residents), one),
        kept("hit, known expiry", refreshing(&expiring), one),
        kept(
            "hit, caller's own version",
            refreshing(&residents),
            versioned,
        ),
        kept(
            "hit, with another extension",
            refreshing(&residents),
            crowded,
        ),
        kept("integration token", refreshing(&integration), one),
        kept(HIT_REPLAY, replaying(&residents), one),
    ]
}

/// A hit among so many subjects: always the same one, and any of them.
pub(crate) fn of_residents(count: usize) -> [Prepared; 2] {
    let provider = provider(count, Expiry::Unknown);
    let mut random = fastrand::Rng::with_seed(count as u64);
    [
        kept(hot(count), refreshing(&provider), move || {
            request(count / 2)
        }),
        kept(any(count), refreshing(&provider), move || {
            request(random.usize(..count))
        }),
    ]
}

/// What a request needs before: its subject, of 36 bytes.
pub(crate) fn making_a_subject() -> Prepared {
    Prepared::new(MAKING, || name(500), Subject::new)
}

pub(crate) fn hot(count: usize) -> String {
    format!("hit, one of {count}")
}

pub(crate) fn any(count: usize) -> String {
    format!("hit, any of {count}")
}

pub(crate) fn refreshing(provider: &NotionAuthProvider) -> NotionAuth<Inner> {
    NotionAuthLayer::refreshing(provider.clone()).layer(Inner)
}

fn replaying(provider: &NotionAuthProvider) -> NotionAuth<Inner, CloneBody> {
    let layer = NotionAuthLayer::refreshing(provider.clone());
    layer.replaying(CloneBody).layer(Inner)
}

fn versioned() -> Request<()> {
    let mut request = request(500);
    let version = HeaderValue::from_static("2025-09-03");
    request.headers_mut().insert(NOTION_VERSION, version);
    request
}

fn crowded() -> Request<()> {
    let mut request = request(500);
    request.extensions_mut().insert("of another middleware");
    request
}

/// Requests sent by one service that is kept.
fn kept<S>(
    name: impl Into<String>,
    mut service: S,
    make: impl FnMut() -> Request<()> + 'static,
) -> Prepared
where
    S: Service<Request<()>, Response = Response<()>> + 'static,
{
    Prepared::new(name, make, move |request| send(&mut service, request))
}

/// Requests each of which is sent by a clone of the service, as `oneshot` does.
fn cloned<S>(
    name: impl Into<String>,
    service: S,
    make: impl FnMut() -> Request<()> + 'static,
) -> Prepared
where
    S: Service<Request<()>, Response = Response<()>> + Clone + 'static,
{
    Prepared::new(name, make, move |request| {
        send(&mut black_box(&service).clone(), request);
    })
}
