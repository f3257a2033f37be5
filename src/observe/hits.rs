#[cfg(feature = "metrics")]
use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

#[cfg(feature = "metrics")]
use crossbeam_utils::CachePadded;

/// Cache hit counter of a provider. Empty without the `metrics` feature.
///
/// A single atomic counter would be contended by every hit. Each thread therefore uses one of 16 stripes,
/// and stripes are reported to the recorder in batches.
pub(crate) struct Hits {
    #[cfg(feature = "metrics")]
    stripes: [CachePadded<AtomicU64>; STRIPES],
    #[cfg(feature = "metrics")]
    counter: metrics::Counter,
}

#[cfg(feature = "metrics")]
const STRIPES: usize = 16;

/// Number of hits a stripe collects before it is reported.
#[cfg(feature = "metrics")]
const BATCH: u64 = 64;

impl Hits {
    /// Registers the counter with the recorder that is installed at this moment.
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        super::events::describe();
        Self {
            #[cfg(feature = "metrics")]
            stripes: Default::default(),
            #[cfg(feature = "metrics")]
            counter: metrics::counter!(super::events::HITS),
        }
    }

    #[inline]
    pub(crate) fn count(&self) {
        #[cfg(feature = "metrics")]
        self.count_for_thread();
    }

    // As a separate call this adds 10 instructions to a hit. Inlined, it adds 22, because registers are
    // spilled.
    #[cfg(feature = "metrics")]
    #[inline(never)]
    fn count_for_thread(&self) {
        let stripe = &self.stripes[stripe_of_thread() % STRIPES];
        if stripe.fetch_add(1, Ordering::Relaxed) >= BATCH - 1 {
            self.report(stripe);
        }
    }

    /// Reports all stripes. Called on each cache miss and on drop.
    pub(crate) fn publish(&self) {
        #[cfg(feature = "metrics")]
        for stripe in &self.stripes {
            self.report(stripe);
        }
    }

    #[cfg(feature = "metrics")]
    #[cold]
    fn report(&self, stripe: &AtomicU64) {
        let hits = stripe.swap(0, Ordering::Relaxed);
        if hits > 0 {
            self.counter.increment(hits);
        }
    }
}

impl Drop for Hits {
    fn drop(&mut self) {
        self.publish();
    }
}

#[cfg(feature = "metrics")]
#[inline]
fn stripe_of_thread() -> usize {
    const NONE: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(NONE) });

    let mine = MINE.get();
    if mine != NONE {
        return mine;
    }
    let mine = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    MINE.set(mine);
    mine
}
