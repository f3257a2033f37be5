//! Measures interleaved cases, so that disturbances of the machine affect all of them alike.

use std::{
    hint::black_box,
    iter::repeat_with,
    time::{Duration, Instant},
};

use super::{
    median, report,
    requests::{BATCH, forget_sent},
};

/// Figures reported for each case.
pub(crate) const NS: &str = "ns";
pub(crate) const BEYOND: &str = "ns over the bare service";
pub(crate) const ALLOCATIONS: &str = "allocations";

/// Measures the closure that it is given, and must call it exactly once.
type Gauge<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// Work whose time or allocations are measured.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Name of the bare service's case, which does everything except what is measured.
    pub(crate) floor: &'static str,
    batch: Box<dyn FnMut(Gauge<'_>)>,
}

impl Case {
    /// Creates a case. [`BATCH`] values are created before the measurement, and the results are dropped
    /// after it.
    pub(crate) fn new<T: 'static, U: 'static>(
        name: impl Into<String>,
        floor: &'static str,
        mut make: impl FnMut() -> T + 'static,
        mut work: impl FnMut(T) -> U + 'static,
    ) -> Self {
        let mut made: Vec<T> = Vec::with_capacity(BATCH);
        let mut done: Vec<U> = Vec::with_capacity(BATCH);
        let batch = move |gauge: Gauge<'_>| {
            made.extend(repeat_with(&mut make).take(BATCH));
            gauge(&mut || done.extend(black_box(&mut made).drain(..).map(&mut work)));
            done.clear();
            forget_sent();
        };
        Self {
            name: name.into(),
            floor,
            batch: Box::new(batch),
        }
    }

    /// Runs a batch. Returns nanoseconds per item.
    fn time(&mut self) -> f64 {
        let mut time = Duration::ZERO;
        (self.batch)(&mut |work| {
            let start = Instant::now();
            work();
            time = start.elapsed();
        });
        time.as_nanos() as f64 / BATCH as f64
    }
}

/// Runs all cases in turn, `rounds` times. A round is the median of `batches` batches of a case.
///
/// Reports the time of each case, and its time over its floor. The latter is also reported relative to
/// other cases: `references` returns the names of these figures and cases.
pub(crate) fn report_times(
    mut cases: Vec<Case>,
    rounds: usize,
    batches: usize,
    references: impl Fn(&Case) -> &'static [(&'static str, &'static str)],
) {
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=rounds {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            let time = median((0..batches).map(|_| case.time()));
            // The first round warms up.
            if round > 0 {
                times.push(time);
            }
        }
    }
    let find = |name: &str| {
        let at = cases.iter().position(|case| case.name == name);
        at.unwrap_or_else(|| panic!("no case is named {name:?}"))
    };
    let beyond_floor = |at: usize| -> Vec<f64> {
        let floor = &times[find(cases[at].floor)];
        let pairs = times[at].iter().zip(floor);
        pairs.map(|(time, floor)| time - floor).collect()
    };
    for (at, case) in cases.iter().enumerate() {
        let beyond = beyond_floor(at);
        report(&case.name, NS, median(times[at].iter().copied()));
        report(&case.name, BEYOND, median(beyond.iter().copied()));
        for (figure, reference) in references(case) {
            let pairs = beyond.iter().zip(beyond_floor(find(reference)));
            report(
                &case.name,
                figure,
                median(pairs.map(|(ours, theirs)| ours / theirs)),
            );
        }
    }
}

/// Reports the allocations of each case per request. `count` calls its argument and counts the allocations.
pub(crate) fn report_allocations(cases: Vec<Case>, count: impl Fn(&mut dyn FnMut()) -> u64) {
    for mut case in cases {
        let mut counted = 0;
        // The first runs may allocate memory that is kept.
        for _ in 0..3 {
            (case.batch)(&mut |work| counted = count(work));
        }
        report(&case.name, ALLOCATIONS, counted as f64 / BATCH as f64);
    }
}
