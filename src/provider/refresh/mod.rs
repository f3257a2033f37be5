//! A refresh task: how stored credentials become credentials that can be sent, and how a refresh token that can be
//! spent only once is spent.
//!
//! 1. [`load`]: the record, as the store has it now.
//! 2. [`decide`]: one table says what is done with it.
//! 3. [`lease`]: a durable entry that this attempt is about to spend the token; or wait for the attempt that has one.
//! 4. [`exchange`]: one call of the token endpoint. While its outcome is unknown, the lease stays and the call is
//!    repeated.
//! 5. [`commit`]: the new pair is saved before it is used; or the lease is released; or, after a definite
//!    `invalid_grant` for an unmoved record, the credentials are invalidated.
//!
//! Whenever the record turns out to have moved, the task starts again at 1. [`task`] is how requests share a task,
//! over [`single_flight`]; [`failures`] is what a process remembers between tasks.

mod commit;
mod decide;
mod exchange;
mod failpoint;
mod failures;
mod goal;
mod lease;
mod load;
mod single_flight;
mod task;

use std::time::Duration;

#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "only tests set failpoints")
)]
pub use self::failpoint::Failpoint;
#[cfg(feature = "testing")]
pub(super) use self::failpoint::FailpointHook;
pub(crate) use self::goal::Grant;
#[cfg(feature = "routes")]
pub(crate) use self::single_flight::Tracked;
use self::{
    commit::invalidate,
    decide::{Decision, decide},
    exchange::exchange,
    lease::{Leasing, acquire},
    load::{Loaded, load},
    task::{Failed, Task},
};
pub(super) use self::{
    failures::Failures,
    goal::{Goal, Outcome, Trigger},
    task::{Tasks, join, start},
};
use crate::{
    credentials::{ReauthorizationReason, RefreshToken},
    error::AuthError,
    observe::Ending,
    store::AttemptId,
};

/// More rounds than a wait for another process takes. A task that needs more makes no progress.
const ROUNDS: u32 = 1000;

/// Runs a task until there are credentials or an error.
async fn run(task: &Task) -> Result<(Grant, Ending), Failed> {
    let mut has_moved = false;
    for _ in 0..ROUNDS {
        let loaded = load(task).await?;
        task.failpoint(Failpoint::Loaded).await;
        let found = if has_moved || task.goal.is_reached_by(loaded.fence()) {
            Ending::Adopted
        } else {
            Ending::Loaded
        };
        let granted = match decide(loaded.situation(task)) {
            Decision::Use | Decision::PassRefusalThrough => {
                loaded.publish(task)?.map(|grant| (grant, found))
            }
            Decision::Refresh => match &loaded.credentials.refresh_token {
                Some(token) => refresh(task, &loaded, token).await?,
                None => None,
            },
            Decision::Invalidate(reason) => {
                match invalidate(task, &loaded, AttemptId::random(), reason).await {
                    Some(error) => return Err(error.into()),
                    None => None,
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
        if let Some(granted) = granted {
            return Ok(granted);
        }
        has_moved = true;
    }
    Err(
        AuthError::transient("the credentials changed again and again while they were read")
            .with_subject(&task.subject)
            .with_retry_after(Duration::from_secs(1))
            .into(),
    )
}

/// `None` if the record has moved.
async fn refresh(
    task: &Task,
    loaded: &Loaded,
    token: &RefreshToken,
) -> Result<Option<(Grant, Ending)>, Failed> {
    let refreshed = match acquire(task, loaded).await {
        Leasing::Acquired(lease) => exchange(task, loaded, token, lease).await,
        Leasing::Moved => Ok(None),
        Leasing::NotNow(error) => Err(error.into()),
    };
    if let Err(failed) = &refreshed {
        let error = &failed.error;
        if task.goal.keeps_token_in_use() && error.needs_reauthorization().is_none() {
            // The current token was not refused. The next task backs off.
            let pause = error.retry_after().unwrap_or(Duration::from_secs(30));
            loaded.keep_in_use(task, pause);
        }
    }
    refreshed
}
