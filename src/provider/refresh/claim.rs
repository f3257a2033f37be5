use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    super::{
        flight::Flight,
        purpose::{Purpose, Why},
        shared::Shared,
    },
    Stored,
    read::store_failed,
};
use crate::{
    clock::Clock,
    error::{AuthError, BoxError},
    oauth::SendGate,
    store::{AttemptId, ClaimAnswer},
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
    let attempt = AttemptId::random();
    let mut taking_over = None;
    loop {
        // Before the claim is made, so that its age is never taken for less than it is.
        let since = Moment::now(&*shared.clock);
        let answer = shared
            .store
            .claim(
                &shared.key(&flight.subject),
                stored.vintage.generation,
                attempt,
                shared.settings.timings.lease,
                taking_over,
            )
            .await;
        match answer {
            Ok(ClaimAnswer::Claimed) => {
                return Claiming::Claimed(Claim {
                    attempt,
                    in_doubt: taking_over.is_some(),
                    since,
                });
            }
            Ok(ClaimAnswer::Moved | ClaimAnswer::Absent) => return Claiming::Moved,
            Ok(ClaimAnswer::Held(left)) => {
                if can_go_on(flight) {
                    return Claiming::NotNow(busy(flight, left));
                }
                let pause = shared
                    .jitter
                    .between(Duration::from_millis(25), Duration::from_millis(500));
                tokio::time::sleep(pause.min(left)).await;
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
                if can_go_on(flight) {
                    return Claiming::NotNow(busy(flight, left));
                }
                if left.is_zero() {
                    taking_over = Some(other);
                } else {
                    wait_for_late_commit(flight, left).await;
                    return Claiming::Moved;
                }
            }
            Err(error) => {
                // It may have been made: then let go of it, or others wait for nothing.
                let key = shared.key(&flight.subject);
                if let Err(error) = shared.store.release(&key, attempt, None).await {
                    tracing::debug!(%error, "a claim that may have been made was not released");
                }
                return Claiming::NotNow(store_failed(flight, error));
            }
        }
    }
}

/// Whether the flight's requests can use the old token meanwhile.
fn can_go_on(flight: &Flight) -> bool {
    matches!(flight.purpose, Purpose::Renew { why: Why::Due, .. })
}

fn busy(flight: &Flight, left: Duration) -> AuthError {
    AuthError::transient("another process is refreshing these credentials, or died over it")
        .with_subject(&flight.subject)
        .with_retry_after(left)
}

/// The holder's lease is over, but it may still be saving the successor.
async fn wait_for_late_commit(flight: &Flight, left: Duration) {
    let shared = &flight.shared;
    if left > shared.settings.acquire_timeout {
        flight.delay(busy(flight, left));
    }
    let pause = shared
        .jitter
        .between(Duration::from_secs(1), Duration::from_secs(5));
    tokio::time::sleep(pause.min(left)).await;
    flight.resume();
}

impl Claim {
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

    pub(super) fn is_stale(&self, shared: &Shared) -> bool {
        self.since
            .is_older_than(shared.settings.timings.call, &*shared.clock)
    }

    /// Starts the lease anew. `Ok(false)` if the claim is no longer this attempt's.
    pub(super) async fn renew(
        &mut self,
        flight: &Flight,
        generation: u64,
        lease: Duration,
    ) -> Result<bool, crate::store::StoreError> {
        let shared = &flight.shared;
        let since = Moment::now(&*shared.clock);
        let key = shared.key(&flight.subject);
        let answer = shared
            .store
            .claim(&key, generation, self.attempt, lease, None)
            .await?;
        self.since = since;
        Ok(answer == ClaimAnswer::Claimed)
    }
}

impl Shared {
    /// Whether this process may start to spend refresh tokens.
    pub(super) fn may_refresh(&self) -> Result<(), AuthError> {
        let gate = self.gate();
        if gate.is_shutting_down {
            return Err(AuthError::transient(
                "this process is shutting down and starts no refresh",
            )
            .with_retry_after(Duration::from_secs(1)));
        }
        let left = gate
            .app_rejected_until
            .and_then(|until| until.checked_sub(self.clock.monotonic()))
            .filter(|left| !left.is_zero());
        match left {
            Some(left) => Err(AuthError::app_rejected().with_retry_after(left)),
            None => Ok(()),
        }
    }
}
