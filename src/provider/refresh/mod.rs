//! A flight from the inside: how stored credentials become credentials that can be sent, and how a
//! refresh token that can be spent only once is spent.
//!
//! 1. [`read`]: the record, as the store has it now.
//! 2. [`decide`]: is it good enough for what the flight is for?
//! 3. [`claim`]: a durable note that this attempt is about to spend the token; or wait for whoever
//!    has one.
//! 4. [`spend`]: one call of the token endpoint. When it is not known what became of it, the claim
//!    stays and the call is repeated until an answer is definite.
//! 5. [`settle`]: commit the new pair before anybody uses it; or release the claim; or, after a
//!    definite `invalid_grant` and another look at the record, condemn the credentials.
//!
//! Whenever the record turns out to have moved, the flight starts again at 1: somebody else has done
//! the work.

mod claim;
mod decide;
mod read;
mod settle;
mod spend;

use std::time::Duration;

use self::{
    claim::{Claiming, claim},
    decide::{Decision, decide},
    read::{Stored, read},
    settle::condemn,
    spend::spend,
};
use super::{cache::Validated, flight::Flight, point::Point, purpose::Grant};
use crate::{
    credentials::{ReauthorizationReason, RefreshToken},
    error::AuthError,
    observe::Ending,
};

/// Brings a flight to credentials, and says how it came to them.
pub(super) async fn fly(flight: &Flight) -> Result<(Grant, Ending), AuthError> {
    let mut has_moved = false;
    // Each round but the last found that somebody had changed the record meanwhile.
    for _ in 0..ROUNDS {
        let stored = read(flight).await?;
        flight.reach(Point::Read).await;
        let found = if has_moved || flight.purpose.is_surpassed_by(stored.vintage.generation) {
            Ending::Adopted
        } else {
            Ending::Loaded
        };
        let published = match decide(flight, &stored) {
            Decision::Use => stored.publish(flight, false)?.map(|grant| (grant, found)),
            Decision::Keep => stored.publish(flight, true)?.map(|grant| (grant, found)),
            Decision::Fail(error) => return Err(error),
            Decision::Condemn(attempt) => {
                let reason = ReauthorizationReason::NoRefreshToken;
                match condemn(flight, &stored, attempt, reason).await {
                    Some(error) => return Err(error),
                    None => None,
                }
            }
            Decision::Refresh(token) => {
                let validated = stored.validated(flight);
                match refresh(flight, stored, &token).await {
                    Ok(refreshed) => refreshed,
                    Err(error) => {
                        keep_in_use(flight, validated, &error);
                        return Err(error);
                    }
                }
            }
        };
        if let Some(landing) = published {
            return Ok(landing);
        }
        has_moved = true;
    }
    Err(
        AuthError::transient("the credentials were changed again and again while they were read")
            .with_subject(&flight.subject)
            .with_retry_after(Duration::from_secs(1)),
    )
}

/// More than a wait for another process's claim takes; a flight that needs more goes in circles.
const ROUNDS: u32 = 1000;

/// `None` when the record has moved.
async fn refresh(
    flight: &Flight,
    stored: Stored,
    token: &RefreshToken,
) -> Result<Option<(Grant, Ending)>, AuthError> {
    match claim(flight, &stored).await {
        Claiming::Claimed(claim) => spend(flight, stored, token, claim).await,
        Claiming::Moved => Ok(None),
        Claiming::NotNow(error) => Err(error),
    }
}

impl Stored {
    fn validated(&self, flight: &Flight) -> Validated {
        Validated {
            generation: self.vintage.generation,
            at: self.read_at,
            again_at: flight.shared.revalidate_at(self.read_at),
        }
    }
}

/// A token that is only about to expire is used on when its refresh fails. The flight has failed all
/// the same: nobody waits for it, and the next one backs off.
fn keep_in_use(flight: &Flight, validated: Validated, error: &AuthError) {
    if !flight.purpose.leaves_doubt() || error.needs_reauthorization().is_some() {
        return;
    }
    let shared = &flight.shared;
    let now = shared.clock.monotonic();
    let pause = error.retry_after().unwrap_or(Duration::from_secs(30));
    let until = now.saturating_add(pause);
    shared.cache.keep(&flight.subject, until, validated);
}
