//! Time as the provider reads it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

/// Where the provider reads the time.
///
/// Two readings, because each has a fault that the other has not: the wall clock can be set back,
/// the monotonic clock may stand still while the machine is suspended. Tests use
/// `testing::TestClock`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Time since some fixed moment of this process, precise. It never goes backwards.
    fn monotonic(&self) -> Duration;

    /// [`monotonic`](Self::monotonic) as each request reads it: cheap, and up to some milliseconds
    /// off.
    ///
    /// Used only to decide whether a cached token is still usable.
    fn coarse_monotonic(&self) -> Duration {
        self.monotonic()
    }

    /// The wall clock, UTC.
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

/// The system's clocks.
///
/// [`coarse_monotonic`](Clock::coarse_monotonic) is the kernel's coarse clock where there is one: a
/// tenth of the cost of [`Instant::now`], in steps of 1 to 10 milliseconds.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// When this process first read a clock. Both readings are of one moment.
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

/// Readings start at one day, so that "some time before now" can always be written down.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whole seconds since 1970, UTC; 0 before.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_readings_are_of_one_origin() {
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
