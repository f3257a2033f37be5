use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::clock::{Clock, DAY};

/// A clock that follows tokio's, so that with paused time there is one time only, and that can be
/// moved beyond it by hand. Clones show the same time.
///
/// The wall clock starts at 2026-01-01T00:00:00Z.
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
    hands: Arc<Mutex<Hands>>,
}

#[derive(Debug)]
struct Hands {
    monotonic: Duration,
    wall: SystemTime,
}

impl TestClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
            hands: Arc::new(Mutex::new(Hands {
                monotonic: DAY,
                wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            })),
        }
    }

    /// Turns both clocks on without a timer firing, as when every task was kept from running.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands();
        hands.monotonic += by;
        hands.wall += by;
    }

    /// Turns only the wall clock on, as when the machine was suspended.
    pub fn step_wall_forward(&self, by: Duration) {
        self.hands().wall += by;
    }

    /// Sets only the wall clock back, as an operator or a time server may.
    pub fn step_wall_back(&self, by: Duration) {
        self.hands().wall -= by;
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        self.hands().monotonic + self.origin.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.hands().wall + self.origin.elapsed()
    }
}
