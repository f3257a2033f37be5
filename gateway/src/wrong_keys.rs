//! Wrong keys: counted, delayed, and logged at most once a minute.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

/// How long the answer to a wrong key takes.
const DELAY: Duration = Duration::from_millis(500);

/// How many answers are delayed at a time, because each keeps its connection.
const MOST_DELAYED: usize = 256;

/// Between two lines of the log.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct WrongKeys {
    log: Mutex<Log>,
    places: Semaphore,
}

#[derive(Debug, Default)]
struct Log {
    since_last_line: u64,
    last_line: Option<Instant>,
}

impl Default for WrongKeys {
    fn default() -> Self {
        Self {
            log: Mutex::default(),
            places: Semaphore::new(MOST_DELAYED),
        }
    }
}

impl WrongKeys {
    /// Counts a wrong key and waits. Returns `false` without a wait if too many others wait.
    pub(crate) async fn delay(&self) -> bool {
        metrics::counter!("gateway_wrong_keys_total").increment(1);
        let to_log = self
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(Instant::now());
        if let Some(requests) = to_log {
            tracing::warn!(requests, "requests had a key that is none of the gateway's");
        }
        let Ok(_place) = self.places.try_acquire() else {
            return false;
        };
        sleep(DELAY).await;
        true
    }
}

impl Log {
    /// Returns how many there were since the last line, if it is time for another one.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.since_last_line += 1;
        let is_due = self
            .last_line
            .is_none_or(|last| now.duration_since(last) >= BETWEEN_LINES);
        is_due.then(|| {
            self.last_line = Some(now);
            std::mem::take(&mut self.since_last_line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wrong_keys_are_logged_at_once_and_then_once_a_minute() {
        let mut log = Log::default();
        let begin = Instant::now();
        for (seconds, expected) in [
            (0, Some(1)),
            (1, None),
            (59, None),
            (60, Some(3)),
            (61, None),
            (200, Some(2)),
        ] {
            let now = begin + Duration::from_secs(seconds);
            assert_eq!(log.count(now), expected, "after {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_to_a_wrong_key_is_delayed_until_too_many_wait() {
        let wrong = WrongKeys::default();
        let begin = Instant::now();
        assert!(wrong.delay().await);
        assert_eq!(begin.elapsed(), DELAY);
        let taken = wrong.places.try_acquire_many(256).expect("all places");
        let begin = Instant::now();
        assert!(!wrong.delay().await);
        assert_eq!(begin.elapsed(), Duration::ZERO);
        drop(taken);
        assert!(wrong.delay().await);
    }
}
