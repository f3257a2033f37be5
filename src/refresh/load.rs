//! First step: the current record of the store.

use std::time::{Duration, SystemTime};

use super::{
    decide::{Expiry, Situation, longest_delay},
    failures::Observed,
    goal::{Goal, Grant},
    task::Task,
};
use crate::{
    cache::{Changes, Entry, Fence, Replaced, Validated},
    credentials::NotionUserCredentials,
    error::AuthError,
    event::Event,
    store::{FencingToken, Found, Record, RecordState},
};

/// An active record whose credentials can be read.
pub(super) struct Loaded {
    pub(super) record: Record,
    pub(super) credentials: NotionUserCredentials,
    /// The store's time of the read.
    now: SystemTime,
    /// When the read began (monotonic clock).
    pub(super) read_at: Duration,
    /// The cache's change counter before the read.
    changes: Changes,
}

/// How long an older record in the store is an error after a newer one was seen.
const REGRESSION_MEMORY: Duration = Duration::from_secs(10 * 60);

/// Reads the subject's record.
pub(super) async fn load(task: &Task) -> Result<Loaded, AuthError> {
    let (engine, subject) = (&task.engine, &task.subject);
    // Before the read, so that a later change is noticed.
    let changes = engine.cache.changes(subject);
    let seen = engine.cache.peek(subject);
    let read_at = engine.clock.monotonic();
    let snapshot = engine
        .records
        .load(subject)
        .await
        .map_err(|error| task.store_failed(error))?;
    let record = match snapshot.found {
        Found::Record(record) => *record,
        Found::Absent => {
            engine.cache.remove(subject, changes);
            return Err(AuthError::not_connected().with_subject(subject));
        }
        Found::Unreadable(reason) => {
            let cause = engine.records.unreadable(reason);
            return Err(AuthError::unreadable(cause).with_subject(subject));
        }
    };
    match record.state {
        RecordState::Active => {}
        RecordState::NeedsReauthorization(reason) => {
            engine.cache.remove(subject, changes);
            return Err(AuthError::reauthorize(reason).with_subject(subject));
        }
        RecordState::Disconnected | RecordState::Unreadable => {
            engine.cache.remove(subject, changes);
            return Err(AuthError::not_connected().with_subject(subject));
        }
    }
    engine
        .issuers
        .check(&record)
        .map_err(|error| error.with_subject(subject))?;
    check_not_regressed(task, seen.as_ref(), &record)?;
    let credentials = engine
        .records
        .decrypt(subject, &record)
        .map_err(|cause| AuthError::unreadable(cause).with_subject(subject))?;
    Ok(Loaded {
        record,
        credentials,
        now: snapshot.now,
        read_at,
        changes,
    })
}

/// Checks that the record is not older than one that was seen before. A restored backup and a lagging replica have older
/// records, whose refresh tokens may have been spent.
fn check_not_regressed(
    task: &Task,
    seen: Option<&Entry>,
    record: &Record,
) -> Result<(), AuthError> {
    let engine = &task.engine;
    let Some(seen) = seen.map(|entry| &entry.cached) else {
        return Ok(());
    };
    let stored = Fence::from(record.fence());
    let is_older_generation =
        stored.is_of_lineage(seen.fence) && stored.generation() < seen.fence.generation();
    let is_replaced_lineage =
        seen.replaced == Some(Replaced::from(record.lineage)) && !stored.is_of_lineage(seen.fence);
    let seen_ago = engine.clock.monotonic().saturating_sub(seen.validated_at);
    if !(is_older_generation || is_replaced_lineage) || seen_ago >= REGRESSION_MEMORY {
        return Ok(());
    }
    engine.events.emit(Event::StoreRegressed {
        subject: task.subject.clone(),
        stored: stored.generation(),
        seen: seen.fence.generation(),
    });
    Err(AuthError::transient(
        "the store has older credentials than were seen before: it was restored from a backup, or a \
         lagging copy is being read. They are used after 10 minutes; connect the subject again to end \
         this at once",
    )
    .with_subject(&task.subject)
    .with_retry_after(Duration::from_secs(1)))
}

impl Loaded {
    pub(super) fn fence(&self) -> Fence {
        self.record.fence().into()
    }

    /// Returns the age of the generation.
    fn age(&self) -> Duration {
        let made_at = self.record.generation_made_at();
        self.now.duration_since(made_at).unwrap_or_default()
    }

    /// Returns the same, or the time for which this process has seen the generation if that is longer, because the
    /// store's clock may have been set back.
    fn age_by_both_clocks(&self, task: &Task) -> Duration {
        let (age, fence) = (self.age(), self.fence());
        let left = longest_delay(self.record.streak).saturating_sub(age);
        if left.is_zero() {
            return age;
        }
        let engine = &task.engine;
        let now = engine.clock.monotonic();
        let what = Observed::Generation(fence);
        let (seen_for, _) = engine.failures.observe(&task.subject, what, left, now);
        age.max(seen_for)
    }

    pub(super) fn situation(&self, task: &Task) -> Situation {
        let usable_for = task.engine.usable_for(&self.credentials, self.age());
        let is_past = self
            .credentials
            .expires_at
            .is_some_and(|end| end <= self.now);
        let expiry = match usable_for {
            Some(left) if left.is_zero() && is_past => Expiry::Past,
            Some(left) if left.is_zero() => Expiry::Refreshable,
            _ => Expiry::Usable,
        };
        // What is only read and used needs no memory of when it was seen.
        let is_only_used = expiry == Expiry::Usable && !matches!(task.goal, Goal::Renew { .. });
        Situation {
            goal: task.goal,
            fence: self.fence(),
            age: if is_only_used {
                self.age()
            } else {
                self.age_by_both_clocks(task)
            },
            is_refreshed: self.record.refreshed_at.is_some(),
            streak: self.record.streak,
            has_refresh_token: self.credentials.refresh_token.is_some(),
            expiry,
        }
    }

    /// Puts the credentials into the cache. `None` if the application has changed the record since it was read.
    pub(super) fn publish(&self, task: &Task) -> Result<Option<Grant>, AuthError> {
        let (engine, subject) = (&task.engine, &task.subject);
        let cached = engine
            .cached(&self.record, &self.credentials, self.age(), self.read_at)
            .map_err(|error| {
                engine.cache.remove(subject, self.changes);
                error.with_subject(subject)
            })?;
        // Only a task for a refusal has decided about the refusal.
        let ends_refusal = task.goal.is_refusal();
        Ok(engine.publish(subject, self.changes, cached, ends_refusal))
    }

    /// The same for the pair that a refresh of this record has committed.
    pub(super) fn publish_refreshed(
        &self,
        task: &Task,
        fence: FencingToken,
        credentials: &NotionUserCredentials,
        written_at: Duration,
    ) -> Result<Option<Grant>, AuthError> {
        let record = Record {
            generation: fence.generation,
            ..self.record.clone()
        };
        let (engine, subject) = (&task.engine, &task.subject);
        let cached = engine.cached(&record, credentials, Duration::ZERO, written_at);
        let cached = cached.map_err(|error| {
            engine.cache.remove(subject, self.changes);
            error.with_subject(subject)
        })?;
        Ok(engine.publish(subject, self.changes, cached, true))
    }

    /// Lets requests use the cached token for `pause` without a decision, if it is this record's and the goal has no
    /// refusal. The record was seen unmoved at `seen_at`.
    pub(super) fn keep_in_use(&self, task: &Task, seen_at: Duration, pause: Duration) {
        if !task.goal.keeps_token_in_use() {
            return;
        }
        let engine = &task.engine;
        let until = engine.clock.monotonic().saturating_add(pause);
        engine.cache.validate(
            &task.subject,
            Validated {
                fence: self.fence(),
                at: seen_at,
                check_again_at: engine.revalidate_at(seen_at),
            },
            until,
        );
    }
}
