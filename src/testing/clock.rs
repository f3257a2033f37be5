use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::clock::{Clock, DAY};

/// Clock for tests that follows Tokio's clock and can be moved independently of it.
///
/// With paused Tokio time, both show the same time. Clones share their time. The wall clock starts at
/// 2026-01-01T00:00:00Z.
///
/// ```
/// use notion_auth::{clock::Clock, testing::TestClock};
/// use std::time::Duration;
///
/// let clock = TestClock::new();
/// let before = clock.wall();
/// clock.advance(Duration::from_secs(90));
/// assert!(clock.wall() >= before + Duration::from_secs(90));
/// ```
#[derive(Debug, Clone)]
pub struct TestClock {
    origin: Instant,
    offsets: Arc<Mutex<Offsets>>,
}

#[derive(Debug)]
struct Offsets {
    monotonic: Duration,
    wall: SystemTime,
}

impl TestClock {
    /// Creates a clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
            offsets: Arc::new(Mutex::new(Offsets {
                monotonic: DAY,
                wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            })),
        }
    }

    /// Advances both clocks without firing timers, as if all tasks were suspended.
    pub fn advance(&self, by: Duration) {
        let mut offsets = self.offsets();
        offsets.monotonic += by;
        offsets.wall += by;
    }

    /// Advances the wall clock only, as if the machine was suspended.
    pub fn step_wall_forward(&self, by: Duration) {
        self.offsets().wall += by;
    }

    /// Sets the wall clock back, as an operator or time server may do.
    pub fn step_wall_back(&self, by: Duration) {
        self.offsets().wall -= by;
    }

    fn offsets(&self) -> std::sync::MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        self.offsets().monotonic + self.origin.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.offsets().wall + self.origin.elapsed()
    }
}
