//! Joining and running a task: the order of its steps.

use std::{sync::Arc, time::Duration};

use tracing::Instrument;

use super::{
    commit::invalidate,
    decide::{Decision, decide},
    engine::Engine,
    exchange::exchange,
    failpoint::Failpoint,
    goal::{Goal, Grant, TaskOutcome},
    lease::{Leasing, acquire},
    load::{Loaded, load},
    single_flight::Waiter,
    task::{Failed, Task, failed},
};
use crate::{
    credentials::{ReauthorizationReason, RefreshToken},
    error::AuthError,
    observe::{OutcomeLabel, Timer},
    store::AttemptId,
    subject::Subject,
};

/// Waits for the subject's task, and starts it if there is none.
///
/// Dropping the future does not affect the task.
pub(crate) async fn join(engine: &Arc<Engine>, subject: &Subject, goal: Goal) -> TaskOutcome {
    loop {
        let mut waiter = match join_or_start(engine, subject, goal) {
            Ok(waiter) => waiter,
            Err(error) => return failed(error),
        };
        match waiter.outcome().await {
            Some(((outcome, label), false)) if waiter.is_served => {
                let is_shared = waiter.is_joined && outcome.is_ok();
                return (
                    outcome,
                    if is_shared {
                        OutcomeLabel::Joined
                    } else {
                        label
                    },
                );
            }
            Some((_, false)) => {}
            Some((delayed, true)) => return delayed,
            None => return aborted(),
        }
    }
}

/// Starts a task if none runs, and does not wait for it.
pub(crate) fn start(engine: &Arc<Engine>, subject: &Subject, goal: Goal) {
    if let Err(error) = join_or_start(engine, subject, goal) {
        tracing::debug!(%error, "no refresh task was started");
    }
}

fn join_or_start(
    engine: &Arc<Engine>,
    subject: &Subject,
    goal: Goal,
) -> Result<Waiter<TaskOutcome>, AuthError> {
    let now = engine.clock.monotonic();
    engine.tasks.join(subject, goal, aborted, |handle| {
        if let Some(error) = engine.failures.repeated(subject, goal, now) {
            handle.complete(failed(error.clone()));
            return Err(error);
        }
        let runtime = engine.runtime()?;
        let task = Task {
            engine: Arc::clone(engine),
            subject: subject.clone(),
            goal,
            handle,
        };
        let timer = Timer::refresh(subject);
        runtime.spawn(async move {
            let outcome = match run(&task).instrument(timer.span()).await {
                Ok((grant, label)) => (Ok(grant), label),
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

fn aborted() -> TaskOutcome {
    failed(AuthError::transient(
        "the task that loads or refreshes the credentials ended early; try again",
    ))
}

/// More rounds than a wait for another process takes. A task that needs more makes no progress.
const ROUNDS: u32 = 1000;

/// Result of one read of the record.
enum Round {
    Done(Grant, OutcomeLabel),
    /// The record has moved: read it again.
    Moved,
    /// Another attempt had the lease, as the error reports: read the record again.
    Held(AuthError),
}

impl Round {
    /// `None` if the record has moved.
    fn of(granted: Option<(Grant, OutcomeLabel)>) -> Self {
        granted.map_or(Self::Moved, |(grant, label)| Self::Done(grant, label))
    }
}

/// Runs a task until there are credentials or an error.
async fn run(task: &Task) -> Result<(Grant, OutcomeLabel), Failed> {
    let mut has_moved = false;
    let mut held = None;
    for _ in 0..ROUNDS {
        let loaded = load(task).await?;
        task.failpoint(Failpoint::Loaded).await;
        let found = if has_moved || task.goal.is_reached_by(loaded.fence()) {
            OutcomeLabel::Adopted
        } else {
            OutcomeLabel::Loaded
        };
        let round = match decide(loaded.situation(task)) {
            Decision::Use | Decision::PassRefusalThrough => {
                Round::of(loaded.publish(task)?.map(|grant| (grant, found)))
            }
            Decision::Refresh => match &loaded.credentials.refresh_token {
                Some(token) => refresh(task, &loaded, token).await?,
                None => Round::Moved,
            },
            Decision::Invalidate(reason) => {
                match invalidate(task, &loaded, AttemptId::random(), reason).await {
                    Some(error) => return Err(error.into()),
                    None => Round::Moved,
                }
            }
            Decision::FailExpired => {
                return Err(AuthError::expired().with_subject(&task.subject).into());
            }
            Decision::FailNoRefreshToken => {
                let reason = ReauthorizationReason::NoRefreshToken;
                let error = AuthError::reauthorize(reason).with_subject(&task.subject);
                return Err(error.into());
            }
        };
        held = match round {
            Round::Done(grant, label) => return Ok((grant, label)),
            Round::Moved => None,
            Round::Held(error) => Some(error),
        };
        has_moved = true;
    }
    let error = held.unwrap_or_else(|| {
        AuthError::transient("the credentials changed again and again while they were read")
            .with_subject(&task.subject)
            .with_retry_after(Duration::from_secs(1))
    });
    Err(error.into())
}

async fn refresh(task: &Task, loaded: &Loaded, token: &RefreshToken) -> Result<Round, Failed> {
    let refreshed = match acquire(task, loaded).await {
        Leasing::Acquired(lease) => exchange(task, loaded, token, lease).await.map(Round::of),
        Leasing::Moved => Ok(Round::Moved),
        Leasing::Held(error) => Ok(Round::Held(error)),
        Leasing::NotNow(error) => Err(error.into()),
    };
    if let Err(failed) = &refreshed {
        let error = &failed.error;
        if task.goal.keeps_token_in_use() && error.needs_reauthorization().is_none() {
            // The current token was not refused. The next task backs off.
            let pause = error.retry_after().unwrap_or(Duration::from_secs(30));
            loaded.keep_in_use(task, loaded.read_at, pause);
        }
    }
    refreshed
}
