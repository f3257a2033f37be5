//! What is counted: batches of requests, made and warmed up before.

use std::hint::black_box;

use http::{HeaderValue, Request};
use notion_auth::{CloneBody, NotionAuth, NotionAuthLayer, header::NOTION_VERSION, testing};
use tower::{Layer, Service};

use crate::support::{
    inner::{API, BATCH, Inner, forget_sent, request, send},
    residents::{Expiry, provider},
    rivals::{RawInserts, set_header_twice},
};

const RESIDENTS: usize = 1_000;

/// Requests, and how one is sent. Boxed, so that handing it over takes the same for each case.
pub(crate) struct Batch<F> {
    requests: Vec<Request<()>>,
    send: F,
}

impl<F: FnMut(Request<()>)> Batch<F> {
    fn new(make: impl Fn(usize) -> Request<()>, send: F) -> Box<Self> {
        // Not one subject over and over: what a look-up compares differs a little between them.
        let make = || (0..BATCH).map(|at| make(at * RESIDENTS / BATCH)).collect();
        let mut batch = Box::new(Self {
            requests: make(),
            send,
        });
        batch.send_all();
        forget_sent();
        batch.requests = make();
        batch
    }

    /// What is counted. The sent requests are kept, so dropping them is not.
    #[inline]
    pub(crate) fn send_all(&mut self) {
        for request in self.requests.drain(..) {
            (self.send)(request);
        }
    }
}

type Sent<F> = Box<Batch<F>>;

fn kept<S: Service<Request<()>>>(mut service: S) -> Sent<impl FnMut(Request<()>)> {
    Batch::new(request, move |request| send(&mut service, request))
}

fn hits(expiry: Expiry) -> NotionAuth<Inner> {
    NotionAuthLayer::refreshing(provider(RESIDENTS, expiry)).layer(Inner)
}

pub(crate) fn bare_service() -> Sent<impl FnMut(Request<()>)> {
    kept(Inner)
}

pub(crate) fn raw_inserts() -> Sent<impl FnMut(Request<()>)> {
    kept(RawInserts::new())
}

pub(crate) fn th_x2() -> Sent<impl FnMut(Request<()>)> {
    kept(set_header_twice())
}

pub(crate) fn hit() -> Sent<impl FnMut(Request<()>)> {
    kept(hits(Expiry::Unknown))
}

pub(crate) fn hit_known_expiry() -> Sent<impl FnMut(Request<()>)> {
    kept(hits(Expiry::Known))
}

/// The caller's own `Notion-Version` stays.
pub(crate) fn hit_own_version() -> Sent<impl FnMut(Request<()>)> {
    let with_version = |subject| {
        let mut request = request(subject);
        let version = HeaderValue::from_static("2025-09-03");
        request.headers_mut().insert(NOTION_VERSION, version);
        request
    };
    let mut service = hits(Expiry::Unknown);
    Batch::new(with_version, move |request| send(&mut service, request))
}

/// A clone of the service for each request, as `oneshot` does.
pub(crate) fn hit_cloned() -> Sent<impl FnMut(Request<()>)> {
    let service = hits(Expiry::Unknown);
    Batch::new(request, move |request| {
        send(&mut black_box(&service).clone(), request);
    })
}

pub(crate) fn hit_replay() -> Sent<impl FnMut(Request<()>)> {
    let layer = NotionAuthLayer::refreshing(provider(RESIDENTS, Expiry::Unknown));
    kept(layer.replaying(CloneBody).layer(Inner))
}

pub(crate) fn integration_token() -> Sent<impl FnMut(Request<()>)> {
    let token = format!("ntn_{}", "0123456789".repeat(6));
    let provider = testing::fixed_token(&token, API).expect("a provider");
    kept(NotionAuthLayer::refreshing(provider).layer(Inner))
}
