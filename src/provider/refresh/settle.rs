use std::time::Duration;

use super::{
    super::{Event, flight::Flight, point::Point, publish::Vintage, purpose::Grant},
    Stored,
    claim::Claim,
    read::store_failed,
};
use crate::{
    credentials::{NotionUserCredentials, ReauthorizationReason},
    error::AuthError,
    oauth::TokenAnswer,
    store::{
        AttemptId, Change, Condemned, Expected, Labels, NewRecord, RecordState, Released, Saved,
    },
};

/// A commit is tried again after this time at the latest.
pub(super) const LONGEST_SAVE_PAUSE: Duration = Duration::from_millis(1600);

/// Saves the new pair, then lets it be used. `None` if somebody else's change stands instead.
///
/// This attempt may hold the only living pair, so it tries for as long as the process lives: a save
/// that comes late still wins unless the generation has moved. After a day it no longer may: the same
/// generation may then be of another connection.
pub(super) async fn commit(
    flight: &Flight,
    stored: Stored,
    claim: &Claim,
    answer: TokenAnswer,
) -> Result<Option<Grant>, AuthError> {
    let shared = &flight.shared;
    let subject = &flight.subject;
    let key = shared.key(subject);
    let credentials = answer.refresh(stored.credentials);
    let expected = Expected::Generation(stored.vintage.generation);
    let new = NewRecord {
        change: Change::Refresh,
        payload: shared.seal(subject, expected.next(), &credentials),
        labels: Labels::of(&credentials),
    };
    let mut failures = 0;
    let generation = loop {
        flight.reach(Point::Saving).await;
        if claim.is_of_another_life(shared) {
            tracing::error!(
                ?subject,
                "refreshed credentials could not be saved for a day"
            );
            drop_superseded(flight, &credentials).await;
            return Ok(None);
        }
        let save = shared
            .store
            .save(&key, new.clone(), expected, claim.attempt);
        match shared.within(save).await {
            Ok(Saved::Done(generation)) => break generation,
            Ok(Saved::Conflict(_)) => {
                drop_superseded(flight, &credentials).await;
                return Ok(None);
            }
            Err(error) => {
                tracing::warn!(%error, ?subject, "refreshed credentials could not be saved yet");
                flight.delay(store_failed(flight, error));
            }
        }
        failures += 1;
        let ceiling = Duration::from_millis(100 << failures.min(4)).min(LONGEST_SAVE_PAUSE);
        let pause = shared.jitter.between(ceiling / 2, ceiling);
        tokio::time::sleep(pause).await;
    };
    flight.reach(Point::Saved).await;
    flight.resume();
    *shared.app_rejected_until() = None;
    let vintage = Vintage {
        generation,
        age: Duration::ZERO,
        is_refreshed: true,
    };
    let outcome = shared.publish(subject, vintage, &credentials, false);
    shared.tell(Event::Refreshed {
        subject: subject.clone(),
        generation,
    });
    shared.tell_of_invalid_token(subject, generation, &outcome);
    outcome
}

/// A reconnect or a disconnect came between and stands. After a disconnect nobody will ever use
/// what was just obtained, so it is revoked.
async fn drop_superseded(flight: &Flight, credentials: &NotionUserCredentials) {
    let shared = &flight.shared;
    let key = shared.key(&flight.subject);
    let current = shared.within(shared.store.load(&key)).await;
    let is_disconnected =
        current.is_ok_and(|record| record.is_none_or(|it| it.state == RecordState::Disconnected));
    if is_disconnected {
        if let Err(error) = shared.oauth.revoke_both(credentials).await {
            tracing::warn!(%error, "what a refresh obtained after a disconnect was not revoked");
        }
    }
}

/// Closes the record, after another look at it. `None` if it has moved: then nothing is lost.
pub(super) async fn condemn(
    flight: &Flight,
    stored: &Stored,
    attempt: AttemptId,
    reason: ReauthorizationReason,
) -> Option<AuthError> {
    const TRIES: u32 = 5;

    let shared = &flight.shared;
    let subject = &flight.subject;
    let key = shared.key(subject);
    let generation = stored.vintage.generation;
    let mut failures = 0;
    loop {
        flight.reach(Point::Condemning).await;
        // The generation is compared in the same step: this is the other look.
        let condemn = shared.store.condemn(&key, generation, reason, attempt);
        let error = match shared.within(condemn).await {
            Ok(Condemned::Done) => break,
            Ok(Condemned::Moved) => return None,
            Err(error) => error,
        };
        failures += 1;
        if failures >= TRIES {
            return Some(store_failed(flight, error));
        }
        let ceiling = Duration::from_millis(100 << failures);
        tokio::time::sleep(shared.jitter.between(ceiling / 2, ceiling)).await;
    }
    shared.cache.remove(subject, generation);
    shared.tell(Event::NeedsReauthorization {
        subject: subject.clone(),
        generation,
        reason,
    });
    Some(AuthError::reauthorize(reason).with_subject(subject))
}

/// Ends this attempt's claim. If that fails, the claim lapses by itself and is then taken for one
/// in doubt, which costs time and nothing else.
pub(super) async fn release(flight: &Flight, attempt: AttemptId, back_off: Option<Duration>) {
    let shared = &flight.shared;
    let key = shared.key(&flight.subject);
    flight.reach(Point::Releasing).await;
    let release = shared.store.release(&key, attempt, back_off);
    match shared.within(release).await {
        Ok(Released::Done | Released::NotYours) => {}
        Err(error) => tracing::warn!(%error, "a claim was not released"),
    }
}
