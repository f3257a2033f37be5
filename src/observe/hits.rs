#[cfg(feature = "metrics")]
use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

#[cfg(feature = "metrics")]
use crossbeam_utils::CachePadded;

/// Counts a provider's hits. Without the feature `metrics` it is nothing.
///
/// One count for all would have threads contend for it with each hit, so they have one each, up to 16
/// of them, and what was counted is told to the recorder in batches.
pub(crate) struct Hits {
    #[cfg(feature = "metrics")]
    stripes: [CachePadded<AtomicU64>; STRIPES],
    #[cfg(feature = "metrics")]
    counter: metrics::Counter,
}

#[cfg(feature = "metrics")]
const STRIPES: usize = 16;

/// How many hits a thread counts before it tells them.
#[cfg(feature = "metrics")]
const BATCH: u64 = 64;

impl Hits {
    /// A counter of the recorder that is installed now.
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        super::told::describe();
        Self {
            #[cfg(feature = "metrics")]
            stripes: Default::default(),
            #[cfg(feature = "metrics")]
            counter: metrics::counter!(super::told::HITS),
        }
    }

    #[inline]
    pub(crate) fn count(&self) {
        #[cfg(feature = "metrics")]
        self.count_for_thread();
    }

    // A call of its own takes 10 instructions of a hit. Inlined, it has the hit put its registers away, and takes 22.
    #[cfg(feature = "metrics")]
    #[inline(never)]
    fn count_for_thread(&self) {
        let stripe = &self.stripes[stripe_of_thread() % STRIPES];
        if stripe.fetch_add(1, Ordering::Relaxed) >= BATCH - 1 {
            self.tell(stripe);
        }
    }

    /// Tells all that was counted: at each step off the way of a hit, and in the end.
    pub(crate) fn publish(&self) {
        #[cfg(feature = "metrics")]
        for stripe in &self.stripes {
            self.tell(stripe);
        }
    }

    #[cfg(feature = "metrics")]
    #[cold]
    fn tell(&self, stripe: &AtomicU64) {
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
