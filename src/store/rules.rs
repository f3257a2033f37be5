//! The rules by which a record may change, as pure functions of the record that was read and the store's
//! time.
//!
//! `Ok` contains the record to write, and `Err` the result if nothing has to be written.

use std::time::{Duration, SystemTime};

use super::{
    contract::RecordState,
    payload::Payload,
    record::{AttemptId, FencingToken, Issuer, Lease, Lineage, Metadata, Record},
};
use crate::credentials::ReauthorizationReason;

/// The result of a user's authorization.
#[derive(Debug, Clone)]
pub(crate) struct NewConnection {
    pub(crate) lineage: Lineage,
    pub(crate) issuer: Issuer,
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
    pub(crate) attempt: AttemptId,
}

/// The result of a refresh.
#[derive(Debug, Clone)]
pub(crate) struct NewGeneration {
    pub(crate) issuer: Issuer,
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
    /// Whether the API refused the generation that this one replaces.
    pub(crate) was_refused: bool,
}

/// Outcome of [`commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    Done,
    /// Another change was made first.
    Conflict,
}

/// Outcome of [`lease`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leased {
    /// `in_doubt`: this attempt, or an earlier one, may have spent the token.
    Acquired { in_doubt: bool },
    /// Another attempt has the lease, which may have expired. That attempt may have spent the token.
    Taken { lease: Lease, now: SystemTime },
    /// No attempt may start a refresh for this long.
    BackingOff { end: SystemTime, left: Duration },
    /// The record is absent, not active, has another fencing token, or was reinstated.
    Moved,
}

/// Outcome of [`release`], [`invalidate`], [`reinstate`] and `re_encrypt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    /// Another change was made first.
    Moved,
    /// A refresh is running, which will write a new payload anyway.
    #[cfg(feature = "encryption")]
    Leased,
}

/// Stores a new grant over any record. A running refresh of the old grant cannot change it.
pub(super) fn connect(current: Option<&Record>, new: NewConnection, now: SystemTime) -> Record {
    Record {
        lineage: new.lineage,
        replaced_lineage: current.map(|record| record.lineage),
        generation: 1,
        state: RecordState::Active,
        issuer: new.issuer,
        payload: new.payload,
        lease: None,
        back_off_until: None,
        streak: 0,
        committed_by: new.attempt,
        connected_at: now,
        refreshed_at: None,
        updated_at: now,
        metadata: new.metadata,
    }
}

/// Writes the next generation.
///
/// It is fenced by the fencing token and not by the lease, because the holder of an expired lease may own
/// the only valid token pair. An invalidated record keeps its fencing token, so that such a late commit
/// still replaces it.
pub(super) fn commit(
    current: Option<&Record>,
    fence: FencingToken,
    new: NewGeneration,
    attempt: AttemptId,
    now: SystemTime,
) -> Result<Record, Committed> {
    let record = current.ok_or(Committed::Conflict)?;
    if record.fence() == fence.next() && record.committed_by == attempt {
        return Err(Committed::Done);
    }
    if record.fence() != fence || record.state == RecordState::Disconnected {
        return Err(Committed::Conflict);
    }
    Ok(Record {
        generation: fence.next().generation,
        state: RecordState::Active,
        issuer: new.issuer,
        payload: new.payload,
        lease: None,
        back_off_until: None,
        streak: next_streak(record, new.was_refused, now),
        committed_by: attempt,
        refreshed_at: Some(now),
        updated_at: now,
        metadata: new.metadata,
        ..record.clone()
    })
}

/// A generation that is valid for this long, and for twice its own delay, ends the streak.
const STREAK_ENDS_AFTER: Duration = Duration::from_secs(60);

fn next_streak(record: &Record, was_refused: bool, now: SystemTime) -> u32 {
    let lived = now
        .duration_since(record.generation_made_at())
        .unwrap_or_default();
    if lived >= STREAK_ENDS_AFTER + 2 * refusal_delay(record.streak) {
        0
    } else {
        record.streak.saturating_add(was_refused.into())
    }
}

/// Returns how long after the creation of a generation a refusal of it may cause the next refresh.
pub(crate) fn refusal_delay(streak: u32) -> Duration {
    Duration::from_secs(match streak {
        0 => 0,
        1..=4 => 5 << (streak - 1),
        5..=9 => 60,
        _ => 60 * 60,
    })
}

/// Acquires or renews the refresh lease.
pub(super) fn lease(
    current: Option<&Record>,
    fence: FencingToken,
    request: LeaseRequest,
    now: SystemTime,
) -> Result<Record, Leased> {
    let record = current
        .filter(|record| record.fence() == fence && record.state == RecordState::Active)
        .filter(|record| record.committed_by == request.seen)
        .ok_or(Leased::Moved)?;
    let in_doubt = match record.lease {
        Some(lease) if lease.attempt == request.attempt => lease.in_doubt || request.in_doubt,
        Some(lease) if request.take_over == Some(lease) => true,
        Some(lease) => return Err(Leased::Taken { lease, now }),
        None => match record.back_off_until {
            Some(end) if request.past_back_off == Some(end) => request.in_doubt,
            Some(end) => match remaining(end, now) {
                Some(left) => return Err(Leased::BackingOff { end, left }),
                None => request.in_doubt,
            },
            None => request.in_doubt,
        },
    };
    Ok(Record {
        back_off_until: None,
        lease: Some(Lease {
            attempt: request.attempt,
            since: now,
            duration: request.duration,
            in_doubt,
        }),
        ..record.clone()
    })
}

/// Request for a refresh [`lease`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseRequest {
    pub(crate) attempt: AttemptId,
    /// What committed the record that was read. A reinstate since makes what was decided out of date.
    pub(crate) seen: AttemptId,
    pub(crate) duration: Duration,
    /// Whether this attempt may have spent the token.
    pub(crate) in_doubt: bool,
    /// The lease of another attempt to take over, whatever the store's clock says. The token is then in
    /// doubt. A lease that was renewed in between counts as a different one.
    pub(crate) take_over: Option<Lease>,
    /// A back-off that this process has waited for, whatever the store's clock says.
    pub(crate) past_back_off: Option<SystemTime>,
}

/// Releases this attempt's lease. A lease in doubt stays until it is committed, invalidated, taken over or
/// renewed.
pub(super) fn release(
    current: Option<&Record>,
    attempt: AttemptId,
    back_off: Option<Duration>,
    now: SystemTime,
) -> Result<Record, Changed> {
    let record = current.ok_or(Changed::Moved)?;
    match record.lease {
        Some(lease) if lease.attempt == attempt && !lease.in_doubt => Ok(Record {
            lease: None,
            back_off_until: back_off.and_then(|back_off| now.checked_add(back_off)),
            ..record.clone()
        }),
        _ => Err(Changed::Moved),
    }
}

/// Marks the credentials as needing reauthorization. Fencing token and payload stay.
///
/// `seen` is the attempt that committed the record on which the decision is based. A reinstate has changed it since: then
/// the decision is out of date, even if it was written before and the store's answer was lost.
pub(super) fn invalidate(
    current: Option<&Record>,
    fence: FencingToken,
    seen: AttemptId,
    reason: ReauthorizationReason,
    attempt: AttemptId,
    now: SystemTime,
) -> Result<Record, Changed> {
    let record = current
        .filter(|record| record.fence() == fence)
        .ok_or(Changed::Moved)?;
    match record.state {
        RecordState::Active if record.committed_by == seen => Ok(Record {
            state: RecordState::NeedsReauthorization(reason),
            lease: None,
            back_off_until: None,
            committed_by: attempt,
            updated_at: now,
            ..record.clone()
        }),
        RecordState::NeedsReauthorization(_) if record.committed_by == attempt => {
            Err(Changed::Done)
        }
        _ => Err(Changed::Moved),
    }
}

/// Reverts [`invalidate`].
pub(super) fn reinstate(
    current: Option<&Record>,
    fence: FencingToken,
    attempt: AttemptId,
    now: SystemTime,
) -> Result<Record, Changed> {
    let record = current
        .filter(|record| record.fence() == fence)
        .ok_or(Changed::Moved)?;
    match record.state {
        RecordState::NeedsReauthorization(_) => Ok(Record {
            state: RecordState::Active,
            committed_by: attempt,
            updated_at: now,
            ..record.clone()
        }),
        RecordState::Active => Err(Changed::Done),
        _ => Err(Changed::Moved),
    }
}

/// Replaces any record with a tombstone. An unreadable record is replaced with a tombstone of a new
/// lineage.
pub(super) fn disconnect(current: Option<&Record>, attempt: AttemptId, now: SystemTime) -> Record {
    Record {
        lineage: current.map_or_else(Lineage::random, |record| record.lineage),
        replaced_lineage: current.and_then(|record| record.replaced_lineage),
        generation: current.map_or(0, |record| record.generation),
        state: RecordState::Disconnected,
        issuer: current.map_or_else(Issuer::default, |record| record.issuer.clone()),
        payload: Payload::default(),
        lease: None,
        back_off_until: None,
        streak: 0,
        committed_by: attempt,
        connected_at: current.map_or(now, |record| record.connected_at),
        refreshed_at: None,
        updated_at: now,
        metadata: Metadata::default(),
    }
}

/// Replaces the payload with a new encryption of the same credentials.
#[cfg(feature = "encryption")]
pub(super) fn re_encrypt(
    current: Option<&Record>,
    fence: FencingToken,
    payload: Payload,
) -> Result<Record, Changed> {
    let record = current
        .filter(|record| record.fence() == fence && record.state != RecordState::Disconnected)
        .ok_or(Changed::Moved)?;
    match record.lease {
        Some(_) => Err(Changed::Leased),
        None => Ok(Record {
            payload,
            ..record.clone()
        }),
    }
}

/// Returns the time until `end`, or `None` if it has passed.
fn remaining(end: SystemTime, now: SystemTime) -> Option<Duration> {
    end.duration_since(now).ok().filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests;
