//! The clocks that the provider reads.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

/// Source of the current time.
///
/// It has two clocks because each has a flaw: the wall clock can be set back, and the monotonic clock may
/// stop while the machine is suspended. Tests use `testing::TestClock`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time since a fixed moment of this process. It never decreases.
    fn monotonic(&self) -> Duration;

    /// Returns [`monotonic`](Self::monotonic) at lower cost and precision: it may be some milliseconds off.
    ///
    /// It is read by every request, and used only to decide whether a cached token is still usable.
    fn coarse_monotonic(&self) -> Duration {
        self.monotonic()
    }

    /// Returns the wall clock time, UTC.
    fn wall(&self) -> SystemTime;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn coarse_monotonic(&self) -> Duration {
        (**self).coarse_monotonic()
    }

    fn wall(&self) -> SystemTime {
        (**self).wall()
    }
}

/// The operating system's clocks.
///
/// [`coarse_monotonic`](Clock::coarse_monotonic) uses the kernel's coarse clock where available, at a tenth
/// of the cost of [`Instant::now`]. It advances in steps of 1 to 10 milliseconds.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// Returns the time of this process's first reading, on both monotonic clocks.
    fn origin() -> (Instant, coarsetime::Instant) {
        static ORIGIN: OnceLock<(Instant, coarsetime::Instant)> = OnceLock::new();
        *ORIGIN.get_or_init(|| (Instant::now(), coarsetime::Instant::now()))
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        DAY + Self::origin().0.elapsed()
    }

    fn coarse_monotonic(&self) -> Duration {
        let elapsed = coarsetime::Instant::now().duration_since(Self::origin().1);
        DAY + Duration::from(elapsed)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Monotonic readings start at one day, so that subtracting a duration from "now" does not underflow.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns whole seconds since 1970, UTC. Times before 1970 yield 0.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_readings_share_one_origin() {
        let a_second = Duration::from_secs(1);
        let clock = SystemClock;
        let before = clock.monotonic();
        let coarse = clock.coarse_monotonic();
        let after = clock.monotonic();
        assert!(
            before <= coarse + a_second && coarse <= after + a_second,
            "{before:?} {coarse:?} {after:?}"
        );
    }
}
