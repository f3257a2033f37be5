use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    super::{flight::Flight, point::Point, shared::Shared},
    Stored,
    read::store_failed,
    settle::LONGEST_SAVE_PAUSE,
};
use crate::{
    clock::Clock,
    error::{AuthError, BoxError},
    oauth::SendGate,
    store::{AttemptId, ClaimAnswer, StoreError},
};

pub(super) enum Claiming {
    Claimed(Claim),
    /// The record has changed: read it again.
    Moved,
    /// Nobody may, or need, refresh it now.
    NotNow(AuthError),
}

/// This attempt's right to spend the token, for as long as the lease runs.
pub(super) struct Claim {
    pub(super) attempt: AttemptId,
    /// Whether the token may have been spent already, by this attempt or one before it.
    pub(super) in_doubt: bool,
    since: Moment,
}

/// Both clocks: the monotonic one may have stood still, the wall clock may have been set.
#[derive(Clone, Copy)]
struct Moment {
    monotonic: Duration,
    wall: SystemTime,
}

impl Moment {
    fn now(clock: &dyn Clock) -> Self {
        Self {
            monotonic: clock.monotonic(),
            wall: clock.wall(),
        }
    }

    fn is_older_than(self, age: Duration, clock: &dyn Clock) -> bool {
        let now = Self::now(clock);
        now.monotonic.saturating_sub(self.monotonic) >= age
            || now.wall.duration_since(self.wall).unwrap_or_default() >= age
    }
}

/// Claims the record's refresh token, or waits for whoever has.
pub(super) async fn claim(flight: &Flight, stored: &Stored) -> Claiming {
    let shared = &flight.shared;
    if let Err(error) = shared.may_refresh() {
        return Claiming::NotNow(error.with_subject(&flight.subject));
    }
    let generation = stored.vintage.generation;
    let doubt = shared.flights.doubt(&flight.subject, generation);
    if doubt.is_some() && flight.purpose.leaves_doubt() {
        // The replay can wait until the old token is refused.
        return Claiming::NotNow(busy(flight, Duration::ZERO));
    }
    let attempt = doubt.unwrap_or_else(AttemptId::random);
    let mut taking_over = None;
    flight.reach(Point::Claiming).await;
    loop {
        // Before the claim is made, so that its age is never taken for less than it is.
        let since = Moment::now(&*shared.clock);
        let key = shared.key(&flight.subject);
        let lease = shared.settings.timings.lease;
        let claim = shared
            .store
            .claim(&key, generation, attempt, lease, taking_over);
        let answer = shared.within(claim).await;
        match answer {
            Ok(ClaimAnswer::Claimed) => {
                if taking_over.is_some() {
                    shared
                        .flights
                        .in_doubt(&flight.subject, generation, attempt);
                }
                flight.reach(Point::Claimed).await;
                return Claiming::Claimed(Claim {
                    attempt,
                    in_doubt: taking_over.is_some() || doubt.is_some(),
                    since,
                });
            }
            Ok(ClaimAnswer::Moved | ClaimAnswer::Absent) => return Claiming::Moved,
            Ok(ClaimAnswer::Held(left)) => {
                if flight.purpose.is_behind() {
                    return Claiming::NotNow(busy(flight, left));
                }
                let (low, high) = if left > lease {
                    // Its holder is in doubt, and backs off.
                    flight.delay(busy(flight, left));
                    (Duration::from_secs(1), Duration::from_secs(5))
                } else {
                    (Duration::from_millis(25), Duration::from_millis(500))
                };
                let pause = shared.jitter.between(low, high);
                shared.pause(pause.min(left)).await;
                flight.resume();
                return Claiming::Moved;
            }
            Ok(ClaimAnswer::BackingOff(left)) => {
                return Claiming::NotNow(
                    AuthError::transient("the last refresh failed; the next one has to wait")
                        .with_subject(&flight.subject)
                        .with_retry_after(left),
                );
            }
            Ok(ClaimAnswer::Lapsed {
                attempt: other,
                age,
                ..
            }) => {
                let gone_after = shared.settings.timings.holder_is_gone_after();
                let left = gone_after.saturating_sub(age);
                if flight.purpose.is_behind() {
                    return Claiming::NotNow(busy(flight, left));
                }
                if left.is_zero() {
                    // The store may have come back a moment ago, and its holder still have the successor to
                    // save: it goes first.
                    let turn = shared
                        .settings
                        .timings
                        .save
                        .saturating_add(LONGEST_SAVE_PAUSE);
                    shared.pause(turn).await;
                    if shared.is_shutting_down() {
                        return Claiming::Moved;
                    }
                    taking_over = Some(other);
                } else {
                    // The holder may still be saving the successor.
                    let low = Duration::from_secs(1);
                    let pause = shared.jitter.between(low, Duration::from_secs(5));
                    if left > shared.settings.acquire_timeout {
                        flight.delay(busy(flight, left));
                    }
                    shared.pause(pause.min(left)).await;
                    flight.resume();
                    return Claiming::Moved;
                }
            }
            Err(error) => {
                // It may have been made: then let go of it, or others wait for nothing.
                if taking_over.is_some() {
                    // The doubt of the one before may be ours now: it is never let go of.
                    shared
                        .flights
                        .in_doubt(&flight.subject, generation, attempt);
                } else if doubt.is_none() {
                    let release = shared.store.release(&key, attempt, None);
                    if let Err(error) = shared.within(release).await {
                        tracing::debug!(%error, "a claim that may have been made was not released");
                    }
                }
                return Claiming::NotNow(store_failed(flight, error));
            }
        }
    }
}

fn busy(flight: &Flight, left: Duration) -> AuthError {
    AuthError::transient("another process is refreshing these credentials, or died over it")
        .with_subject(&flight.subject)
        .with_retry_after(left.max(Duration::from_secs(5)))
}

/// A tombstone is purged after 24 hours, and generations start again behind it.
const MEMORY_OF_GENERATIONS: Duration = Duration::from_secs(23 * 60 * 60);

impl Claim {
    /// Whether it is so old that the record of its generation may be another connection's by now.
    pub(super) fn is_of_another_life(&self, shared: &Shared) -> bool {
        self.since
            .is_older_than(MEMORY_OF_GENERATIONS, &*shared.clock)
    }

    /// Lets a request pass as long as nobody can have taken the claim over: a process that was
    /// suspended must not send what another one has replayed since.
    pub(super) fn gate(&self, shared: &Arc<Shared>) -> SendGate {
        let since = self.since;
        let clock = Arc::clone(&shared.clock);
        let budget = shared.settings.timings.call;
        SendGate::new(move || {
            if since.is_older_than(budget, &*clock) {
                Err(BoxError::from(
                    "too much time passed since the refresh was claimed",
                ))
            } else {
                Ok(())
            }
        })
    }

    /// Starts the lease anew. `Ok(false)` if the claim is no longer this attempt's.
    pub(super) async fn renew(
        &mut self,
        flight: &Flight,
        generation: u64,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let shared = &flight.shared;
        let since = Moment::now(&*shared.clock);
        let key = shared.key(&flight.subject);
        let claim = shared
            .store
            .claim(&key, generation, self.attempt, lease, None);
        let answer = shared.within(claim).await?;
        self.since = since;
        Ok(answer == ClaimAnswer::Claimed)
    }
}

impl Shared {
    /// Whether this process may start to spend refresh tokens.
    pub(super) fn may_refresh(&self) -> Result<(), AuthError> {
        if self.is_shutting_down() {
            return Err(AuthError::transient(
                "this process is shutting down and starts no refresh",
            )
            .with_retry_after(Duration::from_secs(1)));
        }
        let left = self.app_pause();
        if left.is_zero() {
            Ok(())
        } else {
            Err(AuthError::app_rejected().with_retry_after(left))
        }
    }

    /// How long the app's refreshes are stopped.
    pub(super) fn app_pause(&self) -> Duration {
        let until = *self.app_rejected_until();
        until
            .unwrap_or_default()
            .saturating_sub(self.clock.monotonic())
    }
}
