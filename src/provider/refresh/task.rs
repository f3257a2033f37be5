//! One task for each subject, owned by no request.

use std::{fmt, sync::Arc, time::Duration};

use tracing::Instrument;

use super::{
    super::{cache::Fence, shared::Shared},
    goal::{Goal, Outcome},
    run,
    single_flight::{Handle, SingleFlight},
};
use crate::{
    error::AuthError,
    observe::{Ending, Lap},
    subject::Subject,
};

/// How a task ended, and how it came to that.
pub(super) type TaskOutcome = (Outcome, Ending);

pub(in crate::provider) type Tasks = SingleFlight<Subject, Goal, TaskOutcome>;

/// A running refresh task.
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) subject: Subject,
    pub(super) goal: Goal,
    handle: Handle<Subject, Goal, TaskOutcome>,
}

/// Why a task ends without credentials.
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

/// Waits for the subject's task, which is started if there is none.
///
/// Dropping the future leaves the task alone.
pub(in crate::provider) async fn join(
    shared: &Arc<Shared>,
    subject: &Subject,
    goal: Goal,
) -> TaskOutcome {
    loop {
        let mut waiter = match join_or_start(shared, subject, goal) {
            Ok(waiter) => waiter,
            Err(error) => return failed(error),
        };
        match waiter.outcome().await {
            Some(((outcome, ending), false)) if waiter.is_served => {
                let is_shared = waiter.is_joined && outcome.is_ok();
                return (outcome, if is_shared { Ending::Joined } else { ending });
            }
            Some((_, false)) => {}
            Some((delayed, true)) => return delayed,
            None => return aborted(),
        }
    }
}

/// Starts a task if none runs, and does not wait for it.
pub(in crate::provider) fn start(shared: &Arc<Shared>, subject: &Subject, goal: Goal) {
    if let Err(error) = join_or_start(shared, subject, goal) {
        tracing::debug!(%error, "no refresh task was started");
    }
}

fn join_or_start(
    shared: &Arc<Shared>,
    subject: &Subject,
    goal: Goal,
) -> Result<super::single_flight::Waiter<TaskOutcome>, AuthError> {
    let now = shared.clock.monotonic();
    shared.tasks.join(subject, goal, aborted, |handle| {
        if let Some(error) = shared.failures.repeated(subject, goal, now) {
            handle.complete(failed(error.clone()));
            return Err(error);
        }
        let runtime = shared.runtime()?;
        let task = Task {
            shared: Arc::clone(shared),
            subject: subject.clone(),
            goal,
            handle,
        };
        let timer = Lap::refresh(subject);
        runtime.spawn(async move {
            let outcome = match run(&task).instrument(timer.span()).await {
                Ok((grant, ending)) => (Ok(grant), ending),
                Err(error) => {
                    task.remember(&error);
                    failed(error.error)
                }
            };
            timer.end(outcome.1);
            task.handle.complete(outcome);
        });
        Ok(())
    })
}

fn failed(error: AuthError) -> TaskOutcome {
    let ending = Ending::of(&error);
    (Err(error), ending)
}

fn aborted() -> TaskOutcome {
    failed(AuthError::transient(
        "the task that loads or refreshes the credentials ended early; try again",
    ))
}

impl Task {
    /// Gives waiters this error, while the task goes on.
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

    /// Waits for `time`, or until the application changes the record or the provider is shut down.
    pub(super) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.shared.pause(time) => {}
            () = self.handle.interrupted() => {}
        }
    }

    fn remember(&self, failed: &Failed) {
        let shared = &self.shared;
        let now = shared.clock.monotonic();
        let calls = failed.calls;
        if failed.error.retry_after().is_some() || calls.is_some() {
            let calls = calls.unwrap_or_else(|| shared.failures.count(&self.subject, now));
            shared.failures.remember(
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
