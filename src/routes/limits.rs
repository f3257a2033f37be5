//! How many codes are exchanged in a minute. A visitor who starts flows in a loop must not use up what Notion allows the
//! app, because refreshes need it too.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::subject::Subject;

/// Exchanges in [`WINDOW`] for one signed-in subject.
const PER_SUBJECT: usize = 5;
/// Exchanges in [`WINDOW`] of all visitors who are not signed in.
const ANONYMOUS: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// Subjects whose exchanges are counted. If more subjects connect within a minute, the oldest ones are forgotten.
const MAX_SUBJECTS: usize = 10_000;

/// Counts the exchanges of the last minute in this process.
pub(super) struct ExchangeLimits {
    max_subjects: usize,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    anonymous: Recent,
    subjects: HashMap<Subject, Recent>,
}

/// When the exchanges of the last minute began, oldest first (monotonic clock).
#[derive(Default)]
struct Recent(VecDeque<Duration>);

impl ExchangeLimits {
    pub(super) fn new() -> Self {
        Self {
            max_subjects: MAX_SUBJECTS,
            counted: Mutex::default(),
        }
    }

    /// Counts an exchange at `now` for a signed-in subject, or for a visitor who is not signed in.
    ///
    /// # Errors
    /// How long to wait, if there were too many.
    pub(super) fn count(&self, subject: Option<&Subject>, now: Duration) -> Result<(), Duration> {
        let mut counted = self.counted();
        match subject {
            None => counted.anonymous.count(now, ANONYMOUS),
            Some(subject) => {
                if counted.subjects.len() >= self.max_subjects
                    && !counted.subjects.contains_key(subject)
                {
                    counted.forget_some(now, self.max_subjects);
                }
                let recent = counted.subjects.entry(subject.clone()).or_default();
                recent.count(now, PER_SUBJECT)
            }
        }
    }

    /// Takes back an exchange that was counted at `at` and did not take place.
    pub(super) fn take_back(&self, subject: Option<&Subject>, at: Duration) {
        let mut counted = self.counted();
        let recent = match subject {
            None => Some(&mut counted.anonymous),
            Some(subject) => counted.subjects.get_mut(subject),
        };
        if let Some(Recent(times)) = recent {
            if let Some(index) = times.iter().rposition(|time| *time == at) {
                times.remove(index);
            }
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Removes subjects without a recent exchange; if there are none, the one whose last exchange is the oldest.
    fn forget_some(&mut self, now: Duration, max_subjects: usize) {
        self.subjects.retain(|_, recent| recent.is_recent(now));
        if self.subjects.len() >= max_subjects {
            let oldest = self.subjects.iter().min_by_key(|(_, it)| it.0.back());
            if let Some(subject) = oldest.map(|(subject, _)| subject.clone()) {
                self.subjects.remove(&subject);
            }
        }
    }
}

impl Recent {
    fn count(&mut self, now: Duration, most: usize) -> Result<(), Duration> {
        while self.0.front().is_some_and(|at| now >= *at + WINDOW) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some(oldest) if self.0.len() >= most => Err(*oldest + WINDOW - now),
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }

    fn is_recent(&self, now: Duration) -> bool {
        self.0.back().is_some_and(|at| now < *at + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn window_slides_and_says_how_long_to_wait() {
        let limits = ExchangeLimits::new();
        let ann = Subject::new("ann");
        for second in [100, 101, 102, 103, 104] {
            assert_eq!(limits.count(Some(&ann), seconds(second)), Ok(()));
        }
        assert_eq!(limits.count(Some(&ann), seconds(110)), Err(seconds(50)));
        assert_eq!(limits.count(Some(&ann), seconds(159)), Err(seconds(1)));
        assert_eq!(limits.count(Some(&ann), seconds(160)), Ok(()));
        assert_eq!(limits.count(Some(&ann), seconds(160)), Err(seconds(1)));
        assert_eq!(limits.count(Some(&"ben".into()), seconds(160)), Ok(()));
    }

    #[test]
    fn exchange_that_did_not_take_place_is_not_counted() {
        let limits = ExchangeLimits::new();
        for subject in [None, Some(&Subject::new("ann"))] {
            for _ in 0..2 * ANONYMOUS {
                assert_eq!(limits.count(subject, seconds(100)), Ok(()));
                limits.take_back(subject, seconds(100));
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_subject_is_forgotten_first() {
        let limits = ExchangeLimits {
            max_subjects: 3,
            ..ExchangeLimits::new()
        };
        let count = |name: &str, second| limits.count(Some(&name.into()), seconds(second));
        for (second, name) in [(100, "a"), (101, "b"), (102, "c")] {
            for _ in 0..PER_SUBJECT {
                assert_eq!(count(name, second), Ok(()));
            }
        }
        assert_eq!(count("d", 110), Ok(()));
        assert_eq!(limits.counted().subjects.len(), 3);
        assert!(count("b", 110).is_err());
        assert!(count("c", 110).is_err());
        // `a` was forgotten, and `b` is now.
        assert_eq!(count("a", 110), Ok(()));
        assert_eq!(limits.counted().subjects.len(), 3);
        // All are older than a minute.
        assert_eq!(count("e", 200), Ok(()));
        assert_eq!(limits.counted().subjects.len(), 1);
    }
}
