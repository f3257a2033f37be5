//! The benchmarks for gungraun, which starts this program under valgrind for each of them and counts the
//! instructions within `send`.

#![allow(unused_qualifications, reason = "gungraun's macro makes them")]

use std::time::Duration;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use http::Request;
use notion_auth::{NotionAuthProvider, testing};

use crate::harness::{
    API, BATCH, Inner, MONTH, by, by_clones_of, forget_sent, insert_both, provider, refreshing,
    replaying, request, request_with_json, request_with_version, set_header_twice,
};

#[library_benchmark]
#[bench::bare_service(Batch::new(request, by(Inner)))]
#[bench::raw_inserts(Batch::new(request, by(insert_both())))]
#[bench::th_x2(Batch::new(request, by(set_header_twice())))]
#[bench::hit(Batch::new(request, by(refreshing(&cached(None)))))]
#[bench::hit_known_expiry(Batch::new(request, by(refreshing(&cached(Some(MONTH))))))]
#[bench::hit_own_version(Batch::new(request_with_version, by(refreshing(&cached(None)))))]
#[bench::hit_cloned(Batch::new(request, by_clones_of(refreshing(&cached(None)))))]
#[bench::hit_replay(Batch::new(request, by(replaying(&cached(None)))))]
#[bench::integration_token(Batch::new(request, by(refreshing(&integration()))))]
#[bench::bare_service_json(Batch::new(request_with_json, by(Inner)))]
#[bench::th_x2_json(Batch::new(request_with_json, by(set_header_twice())))]
#[bench::hit_replay_json(Batch::new(request_with_json, by(replaying(&cached(None)))))]
fn send<B, F: FnMut(Request<B>)>(mut batch: Box<Batch<B, F>>) -> Box<Batch<B, F>> {
    batch.send_all();
    batch
}

library_benchmark_group!(name = injection, benchmarks = send);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no"]).format([EventKind::Ir])),
    library_benchmark_groups = injection
);

/// Starts gungraun's runner, or runs as its child. Ends the process on failure.
pub(crate) fn run() {
    main();
}

const SUBJECTS: usize = 1_000;

/// Warmed-up requests, and the way to send one. Boxed, so that passing it costs the same for each case.
///
/// Earlier allocations and frees change the allocator's work: a provider's builder created later, and freed
/// arguments, have added 9 % to `hit_replay`.
struct Batch<B, F> {
    requests: Vec<Request<B>>,
    send: F,
}

impl<B, F: FnMut(Request<B>)> Batch<B, F> {
    fn new(make: impl Fn(usize) -> Request<B>, send: F) -> Box<Self> {
        // Several subjects, because the comparisons of a look-up differ a little between them.
        let make = || (0..BATCH).map(|at| make(at * SUBJECTS / BATCH)).collect();
        let mut batch = Box::new(Self {
            requests: make(),
            send,
        });
        batch.send_all();
        forget_sent();
        batch.requests = make();
        batch
    }

    /// The counted function. The requests are kept, so that dropping them is not counted.
    #[inline]
    fn send_all(&mut self) {
        for request in self.requests.drain(..) {
            (self.send)(request);
        }
    }
}

fn cached(expires_in: Option<Duration>) -> NotionAuthProvider {
    provider(SUBJECTS, expires_in)
}

fn integration() -> NotionAuthProvider {
    let token = format!("ntn_{}", "0123456789".repeat(6));
    testing::fixed_token(&token, API).expect("a provider")
}
