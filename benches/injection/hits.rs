//! One thread: a hit beside what else one would put on a request.

use std::{hint::black_box, time::Instant};

use super::cases::{FLOOR, FLOOR_CLONED, TH2, TH2_CLONED, cases, making_a_subject, of_residents};
use crate::support::{
    inner::BATCH,
    interleave::{Case, Times, interleave},
    prepared::Prepared,
    processes::report,
};

/// How many subjects there are in turn.
pub(crate) const SIZES: [usize; 4] = [1, 1_000, 100_000, 1_000_000];
pub(crate) const LOAD: &str = "a dependent load in 300 MiB";

/// Few rounds, each long enough for the caches of the processor to be those of the case.
const ROUNDS: usize = 7;
const BATCHES: usize = 2_000;

/// Tells what the cases take, in nanoseconds over the bare service and against two static headers.
pub(crate) fn measure() {
    let mut cases: Vec<Case> = cases().into_iter().map(Prepared::into_case).collect();
    for count in SIZES {
        cases.extend(of_residents(count).map(Prepared::into_case));
    }
    cases.push(making_a_subject().into_case());
    cases.push(Case::new(LOAD, dependent_loads()));
    let times = interleave(&mut cases, ROUNDS, BATCHES);
    for name in times.names() {
        tell(&times, name);
    }
}

fn tell(times: &Times, name: &str) {
    let (floor, th2) = if name.ends_with("cloned") {
        (FLOOR_CLONED, TH2_CLONED)
    } else {
        (FLOOR, TH2)
    };
    report(&format!("{name}: ns"), times.of_itself(name));
    report(&format!("{name}: ns over floor"), times.over(name, floor));
    let ratio = times.ratio((name, floor), (th2, floor));
    report(&format!("{name}: ratio"), ratio);
}

/// Tells what the cases allocate for a request.
pub(crate) fn count() {
    for mut case in cases() {
        // The first time something may be made that stays.
        for _ in 0..2 {
            case.measure(&mut |work| work());
        }
        let mut info = allocation_counter::AllocationInfo::default();
        case.measure(&mut |work| info = allocation_counter::measure(work));
        let each = info.count_total as f64 / BATCH as f64;
        report(&format!("{}: allocations", case.name()), each);
    }
}

/// Loads each of which says where the next one goes, anywhere in 300 MiB.
fn dependent_loads() -> impl FnMut() -> std::time::Duration {
    const LINES: usize = 300 * 1024 * 1024 / 64;
    let mut order: Vec<u32> = (0..LINES as u32).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut order);
    let mut lines = vec![[0_u32; 16]; LINES];
    for (at, line) in order.iter().enumerate() {
        lines[*line as usize][0] = order[(at + 1) % LINES];
    }
    let mut at = 0;
    move || {
        let start = Instant::now();
        for _ in 0..BATCH {
            at = lines[at as usize][0];
        }
        let time = start.elapsed();
        black_box(at);
        time
    }
}
