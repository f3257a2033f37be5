use std::time::Duration;

use super::super::{
    Event,
    cache::{Stale, Standing},
    flight::Flight,
    publish::Vintage,
    purpose::Grant,
};
use crate::{
    credentials::NotionUserCredentials,
    error::AuthError,
    store::{Record, RecordState, StoreError},
};

/// A record whose credentials can be read.
pub(super) struct Stored {
    pub(super) credentials: NotionUserCredentials,
    pub(super) vintage: Vintage,
    /// When it was read (monotonic clock).
    pub(super) read_at: Duration,
}

/// A tombstone may be purged after 24 hours, and generations start again behind it. What was last
/// seen longer ago than this is no measure of the store.
const MEMORY_OF_GENERATIONS: Duration = Duration::from_secs(12 * 60 * 60);

/// Reads the subject's record, and takes out of the cache what is no longer so.
pub(super) async fn read(flight: &Flight) -> Result<Stored, AuthError> {
    let shared = &flight.shared;
    let subject = &flight.subject;
    // Before the record is read: a reconnect meanwhile makes the cache the newer one.
    let seen = shared.cache.peek(subject);
    let read_at = shared.clock.monotonic();
    let record = shared
        .within(shared.store.load(&shared.key(subject)))
        .await
        .map_err(|error| store_failed(flight, error))?;
    let Some(record) = record else {
        shared.flights.no_doubt(subject);
        shared.cache.remove(subject, u64::MAX);
        return Err(AuthError::not_connected().with_subject(subject));
    };
    check_not_regressed(flight, seen.as_ref(), &record)?;
    match record.state {
        RecordState::Active => {}
        RecordState::NeedsReauthorization(reason) => {
            shared.cache.remove(subject, record.generation);
            return Err(AuthError::reauthorize(reason).with_subject(subject));
        }
        RecordState::Disconnected => {
            shared.flights.no_doubt(subject);
            let now = shared.clock.monotonic();
            shared.cache.bury(subject, record.generation, now);
            return Err(AuthError::not_connected().with_subject(subject));
        }
    }
    // Not condemned: the key may be missing here and be there in another process.
    let credentials = shared.open(subject, &record)?;
    Ok(Stored {
        read_at,
        credentials,
        vintage: Vintage {
            generation: record.generation,
            age: record
                .read_at
                .duration_since(record.updated_at)
                .unwrap_or_default(),
            is_refreshed: record.refreshed_at.is_some(),
        },
    })
}

fn check_not_regressed(
    flight: &Flight,
    seen: Option<&Stale>,
    record: &Record,
) -> Result<(), AuthError> {
    let shared = &flight.shared;
    let Some(seen) = seen else {
        return Ok(());
    };
    // A generation that was ended is not active again, unless the generations have begun anew.
    let is_risen = seen.standing == Standing::Buried
        && record.generation == seen.fresh.generation
        && record.state != RecordState::Disconnected;
    if record.generation >= seen.fresh.generation && !is_risen {
        return Ok(());
    }
    let seen_ago = shared
        .clock
        .monotonic()
        .saturating_sub(seen.fresh.validated_at);
    let connected_ago = record
        .read_at
        .duration_since(record.connected_at)
        .unwrap_or_default();
    if seen_ago > MEMORY_OF_GENERATIONS || connected_ago < seen_ago {
        // The user has connected since: what was seen is history.
        shared.cache.forget(&flight.subject, seen.tag);
        return Ok(());
    }
    shared.tell(Event::StoreRegressed {
        subject: flight.subject.clone(),
        stored: record.generation,
        seen: seen.fresh.generation,
    });
    Err(AuthError::transient(
        "the store has older credentials than were seen before: was it restored from a backup, or \
         is a lagging copy being read? Connect the subject again if it stays so",
    )
    .with_subject(&flight.subject)
    .with_retry_after(Duration::from_secs(1)))
}

pub(super) fn store_failed(flight: &Flight, error: StoreError) -> AuthError {
    error.into_auth_error().with_subject(&flight.subject)
}

impl Stored {
    /// `None` when newer credentials are known, or the connection was ended, since this was read.
    ///
    /// `is_kept` says that they stay in use if the API has refused them.
    pub(super) fn publish(
        &self,
        flight: &Flight,
        is_kept: bool,
    ) -> Result<Option<Grant>, AuthError> {
        flight
            .shared
            .publish(&flight.subject, self.vintage, &self.credentials, is_kept)
    }
}
