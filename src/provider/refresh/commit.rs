//! How an attempt ends: the new pair is committed, or the lease released, or the credentials invalidated.

use std::time::Duration;

use super::{
    super::event::Event,
    failpoint::Failpoint,
    goal::Grant,
    lease::HeldLease,
    load::{Loaded, store_failed},
    task::Task,
};
use crate::{
    credentials::{NotionUserCredentials, ReauthorizationReason},
    error::AuthError,
    oauth::TokenAnswer,
    store::{
        AttemptId, Changed, Committed, Found, Metadata, NewGeneration, Record, RecordState,
        StoreError,
    },
};

/// Maximum pause between two tries to commit.
pub(super) const LONGEST_COMMIT_PAUSE: Duration = Duration::from_millis(1600);

/// Saves the new pair, then lets it be used. `None` if another change stands.
///
/// This attempt may hold the only living pair, so it tries until the commit has an answer: one that comes late still
/// wins unless the record has moved.
pub(super) async fn commit(
    task: &Task,
    loaded: &Loaded,
    lease: &HeldLease,
    answer: TokenAnswer,
) -> Result<Option<Grant>, AuthError> {
    let (shared, subject) = (&task.shared, &task.subject);
    let next = lease.fence.next();
    let credentials = answer.refresh(loaded.credentials.clone());
    // Another than the record's where the provider adopts other issuers' credentials.
    let issuer = shared.issuer.as_ref().unwrap_or(&loaded.record.issuer);
    let new = NewGeneration {
        issuer: issuer.clone(),
        payload: shared.records.encrypt(subject, next, issuer, &credentials),
        metadata: Metadata::of(&credentials),
        was_refused: task.goal.is_refusal(),
    };
    let mut failures = 0_u32;
    let mut was_invalidated = false;
    loop {
        task.failpoint(Failpoint::Committing).await;
        let committed = shared
            .records
            .commit(
                subject,
                lease.fence,
                &new,
                lease.attempt,
                &mut was_invalidated,
            )
            .await;
        match committed {
            Ok(Committed::Done) => break,
            Ok(Committed::Conflict) => {
                revoke_if_unused(task, &credentials).await;
                return Ok(None);
            }
            Err(error) => {
                tracing::warn!(%error, ?subject, "refreshed credentials could not be saved yet");
                task.delay(store_failed(task, error));
            }
        }
        failures += 1;
        let ceiling = Duration::from_millis(100 << failures.min(4)).min(LONGEST_COMMIT_PAUSE);
        let pause = shared.jitter.between(ceiling / 2, ceiling);
        tokio::time::sleep(pause).await;
    }
    task.failpoint(Failpoint::Committed).await;
    task.resume();
    *shared.app_rejected_until() = None;
    shared.failures.forget(subject);
    shared.emit(if was_invalidated {
        Event::Recovered {
            subject: subject.clone(),
            lineage: next.lineage,
            generation: next.generation,
        }
    } else {
        Event::Refreshed {
            subject: subject.clone(),
            lineage: next.lineage,
            generation: next.generation,
        }
    });
    loaded.publish_refreshed(task, next, &credentials)
}

/// A reconnect or a disconnect stands. After a disconnect, or a reconnect with another bot, no process will use what
/// was just obtained.
async fn revoke_if_unused(task: &Task, credentials: &NotionUserCredentials) {
    let shared = &task.shared;
    let is_unused = match shared.records.load(&task.subject).await.map(|it| it.found) {
        Ok(Found::Absent) => true,
        Ok(Found::Record(record)) => {
            record.state == RecordState::Disconnected || is_of_another_bot(&record, credentials)
        }
        Ok(Found::Unreadable(_)) | Err(_) => false,
    };
    if is_unused {
        if let Err(error) = shared.oauth.revoke_both(credentials).await {
            tracing::warn!(%error, "tokens that a refresh obtained after a disconnect were not revoked");
        }
    }
}

fn is_of_another_bot(record: &Record, credentials: &NotionUserCredentials) -> bool {
    let current = record.metadata.bot_id.as_deref();
    current
        .zip(credentials.bot_id())
        .is_some_and(|(current, obtained)| current != obtained)
}

/// Marks the credentials as needing reauthorization, if the record is unmoved. `None` if it has moved.
pub(super) async fn invalidate(
    task: &Task,
    loaded: &Loaded,
    attempt: AttemptId,
    reason: ReauthorizationReason,
) -> Option<AuthError> {
    const TRIES: u32 = 5;

    let (shared, subject) = (&task.shared, &task.subject);
    let fence = loaded.record.fence();
    let changes = shared.cache.changes(subject);
    let mut failures = 0;
    loop {
        task.failpoint(Failpoint::Invalidating).await;
        let invalidated = shared.records.invalidate(subject, fence, reason, attempt);
        let error: StoreError = match invalidated.await {
            Ok(Changed::Done) => break,
            Ok(Changed::Moved | Changed::Leased) => return None,
            Err(error) => error,
        };
        failures += 1;
        if failures >= TRIES {
            return Some(store_failed(task, error));
        }
        let ceiling = Duration::from_millis(100 << failures);
        tokio::time::sleep(shared.jitter.between(ceiling / 2, ceiling)).await;
    }
    shared.cache.remove(subject, changes);
    shared.emit(Event::NeedsReauthorization {
        subject: subject.clone(),
        lineage: fence.lineage,
        generation: fence.generation,
        reason,
    });
    Some(AuthError::reauthorize(reason).with_subject(subject))
}

/// Ends this attempt's lease. If that fails, the lease expires, and the next attempt waits until it may take it over.
pub(super) async fn release(task: &Task, attempt: AttemptId, back_off: Option<Duration>) {
    task.failpoint(Failpoint::Releasing).await;
    let released = task
        .shared
        .records
        .release(&task.subject, attempt, back_off)
        .await;
    if let Err(error) = released {
        tracing::warn!(%error, "a refresh lease was not released");
    }
}
