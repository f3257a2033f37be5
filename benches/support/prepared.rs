//! Work on values of any type, which whoever measures it may time or count.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use super::{
    inner::{BATCH, forget_sent},
    interleave::Case,
};

/// Measures what it is given, which it must call once.
pub(crate) type Gauge<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// A piece of work and the preparations for it.
pub(crate) struct Prepared {
    name: String,
    batch: Box<dyn FnMut(Gauge<'_>)>,
}

impl Prepared {
    /// [`BATCH`] values are made before, and what became of them is dropped after, the measurement.
    pub(crate) fn new<T: 'static, U: 'static>(
        name: impl Into<String>,
        mut make: impl FnMut() -> T + 'static,
        mut work: impl FnMut(T) -> U + 'static,
    ) -> Self {
        let mut made: Vec<T> = Vec::with_capacity(BATCH);
        let mut done: Vec<U> = Vec::with_capacity(BATCH);
        let batch = move |gauge: Gauge<'_>| {
            made.extend(std::iter::repeat_with(&mut make).take(BATCH));
            gauge(&mut || done.extend(black_box(&mut made).drain(..).map(&mut work)));
            done.clear();
            forget_sent();
        };
        Self {
            name: name.into(),
            batch: Box::new(batch),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Has a batch of it measured.
    pub(crate) fn measure(&mut self, gauge: Gauge<'_>) {
        (self.batch)(gauge);
    }

    /// The same, timed.
    pub(crate) fn into_case(mut self) -> Case {
        Case::new(self.name.clone(), move || {
            let mut time = Duration::ZERO;
            self.measure(&mut |work| {
                let start = Instant::now();
                work();
                time = start.elapsed();
            });
            time
        })
    }
}
