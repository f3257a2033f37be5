//! The task of a subject, independent of any request.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    engine::Engine,
    failpoint::Failpoint,
    goal::{Goal, TaskOutcome},
    single_flight::Handle,
};
use crate::{
    cache::Fence, error::AuthError, observe::OutcomeLabel, store::StoreError, subject::Subject,
};

/// A running refresh task.
pub(super) struct Task {
    pub(super) engine: Arc<Engine>,
    pub(super) subject: Subject,
    pub(super) goal: Goal,
    pub(super) handle: Handle<Subject, Goal, TaskOutcome>,
}

/// Failure of a task.
pub(super) struct Failed {
    pub(super) error: AuthError,
    /// How many calls of the token endpoint have failed in a row, if the task made one.
    pub(super) calls: Option<u32>,
    /// The credentials that this process doesn't refresh for a while.
    pub(super) back_off: Option<(Fence, Duration)>,
}

impl From<AuthError> for Failed {
    fn from(error: AuthError) -> Self {
        Self {
            error,
            calls: None,
            back_off: None,
        }
    }
}

pub(super) fn failed(error: AuthError) -> TaskOutcome {
    let label = OutcomeLabel::of(&error);
    (Err(error), label)
}

impl Task {
    /// Gives waiters this error, while the task continues.
    pub(super) fn delay(&self, error: AuthError) {
        self.handle.delay(failed(error));
    }

    /// Lets requests wait again.
    pub(super) fn resume(&self) {
        self.handle.resume();
    }

    /// Whether a request waits for the task.
    pub(super) fn has_waiters(&self) -> bool {
        self.handle.has_waiters()
    }

    /// Waits for `time`, or until the application changes the record or the provider is shut down. Returns whether the
    /// time has passed.
    pub(super) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.engine.pause(time) => !self.engine.brake.is_shutting_down(),
            () = self.handle.interrupted() => false,
        }
    }

    pub(super) fn store_failed(&self, error: StoreError) -> AuthError {
        error.into_auth_error().with_subject(&self.subject)
    }

    #[cfg(feature = "testing")]
    pub(super) async fn failpoint(&self, failpoint: Failpoint) {
        if let Some(hook) = &self.engine.failpoint {
            hook(failpoint).await;
        }
    }

    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_async, reason = "with a test's hook it waits")]
    pub(super) async fn failpoint(&self, _: Failpoint) {}

    /// Remembers the failure for later tasks of the subject.
    pub(super) fn remember(&self, failed: &Failed) {
        let engine = &self.engine;
        let now = engine.clock.monotonic();
        let calls = failed.calls;
        if failed.error.retry_after().is_some() || calls.is_some() {
            let calls = calls.unwrap_or_else(|| engine.failures.count(&self.subject, now));
            engine.failures.remember(
                &self.subject,
                self.goal,
                &failed.error,
                calls,
                failed.back_off,
                now,
            );
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("subject", &self.subject)
            .field("goal", &self.goal)
            .finish_non_exhaustive()
    }
}
