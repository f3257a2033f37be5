//! Time as the provider reads it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

/// Where the provider reads the time.
///
/// Two readings, because each has a fault that the other has not: the wall clock can be set back,
/// the monotonic clock may stand still while the machine is suspended. Tests use
/// `testing::TestClock`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Time since some fixed moment of this process. It never goes backwards. Read on the way of a
    /// request, so it should be cheap; a precision of some milliseconds is enough.
    fn monotonic(&self) -> Duration;

    /// The wall clock, UTC.
    fn wall(&self) -> SystemTime;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn wall(&self) -> SystemTime {
        (**self).wall()
    }
}

/// The system's clocks. The monotonic one is the coarse clock where the system has one: a tenth
/// of the cost of [`Instant::now`](std::time::Instant::now), good to a few milliseconds.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        static ORIGIN: OnceLock<coarsetime::Instant> = OnceLock::new();
        let origin = ORIGIN.get_or_init(coarsetime::Instant::now);
        let elapsed: Duration = coarsetime::Instant::now().duration_since(*origin).into();
        DAY + elapsed
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
