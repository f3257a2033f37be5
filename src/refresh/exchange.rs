//! The call of the token endpoint, repeated while its outcome is in doubt.

use std::time::Duration;

use super::{
    commit::{commit, invalidate, release},
    engine::Engine,
    failpoint::Failpoint,
    goal::Grant,
    guards::APP_PAUSE,
    lease::HeldLease,
    load::Loaded,
    settings::LONGEST_SLEEP,
    task::{Failed, Task},
};
use crate::{
    credentials::{ReauthorizationReason, RefreshToken},
    error::AuthError,
    event::Event,
    oauth::{OAuthError, SendGate, TokenAnswer},
    observe::{self, OutcomeLabel},
};

/// Spends the refresh token, and commits, releases or replays. `None` if the record has moved.
pub(super) async fn exchange(
    task: &Task,
    loaded: &Loaded,
    token: &RefreshToken,
    mut lease: HeldLease,
) -> Result<Option<(Grant, OutcomeLabel)>, Failed> {
    let engine = &task.engine;
    let now = engine.clock.monotonic();
    let mut calls = engine.failures.count(&task.subject, now);
    loop {
        let check = lease.pre_send_check(engine);
        let called = call(task, loaded, token, &mut lease, check.clone()).await;
        task.failpoint(Failpoint::Answered).await;
        let error = match called {
            Ok(answer) => {
                let label = OutcomeLabel::refreshed(lease.in_doubt);
                observe::called(label);
                let granted = commit(task, loaded, &mut lease, answer).await?;
                return Ok(granted.map(|grant| (grant, label)));
            }
            Err(error) => error,
        };
        if error.is_of_a_call() {
            observe::called(OutcomeLabel::of_call(&error, lease.in_doubt));
            tracing::warn!(%error, subject = ?task.subject, "a refresh got no new token pair");
        }
        if error.is_invalid_grant() {
            let reason = if lease.in_doubt {
                ReauthorizationReason::RotationLost
            } else {
                ReauthorizationReason::Revoked
            };
            let invalidated = invalidate(task, loaded, lease.attempt, reason).await;
            return invalidated.map_or(Ok(None), |error| Err(error.into()));
        }
        lease.in_doubt |= error.is_ambiguous();
        if error.is_about_the_app() {
            engine.reject_app();
        }
        if !lease.in_doubt {
            if check.has_refused() {
                release(task, lease.attempt, None).await;
                return Ok(None);
            }
            let failed = not_spent(task, loaded, &lease, error, calls).await;
            return failed.map_or(Ok(None), Err);
        }
        calls = calls.saturating_add(1);
        emit_failure(task, loaded);
        task.failpoint(Failpoint::InDoubt).await;
        let pause = replay_pause(engine, calls)
            .max(error.retry_after().unwrap_or_default())
            .max(engine.brake.app_pause(engine.clock.monotonic()));
        let failure = AuthError::transient(
            "it is not known whether the refresh token was spent; the refresh is being repeated",
        )
        .with_subject(&task.subject)
        .with_retry_after(pause)
        .with_source(error);
        if !wait_in_doubt(task, loaded, &mut lease, pause, failure).await? {
            return Ok(None);
        }
    }
}

/// Calls the token endpoint once, and renews the lease while the answer is being read.
async fn call(
    task: &Task,
    loaded: &Loaded,
    token: &RefreshToken,
    lease: &mut HeldLease,
    check: SendGate,
) -> Result<TokenAnswer, OAuthError> {
    let engine = &task.engine;
    let mut call = std::pin::pin!(engine.oauth.spend(token, check));
    loop {
        tokio::select! {
            answer = &mut call => return answer,
            () = tokio::time::sleep(engine.policy.timings.renewal()) => {
                let seen_at = engine.clock.monotonic();
                let renewed = lease.renew(task, engine.policy.timings.lease);
                // The answer is used whether or not the lease is still held: the commit is fenced.
                tokio::select! {
                    answer = &mut call => return answer,
                    renewed = renewed => match renewed {
                        Ok(true) => loaded.keep_in_use(task, seen_at, Duration::ZERO),
                        Ok(false) => {}
                        Err(error) => {
                            tracing::debug!(%error, "the refresh lease was not renewed");
                        }
                    },
                }
            }
        }
    }
}

/// The first replay comes soon, because a server may still remember the exchange and repeat its answer. Later replays
/// back off.
fn replay_pause(engine: &Engine, calls: u32) -> Duration {
    let soon = engine
        .jitter
        .between(Duration::from_secs(2), Duration::from_secs(10));
    if calls <= 1 {
        soon
    } else {
        soon.max(engine.jitter.back_off(calls))
    }
}

/// Keeps the lease over a pause, in doubt for all processes. `false` if it is no longer this attempt's.
async fn wait_in_doubt(
    task: &Task,
    loaded: &Loaded,
    lease: &mut HeldLease,
    pause: Duration,
    failure: AuthError,
) -> Result<bool, Failed> {
    let engine = &task.engine;
    let timings = &engine.policy.timings;
    // Long enough for the pause and the next call.
    let is_long = pause + timings.call + timings.margin >= timings.lease;
    let duration = if is_long {
        pause + timings.lease
    } else {
        timings.lease
    };
    let seen_at = engine.clock.monotonic();
    match lease.renew(task, duration).await {
        // The current token was not refused.
        Ok(true) => loaded.keep_in_use(task, seen_at, pause.min(LONGEST_SLEEP)),
        Ok(false) => return Ok(false),
        Err(error) if error.is_of_one_record() => {
            return Err(task.store_failed(error).into());
        }
        // It may expire during the pause. An attempt that takes it over replays in the same way.
        Err(error) => tracing::debug!(%error, "a lease in doubt was not renewed"),
    }
    if task.goal.keeps_token_in_use() || pause >= engine.policy.acquire_timeout {
        task.delay(failure.clone());
    }
    let end = engine.clock.monotonic().saturating_add(pause);
    loop {
        let left = end.saturating_sub(engine.clock.monotonic());
        let is_whole = task.pause(left.min(LONGEST_SLEEP)).await;
        // The lease stays: another process, or this one after its restart, takes it over.
        if engine.brake.is_shutting_down() {
            return Err(failure.into());
        }
        if !is_whole || left <= LONGEST_SLEEP {
            break;
        }
        let seen_at = engine.clock.monotonic();
        match lease.is_held(task).await {
            Some(true) => loaded.keep_in_use(task, seen_at, LONGEST_SLEEP),
            Some(false) => return Ok(false),
            None => {}
        }
    }
    loop {
        if engine.brake.is_shutting_down() {
            return Err(failure.into());
        }
        match lease.renew(task, timings.lease).await {
            Ok(is_held) => {
                if !task.goal.keeps_token_in_use() {
                    task.resume();
                }
                return Ok(is_held);
            }
            Err(error) if error.is_of_one_record() => {
                return Err(task.store_failed(error).into());
            }
            Err(error) => {
                tracing::debug!(%error, "a lease in doubt was not renewed");
                task.delay(failure.clone());
                let pause = engine
                    .jitter
                    .between(Duration::from_secs(1), Duration::from_secs(5));
                task.pause(pause).await;
            }
        }
    }
}

/// Releases the lease after a call that certainly did not spend the token. `None` if the record has moved.
///
/// If the server answered, all processes back off. If it was not reached, only this process does.
async fn not_spent(
    task: &Task,
    loaded: &Loaded,
    lease: &HeldLease,
    error: OAuthError,
    calls: u32,
) -> Option<Failed> {
    let engine = &task.engine;
    let problem = error.configuration_problem();
    let is_about_the_app = error.is_about_the_app();
    let pause = engine
        .jitter
        .back_off(calls)
        .max(error.retry_after().unwrap_or_default());
    let is_answer = problem.is_none() && !is_about_the_app && !error.is_not_sent();
    if release(task, lease.attempt, is_answer.then_some(pause)).await {
        return None;
    }
    if is_about_the_app {
        let rejected = AuthError::app_rejected()
            .with_subject(&task.subject)
            .with_retry_after(APP_PAUSE)
            .with_source(error);
        return Some(rejected.into());
    }
    if error.is_of_a_call() {
        emit_failure(task, loaded);
    }
    if let Some(problem) = problem {
        let wrong = AuthError::configuration(problem)
            .with_subject(&task.subject)
            .with_retry_after(Duration::from_secs(5))
            .with_source(error);
        return Some(wrong.into());
    }
    let until = engine.clock.monotonic().saturating_add(pause);
    Some(Failed {
        back_off: (!is_answer).then(|| (loaded.fence(), until)),
        error: AuthError::transient(error.not_refreshed())
            .with_subject(&task.subject)
            .with_retry_after(pause)
            .with_source(error),
        calls: Some(calls.saturating_add(1)),
    })
}

fn emit_failure(task: &Task, loaded: &Loaded) {
    task.engine.events.emit(Event::RefreshFailed {
        subject: task.subject.clone(),
        lineage: loaded.record.lineage,
        generation: loaded.record.generation,
    });
}
