//! The refresh lease. The token endpoint is called only while it is held.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    engine::Engine, failpoint::Failpoint, failures::Observed, load::Loaded,
    settings::LONGEST_COMMIT_PAUSE, task::Task,
};
use crate::{
    clock::Clock,
    error::{AuthError, BoxError},
    oauth::SendGate,
    store::{AttemptId, FencingToken, Lease, LeaseRequest, Leased, StoreError},
};

pub(super) enum Leasing {
    Acquired(HeldLease),
    /// The record may have changed: read it again.
    Moved,
    /// The same, after a wait for another attempt, as the error reports.
    Held(AuthError),
    /// This task can't refresh now.
    NotNow(AuthError),
}

/// This attempt's right to spend the refresh token while the lease lasts.
pub(super) struct HeldLease {
    pub(super) attempt: AttemptId,
    pub(super) fence: FencingToken,
    /// The attempt that committed the record that was read.
    seen: AttemptId,
    /// Whether the token may have been spent, by this attempt or one before it.
    pub(super) in_doubt: bool,
    since: Moment,
}

/// Readings of both clocks, because the monotonic clock may stop in suspend, and the wall clock may be set.
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

/// How long requests use the current token without another decision while a background refresh runs.
const KEPT_IN_USE: Duration = Duration::from_secs(1);

/// Acquires the lease, or waits for a short time for the attempt that holds it.
pub(super) async fn acquire(task: &Task, loaded: &Loaded) -> Leasing {
    let (engine, subject) = (&task.engine, &task.subject);
    if let Err(error) = engine.brake.may_refresh(engine.clock.monotonic()) {
        return Leasing::NotNow(error.with_subject(subject));
    }
    let now = engine.clock.monotonic();
    if let Some(error) = engine.failures.back_off(subject, loaded.fence(), now) {
        return Leasing::NotNow(error);
    }
    let fence = loaded.record.fence();
    let attempt = AttemptId::random();
    let seen = loaded.record.committed_by;
    let mut request = LeaseRequest {
        attempt,
        seen,
        duration: engine.policy.timings.lease,
        in_doubt: false,
        take_over: None,
        past_back_off: None,
    };
    task.failpoint(Failpoint::Leasing).await;
    loop {
        // Before the request, so that the lease is never older than it seems.
        let since = Moment::now(&*engine.clock);
        match engine.records.lease(subject, fence, request).await {
            Ok(Leased::Acquired { in_doubt }) => {
                loaded.keep_in_use(task, since.monotonic, KEPT_IN_USE);
                task.failpoint(Failpoint::Leased).await;
                return Leasing::Acquired(HeldLease {
                    attempt,
                    fence,
                    seen,
                    in_doubt,
                    since,
                });
            }
            Ok(Leased::Moved) => return Leasing::Moved,
            Ok(Leased::BackingOff { end, left }) => {
                let now = engine.clock.monotonic();
                let what = Observed::BackOff(end);
                let (seen_for, length) = engine.failures.observe(subject, what, left, now);
                if seen_for >= length && request.past_back_off.is_none() {
                    request.past_back_off = Some(end);
                    continue;
                }
                let error =
                    AuthError::transient("the last refresh failed; the next one has to wait")
                        .with_subject(subject)
                        .with_retry_after(left.min(length.saturating_sub(seen_for)));
                return Leasing::NotNow(error);
            }
            Ok(Leased::Taken { lease, now }) => match wait_for(task, lease, now).await {
                Waited::TakeOver => request.take_over = Some(lease),
                Waited::ReadAgain(error) => return Leasing::Held(error),
                Waited::NotNow(error) => return Leasing::NotNow(error),
            },
            Err(error) => {
                // It may have been acquired. Released, other attempts need not wait for it.
                if request.take_over.is_none() {
                    let released = engine.records.release(subject, attempt, None).await;
                    if let Err(error) = released {
                        tracing::debug!(%error, "a lease that may have been acquired was not released");
                    }
                }
                return Leasing::NotNow(task.store_failed(error));
            }
        }
    }
}

enum Waited {
    TakeOver,
    ReadAgain(AuthError),
    NotNow(AuthError),
}

/// Waits for another attempt that holds the lease, or did when its process died. `store_now` is the store's time.
async fn wait_for(task: &Task, lease: Lease, store_now: SystemTime) -> Waited {
    let engine = &task.engine;
    let timings = &engine.policy.timings;
    let age = store_now.duration_since(lease.since).unwrap_or_default();
    let remaining = lease.duration.saturating_sub(age);
    let now = engine.clock.monotonic();
    let what = Observed::Lease(lease);
    let (seen_for, _) = engine.failures.observe(&task.subject, what, remaining, now);
    // If the store's clock was set back, the time for which this process has seen the lease counts.
    let age = age.max(seen_for);
    let remaining = lease.duration.saturating_sub(age);
    let until_take_over = timings
        .take_over_after()
        .saturating_sub(age)
        .max(timings.unchanged_for().saturating_sub(seen_for));
    let left = if remaining.is_zero() {
        until_take_over
    } else {
        remaining
    };
    let error = busy(task, left);
    if task.goal.is_proactive() || !task.has_waiters() {
        return Waited::NotNow(error);
    }
    if remaining.is_zero() && until_take_over.is_zero() {
        // The store may have just come back. A holder that was cut off from it then commits first.
        let turn = timings.save.saturating_add(LONGEST_COMMIT_PAUSE);
        return match task.pause(turn).await {
            true => Waited::TakeOver,
            false if engine.brake.is_shutting_down() => Waited::NotNow(error),
            false => Waited::ReadAgain(error),
        };
    }
    // A holder in doubt backs off with a longer lease. The lease of a dead process must expire.
    let is_long = if remaining.is_zero() {
        until_take_over > engine.policy.acquire_timeout
    } else {
        remaining > timings.lease
    };
    let (low, high) = if is_long {
        task.delay(error.clone());
        (Duration::from_secs(1), Duration::from_secs(5))
    } else {
        (Duration::from_millis(25), Duration::from_millis(500))
    };
    task.pause(engine.jitter.between(low, high).min(left)).await;
    task.resume();
    Waited::ReadAgain(error)
}

fn busy(task: &Task, left: Duration) -> AuthError {
    AuthError::transient("another process holds the refresh lease for these credentials")
        .with_subject(&task.subject)
        .with_retry_after(left.max(Duration::from_secs(5)))
}

impl HeldLease {
    /// The pre-send check. A process that was suspended must not spend a token that another has replayed since.
    pub(super) fn pre_send_check(&self, engine: &Arc<Engine>) -> SendGate {
        let since = self.since;
        let clock = Arc::clone(&engine.clock);
        let budget = engine.policy.timings.call;
        SendGate::new(move || {
            if since.is_older_than(budget, &*clock) {
                Err(BoxError::from(
                    "too much time passed since the refresh lease was acquired",
                ))
            } else {
                Ok(())
            }
        })
    }

    /// Renews the lease if its age has reached the renewal interval.
    pub(super) async fn renew_if_due(&mut self, task: &Task) -> Result<(), StoreError> {
        let timings = &task.engine.policy.timings;
        if self
            .since
            .is_older_than(timings.renewal(), &*task.engine.clock)
        {
            self.renew(task, timings.lease).await?;
        }
        Ok(())
    }

    /// Whether the record in the store is unmoved and has this attempt's lease. `None` if it was not read.
    pub(super) async fn is_held(&self, task: &Task) -> Option<bool> {
        match task.engine.records.load(&task.subject).await {
            Ok(seen) => Some(seen.record().is_some_and(|record| {
                let is_own = |lease: Lease| lease.attempt == self.attempt;
                record.fence() == self.fence && record.lease.is_some_and(is_own)
            })),
            Err(error) => {
                tracing::debug!(%error, "a record in doubt was not read");
                None
            }
        }
    }

    /// Renews the lease for `duration` from now. `Ok(false)` if another attempt has it.
    pub(super) async fn renew(
        &mut self,
        task: &Task,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        let engine = &task.engine;
        let since = Moment::now(&*engine.clock);
        let request = LeaseRequest {
            attempt: self.attempt,
            seen: self.seen,
            duration,
            in_doubt: self.in_doubt,
            take_over: None,
            past_back_off: None,
        };
        let leased = engine
            .records
            .lease(&task.subject, self.fence, request)
            .await?;
        let is_held = matches!(leased, Leased::Acquired { .. });
        if is_held {
            self.since = since;
        }
        Ok(is_held)
    }
}
