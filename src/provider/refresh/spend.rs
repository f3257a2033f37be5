use std::time::Duration;

use super::{
    super::{Event, flight::Flight, point::Point, purpose::Grant, shared::Shared},
    Stored,
    claim::Claim,
    settle::{commit, condemn, release},
};
use crate::{
    credentials::{ReauthorizationReason, RefreshToken},
    error::AuthError,
    oauth::OAuthError,
    observe::{self, Ending},
    store::AttemptId,
};

/// Calls the token endpoint until its answer is definite, and settles it. `None` when the record
/// has moved meanwhile.
pub(super) async fn spend(
    flight: &Flight,
    stored: Stored,
    token: &RefreshToken,
    mut claim: Claim,
) -> Result<Option<(Grant, Ending)>, AuthError> {
    let shared = &flight.shared;
    let generation = stored.vintage.generation;
    let mut failures = flight.failures;
    loop {
        let gate = claim.gate(shared);
        let called = shared.oauth.spend(token, gate.clone()).await;
        flight.reach(Point::Answered).await;
        let error = match called {
            Ok(answer) => {
                let ending = Ending::refreshed(claim.in_doubt);
                observe::called(ending);
                let committed = commit(flight, stored, &claim, answer).await;
                shared.flights.no_doubt(&flight.subject);
                return committed.map(|grant| grant.map(|grant| (grant, ending)));
            }
            Err(error) => error,
        };
        if error.is_of_a_call() {
            observe::called(Ending::of_call(&error, claim.in_doubt));
            tracing::warn!(%error, subject = ?flight.subject, "a refresh got no new token pair");
        }
        if claim.is_of_another_life(shared) {
            shared.flights.no_doubt(&flight.subject);
            return Ok(None);
        }
        if error.is_invalid_grant() {
            let reason = if claim.in_doubt {
                ReauthorizationReason::RotationLost
            } else {
                ReauthorizationReason::Revoked
            };
            let condemned = condemn(flight, &stored, claim.attempt, reason).await;
            if condemned.as_ref().is_none_or(|error| !error.is_transient()) {
                shared.flights.no_doubt(&flight.subject);
            }
            return condemned.map_or(Ok(None), Err);
        }
        claim.in_doubt |= error.is_ambiguous();
        if !claim.in_doubt {
            if gate.has_refused() {
                release(flight, claim.attempt, None).await;
                return Ok(None);
            }
            return Err(give_up(flight, &stored, claim.attempt, error, failures).await);
        }
        shared
            .flights
            .in_doubt(&flight.subject, generation, claim.attempt);
        if error.is_about_the_app() {
            shared.reject_app();
        }
        failures += 1;
        tell_failure(flight, &stored);
        flight.reach(Point::InDoubt).await;
        let pause = replay_pause(flight, failures)
            .max(error.retry_after().unwrap_or_default())
            .max(shared.app_pause());
        let failure = in_doubt(flight, error, pause);
        if flight.purpose.leaves_doubt() {
            // The old token is still good: the replay can wait until it is not.
            return Err(failure);
        }
        if !keep(flight, &stored, &mut claim, pause, failure).await? {
            shared.flights.no_doubt(&flight.subject);
            return Ok(None);
        }
    }
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
    shared.pause(pause).await;
    loop {
        // The claim stays: another process, or this one after its restart, takes over.
        if shared.is_shutting_down() {
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
                let low = Duration::from_secs(1);
                let pause = shared.jitter.between(low, Duration::from_secs(5));
                shared.pause(pause).await;
            }
        }
    }
}

/// How long nobody refreshes when Notion does not accept the app's client id and secret.
const APP_PAUSE: Duration = Duration::from_secs(60);

/// The token was certainly not spent: lets go of it, and of all others if it is the app that was
/// refused.
async fn give_up(
    flight: &Flight,
    stored: &Stored,
    attempt: AttemptId,
    error: OAuthError,
    failures: u32,
) -> AuthError {
    let shared = &flight.shared;
    if let Some(problem) = error.configuration_problem() {
        release(flight, attempt, None).await;
        if error.is_of_a_call() {
            tell_failure(flight, stored);
        }
        return AuthError::configuration(problem)
            .with_subject(&flight.subject)
            .with_retry_after(Duration::from_secs(5))
            .with_source(error);
    }
    if error.is_about_the_app() {
        shared.reject_app();
        release(flight, attempt, None).await;
        return AuthError::app_rejected()
            .with_subject(&flight.subject)
            .with_retry_after(APP_PAUSE)
            .with_source(error);
    }
    let pause = shared
        .jitter
        .back_off(failures)
        .max(error.retry_after().unwrap_or_default());
    release(flight, attempt, Some(pause)).await;
    tell_failure(flight, stored);
    AuthError::transient(error.not_refreshed())
        .with_subject(&flight.subject)
        .with_retry_after(pause)
        .with_source(error)
}

fn tell_failure(flight: &Flight, stored: &Stored) {
    flight.note_failed_call();
    flight.shared.tell(Event::RefreshFailed {
        subject: flight.subject.clone(),
        generation: stored.vintage.generation,
    });
}

impl Shared {
    /// Stops refreshes for a while, and tells the operator once.
    pub(crate) fn reject_app(&self) {
        let now = self.clock.monotonic();
        let until = now.saturating_add(APP_PAUSE);
        let before = self.app_rejected_until().replace(until);
        if before.is_none_or(|until| until <= now) {
            self.tell(Event::AppRejected);
        }
    }
}
