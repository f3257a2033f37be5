use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Random delays, so that processes and subjects that failed together do not try again together.
#[derive(Debug)]
pub(crate) struct Jitter(Mutex<fastrand::Rng>);

impl Jitter {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(match seed {
            Some(seed) => fastrand::Rng::with_seed(seed),
            None => fastrand::Rng::new(),
        }))
    }

    /// Returns a delay from `low` to `high`.
    pub(crate) fn between(&self, low: Duration, high: Duration) -> Duration {
        let share = self.0.lock().unwrap_or_else(PoisonError::into_inner).f64();
        low + high.saturating_sub(low).mul_f64(share)
    }

    /// Full jitter: up to 1 s after the first failure, twice that after the next, up to 5 minutes,
    /// and never under half a second.
    pub(super) fn back_off(&self, failures: u32) -> Duration {
        const LONGEST: Duration = Duration::from_secs(300);
        let ceiling = Duration::from_secs(1)
            .saturating_mul(1 << failures.min(16))
            .min(LONGEST);
        self.between(Duration::from_millis(500), ceiling)
    }
}
