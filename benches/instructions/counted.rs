//! The benchmarks as gungraun has them: it starts this program under valgrind for each, and counts
//! what happens within `send`.

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use http::Request;

use super::cases::{self, Batch};

#[library_benchmark]
#[bench::bare_service(cases::bare_service())]
#[bench::raw_inserts(cases::raw_inserts())]
#[bench::th_x2(cases::th_x2())]
#[bench::hit(cases::hit())]
#[bench::hit_known_expiry(cases::hit_known_expiry())]
#[bench::hit_own_version(cases::hit_own_version())]
#[bench::hit_cloned(cases::hit_cloned())]
#[bench::hit_replay(cases::hit_replay())]
#[bench::integration_token(cases::integration_token())]
fn send<F: FnMut(Request<()>)>(mut batch: Box<Batch<F>>) -> Box<Batch<F>> {
    batch.send_all();
    batch
}

library_benchmark_group!(name = injection, benchmarks = send);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no"]).format([EventKind::Ir])),
    library_benchmark_groups = injection
);

/// Starts gungraun's runner, or is what that has started. It ends the process when it fails.
pub(crate) fn run() {
    main();
}
