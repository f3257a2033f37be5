use std::time::Duration;

use super::{
    super::{
        Event,
        flight::Flight,
        purpose::{Grant, Purpose, Why},
    },
    Stored,
    claim::Claim,
    settle::{commit, condemn, release},
};
use crate::{
    credentials::{ReauthorizationReason, RefreshToken},
    error::AuthError,
    oauth::OAuthError,
};

/// Calls the token endpoint until its answer is definite, and settles it. `None` when the record
/// has moved meanwhile.
pub(super) async fn spend(
    flight: &Flight,
    stored: &Stored,
    token: &RefreshToken,
    mut claim: Claim,
) -> Result<Option<Grant>, AuthError> {
    let shared = &flight.shared;
    let mut failures = flight.failures;
    loop {
        let error = match shared.oauth.spend(token, claim.gate(shared)).await {
            Ok(answer) => return commit(flight, stored, claim.attempt, answer).await,
            Err(error) => error,
        };
        if is_invalid_grant(&error) {
            let reason = if claim.in_doubt {
                ReauthorizationReason::RotationLost
            } else {
                ReauthorizationReason::Revoked
            };
            return match condemn(flight, stored, claim.attempt, reason).await {
                Some(error) => Err(error),
                None => Ok(None),
            };
        }
        claim.in_doubt |= error.is_ambiguous();
        if !claim.in_doubt {
            if error.is_not_sent() && claim.is_stale(shared) {
                release(flight, claim.attempt, None).await;
                return Ok(None);
            }
            return Err(give_up(flight, stored, claim.attempt, error, failures).await);
        }
        failures += 1;
        tell_failure(flight, stored);
        let pause = error
            .retry_after()
            .unwrap_or_else(|| replay_pause(flight, failures));
        let failure = in_doubt(flight, error, pause);
        if matches!(flight.purpose, Purpose::Renew { why: Why::Due, .. }) {
            // The old token is still good: the replay can wait until it is not.
            return Err(failure);
        }
        if !keep(flight, stored, &mut claim, pause, failure).await? {
            return Ok(None);
        }
    }
}

fn is_invalid_grant(error: &OAuthError) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| refusal.code == "invalid_grant")
}

/// The first replay comes soon, while a server that remembers the last exchange may repeat its
/// answer; later ones back off.
fn replay_pause(flight: &Flight, failures: u32) -> Duration {
    let jitter = &flight.shared.jitter;
    let soon = jitter.between(Duration::from_secs(2), Duration::from_secs(10));
    if failures <= 1 {
        soon
    } else {
        soon.max(jitter.back_off(failures))
    }
}

fn in_doubt(flight: &Flight, error: OAuthError, pause: Duration) -> AuthError {
    AuthError::transient(
        "it is not known whether the refresh token was spent; the refresh is being repeated",
    )
    .with_subject(&flight.subject)
    .with_retry_after(pause)
    .with_source(error)
}

/// Keeps the claim over a pause, and has its lease start anew for the next call. `false` if it is
/// no longer ours.
async fn keep(
    flight: &Flight,
    stored: &Stored,
    claim: &mut Claim,
    pause: Duration,
    failure: AuthError,
) -> Result<bool, AuthError> {
    let shared = &flight.shared;
    let timings = &shared.settings.timings;
    let generation = stored.vintage.generation;
    if pause + timings.call + timings.margin >= timings.lease {
        let lease = pause + timings.lease;
        match claim.renew(flight, generation, lease).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // The lease may lapse over the pause; whoever takes over replays as we would.
            Err(error) => tracing::debug!(%error, "a claim in doubt was not prolonged"),
        }
    }
    if pause >= shared.settings.acquire_timeout {
        flight.delay(failure.clone());
    }
    tokio::time::sleep(pause).await;
    loop {
        // The claim stays: another process, or this one after its restart, takes over.
        if shared.gate().is_shutting_down {
            return Err(failure);
        }
        match claim.renew(flight, generation, timings.lease).await {
            Ok(is_ours) => {
                flight.resume();
                return Ok(is_ours);
            }
            Err(error) => {
                tracing::debug!(%error, "a claim in doubt was not renewed");
                flight.delay(failure.clone());
                let pause = shared
                    .jitter
                    .between(Duration::from_secs(1), Duration::from_secs(5));
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// The token was certainly not spent: lets go of it, and of all others if it is the app that was
/// refused.
async fn give_up(
    flight: &Flight,
    stored: &Stored,
    attempt: crate::store::AttemptId,
    error: OAuthError,
    failures: u32,
) -> AuthError {
    const APP_PAUSE: Duration = Duration::from_secs(60);

    let shared = &flight.shared;
    let is_app = error.is_configuration()
        || error.refusal().is_some_and(|refusal| {
            matches!(
                refusal.code.as_str(),
                "invalid_client" | "unauthorized_client"
            )
        });
    if is_app {
        shared.gate().app_rejected_until = Some(shared.clock.monotonic() + APP_PAUSE);
        release(flight, attempt, None).await;
        shared.tell(Event::AppRejected);
        return AuthError::app_rejected()
            .with_subject(&flight.subject)
            .with_retry_after(APP_PAUSE)
            .with_source(error);
    }
    let pause = error
        .retry_after()
        .unwrap_or_else(|| shared.jitter.back_off(failures));
    release(flight, attempt, Some(pause)).await;
    tell_failure(flight, stored);
    AuthError::transient("the credentials could not be refreshed")
        .with_subject(&flight.subject)
        .with_retry_after(pause)
        .with_source(error)
}

fn tell_failure(flight: &Flight, stored: &Stored) {
    flight.shared.tell(Event::RefreshFailed {
        subject: flight.subject.clone(),
        generation: stored.vintage.generation,
    });
}
