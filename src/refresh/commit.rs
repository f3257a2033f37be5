//! End of an attempt: commit of the new pair, release of the lease, or invalidation of the credentials.

use std::{sync::Arc, time::Duration};

use super::{
    failpoint::Failpoint, goal::Grant, lease::HeldLease, load::Loaded,
    settings::LONGEST_COMMIT_PAUSE, task::Task,
};
use crate::{
    credentials::{NotionUserCredentials, ReauthorizationReason},
    error::AuthError,
    event::Event,
    oauth::TokenAnswer,
    store::{
        AttemptId, Changed, Committed, Found, Metadata, NewGeneration, Record, RecordState,
        StoreError,
    },
};

/// Saves the new pair, then publishes it. `None` if another change stands.
///
/// This attempt may hold the only valid pair, so it tries until the store answers. A late commit succeeds unless the
/// record has moved.
pub(super) async fn commit(
    task: &Task,
    loaded: &Loaded,
    lease: &mut HeldLease,
    answer: TokenAnswer,
) -> Result<Option<Grant>, AuthError> {
    let (engine, subject) = (&task.engine, &task.subject);
    let next = lease.fence.next();
    let credentials = answer.refresh(loaded.credentials.clone());
    // Not the record's issuer if the provider adopts credentials of other issuers.
    let issuer = engine.issuers.own.as_ref().unwrap_or(&loaded.record.issuer);
    let new = NewGeneration {
        issuer: issuer.clone(),
        payload: engine.records.encrypt(subject, next, issuer, &credentials),
        metadata: Metadata::of(&credentials),
        was_refused: task.goal.is_refusal(),
    };
    let mut failures = 0_u32;
    let mut written_at;
    let mut was_invalidated = false;
    loop {
        task.failpoint(Failpoint::Committing).await;
        written_at = engine.clock.monotonic();
        let committed = engine
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
                revoke_if_unused(task, credentials);
                return Ok(None);
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, ?subject, "refreshed credentials could not be saved yet");
                }
                task.delay(task.store_failed(error));
            }
        }
        failures += 1;
        let ceiling = Duration::from_millis(100 << failures.min(4)).min(LONGEST_COMMIT_PAUSE);
        let pause = engine.jitter.between(ceiling / 2, ceiling);
        tokio::time::sleep(pause).await;
        if let Err(error) = lease.renew_if_due(task).await {
            tracing::debug!(%error, "the refresh lease was not renewed");
        }
    }
    task.failpoint(Failpoint::Committed).await;
    task.resume();
    engine.brake.app_accepted();
    engine.failures.forget(subject);
    // Before the application's observer runs.
    let published = loaded.publish_refreshed(task, next, &credentials, written_at);
    engine.events.emit(if was_invalidated {
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
    engine.report_invalid_token(subject, next, &published);
    published
}

/// A reconnect or a disconnect stands. After a disconnect, or a reconnect with another bot, no process will use the new
/// pair. A task that a shutdown waits for revokes it, while requests continue. After a reconnect, it stays if its bot has
/// another connection.
fn revoke_if_unused(task: &Task, credentials: NotionUserCredentials) {
    let (engine, subject) = (Arc::clone(&task.engine), task.subject.clone());
    let tracked = engine.tasks.track();
    tokio::spawn(async move {
        let _tracked = tracked;
        let is_unused = match engine.records.load(&subject).await.map(|it| it.found) {
            Ok(Found::Absent) => true,
            Ok(Found::Record(record)) if record.state == RecordState::Disconnected => true,
            Ok(Found::Record(record)) => match credentials.bot_id() {
                Some(bot_id) if is_of_another_bot(&record, bot_id) => {
                    engine.has_no_connection(bot_id).await
                }
                _ => false,
            },
            Ok(Found::Unreadable(_)) | Err(_) => false,
        };
        if is_unused {
            if let Err(error) = engine.revoke(&credentials).await {
                tracing::warn!(%error, "tokens that a refresh obtained after a disconnect were not revoked");
            }
        }
    });
}

fn is_of_another_bot(record: &Record, obtained: &str) -> bool {
    let current = record.metadata.bot_id.as_deref();
    current.is_some_and(|current| current != obtained)
}

/// Marks the credentials as needing reauthorization, if the record is unmoved. `None` if it has moved.
pub(super) async fn invalidate(
    task: &Task,
    loaded: &Loaded,
    attempt: AttemptId,
    reason: ReauthorizationReason,
) -> Option<AuthError> {
    const TRIES: u32 = 5;

    let (engine, subject) = (&task.engine, &task.subject);
    let fence = loaded.record.fence();
    let changes = engine.cache.changes(subject);
    let mut failures = 0;
    loop {
        task.failpoint(Failpoint::Invalidating).await;
        let seen = &loaded.record;
        let invalidated = engine.records.invalidate(subject, seen, reason, attempt);
        let error: StoreError = match invalidated.await {
            Ok(Changed::Done) => break,
            Ok(_) => return None,
            Err(error) => error,
        };
        failures += 1;
        if failures >= TRIES {
            return Some(task.store_failed(error));
        }
        let ceiling = Duration::from_millis(100 << failures);
        tokio::time::sleep(engine.jitter.between(ceiling / 2, ceiling)).await;
    }
    engine.cache.remove(subject, changes);
    engine.events.emit(Event::NeedsReauthorization {
        subject: subject.clone(),
        lineage: fence.lineage,
        generation: fence.generation,
        reason,
    });
    Some(AuthError::reauthorize(reason).with_subject(subject))
}

/// Releases this attempt's lease. Returns whether the record is known to have moved. If the release fails, the next
/// attempt waits until it may take over the expired lease.
pub(super) async fn release(task: &Task, attempt: AttemptId, back_off: Option<Duration>) -> bool {
    task.failpoint(Failpoint::Releasing).await;
    let records = &task.engine.records;
    match records.release(&task.subject, attempt, back_off).await {
        Ok(changed) => changed == Changed::Moved,
        Err(error) => {
            tracing::warn!(%error, "a refresh lease was not released");
            false
        }
    }
}
