//! This process's memory of failed refreshes, and of durations that a change of the store's clock must not affect.

use std::{
    collections::HashMap,
    mem::discriminant,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{goal::Goal, single_flight::Goal as _};
use crate::{cache::Fence, error::AuthError, store::Lease, subject::Subject};

/// Times are readings of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    by_subject: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    failures: HashMap<Subject, Failure>,
    /// At most one of each kind.
    observations: HashMap<Subject, Vec<Observation>>,
    /// The number of entries at which old ones are removed.
    purge_at: usize,
}

#[derive(Debug)]
struct Failure {
    goal: Goal,
    error: AuthError,
    /// Until when the error is returned without a read of the store.
    repeat_until: Duration,
    /// The credentials that this process doesn't refresh, and until when.
    back_off: Option<(Fence, Duration)>,
    /// How many calls of the token endpoint failed in a row.
    count: u32,
}

/// A lease, back-off or generation in the store, and since when this process has seen it unchanged.
#[derive(Debug, Clone, Copy)]
struct Observation {
    what: Observed,
    since: Duration,
    /// How long it was to hold when it was first seen.
    remaining: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observed {
    Lease(Lease),
    BackOff(SystemTime),
    /// A generation that is too young for another refresh.
    Generation(Fence),
}

/// Maximum time for which an error is returned from memory, because another process may have refreshed.
const LONGEST_REPEAT: Duration = Duration::from_secs(5);

/// How long the number of failures in a row is remembered.
const COUNT_MEMORY: Duration = Duration::from_secs(600);

impl Failures {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.by_subject
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the last task's error, if a task with this goal would fail with it again.
    pub(super) fn repeated(
        &self,
        subject: &Subject,
        goal: Goal,
        now: Duration,
    ) -> Option<AuthError> {
        let memory = self.memory();
        let failure = memory.failures.get(subject)?;
        let left = failure.repeat_until.checked_sub(now)?;
        let is_repeated = !left.is_zero() && failure.goal.covers(goal);
        is_repeated.then(|| failure.error.clone().with_retry_after(left))
    }

    /// Returns the error of the refresh for which this process backs off.
    pub(super) fn back_off(
        &self,
        subject: &Subject,
        fence: Fence,
        now: Duration,
    ) -> Option<AuthError> {
        let memory = self.memory();
        let failure = memory.failures.get(subject)?;
        let (of, until) = failure.back_off?;
        let left = until.checked_sub(now)?;
        let holds = of == fence && !left.is_zero();
        holds.then(|| failure.error.clone().with_retry_after(left))
    }

    /// How many calls of the token endpoint failed in a row.
    pub(super) fn count(&self, subject: &Subject, now: Duration) -> u32 {
        let memory = self.memory();
        let failure = memory.failures.get(subject);
        failure
            .filter(|failure| failure.repeat_until + COUNT_MEMORY > now)
            .map_or(0, |failure| failure.count)
    }

    /// Remembers how a task failed. `calls` is how many calls have failed in a row, those of the task included.
    pub(super) fn remember(
        &self,
        subject: &Subject,
        goal: Goal,
        error: &AuthError,
        calls: u32,
        back_off: Option<(Fence, Duration)>,
        now: Duration,
    ) {
        let mut memory = self.memory();
        memory.purge(now);
        let repeat_for = error.retry_after().unwrap_or_default().min(LONGEST_REPEAT);
        // A task that ended because of the back-off knows of no other.
        let before = memory.failures.get(subject).and_then(|it| it.back_off);
        memory.failures.insert(
            subject.clone(),
            Failure {
                goal,
                error: error.clone(),
                repeat_until: now.saturating_add(repeat_for),
                back_off: back_off.or(before),
                count: calls,
            },
        );
    }

    /// Forgets a subject: its credentials were changed, or refreshed.
    pub(crate) fn forget(&self, subject: &Subject) {
        let mut memory = self.memory();
        memory.failures.remove(subject);
        memory.observations.remove(subject);
    }

    /// Returns for how long this process has seen this unchanged, and how long it was to hold when it was first seen.
    pub(super) fn observe(
        &self,
        subject: &Subject,
        what: Observed,
        remaining: Duration,
        now: Duration,
    ) -> (Duration, Duration) {
        let mut memory = self.memory();
        memory.purge(now);
        let first = Observation {
            what,
            since: now,
            remaining,
        };
        let observations = memory.observations.entry(subject.clone()).or_default();
        let is_of_the_kind = |it: &&mut Observation| discriminant(&it.what) == discriminant(&what);
        let observation = match observations.iter_mut().find(is_of_the_kind) {
            Some(same) if same.what == what => *same,
            Some(other) => {
                *other = first;
                first
            }
            None => {
                observations.push(first);
                first
            }
        };
        (now.saturating_sub(observation.since), observation.remaining)
    }
}

impl Memory {
    /// Removes what is too old to matter, when there are many entries.
    fn purge(&mut self, now: Duration) {
        if self.failures.len() + self.observations.len() < self.purge_at {
            return;
        }
        self.failures.retain(|_, failure| {
            let back_off = failure.back_off.map_or(Duration::ZERO, |(_, until)| until);
            let end = failure.repeat_until.max(back_off);
            end > now || (failure.count > 0 && end + COUNT_MEMORY > now)
        });
        self.observations.retain(|_, all| {
            let end = |it: &Observation| it.since + it.remaining + COUNT_MEMORY;
            all.iter().any(|it| end(it) > now)
        });
        self.purge_at = 64.max((self.failures.len() + self.observations.len()) * 2);
    }
}
