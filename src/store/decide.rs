//! Who may change a record, and what it becomes: the rules of every store, as functions of the record
//! as it was read and of the time on the store's clock.
//!
//! `Ok` is the record to put in its place, `Err` the answer when nothing is to be changed.

use std::time::{Duration, SystemTime};

use super::{
    AttemptId, Change, Claim, ClaimAnswer, Condemned, Expected, NewRecord, Payload, Record,
    RecordState, Released, Resealed, Revision, Saved,
};
use crate::credentials::ReauthorizationReason;

pub(super) fn save(
    current: Option<&Record>,
    new: NewRecord,
    expected: Expected,
    attempt: AttemptId,
    now: SystemTime,
) -> Result<Record, Saved> {
    let is_expected = match (current, expected) {
        (None, Expected::Absent) => true,
        (Some(record), Expected::Generation(generation)) => record.generation == generation,
        _ => false,
    };
    if !is_expected {
        return Err(match current {
            Some(record) if record.committed_by == attempt => Saved::Done(record.generation),
            _ => Saved::Conflict(current.map(|record| record.generation)),
        });
    }
    Ok(Record {
        generation: expected.next(),
        revision: Revision::random(),
        state: match new.change {
            Change::Disconnect => RecordState::Disconnected,
            Change::Connect | Change::Refresh => RecordState::Active,
        },
        payload: new.payload,
        labels: new.labels,
        committed_by: attempt,
        claim: None,
        not_before: None,
        connected_at: match (new.change, current) {
            (Change::Connect, _) | (_, None) => now,
            (_, Some(record)) => record.connected_at,
        },
        updated_at: now,
        refreshed_at: (new.change == Change::Refresh).then_some(now),
        read_at: now,
    })
}

pub(super) fn condemn(
    current: Option<&Record>,
    generation: u64,
    reason: ReauthorizationReason,
    attempt: AttemptId,
    now: SystemTime,
) -> Result<Record, Condemned> {
    let record = current
        .filter(|record| record.generation == generation)
        .ok_or(Condemned::Moved)?;
    match record.state {
        RecordState::Active => Ok(Record {
            state: RecordState::NeedsReauthorization(reason),
            committed_by: attempt,
            claim: None,
            not_before: None,
            updated_at: now,
            ..record.renewed()
        }),
        RecordState::NeedsReauthorization(_) if record.committed_by == attempt => {
            Err(Condemned::Done)
        }
        _ => Err(Condemned::Moved),
    }
}

pub(super) fn claim(
    current: Option<&Record>,
    generation: u64,
    attempt: AttemptId,
    lease: Duration,
    taking_over: Option<AttemptId>,
    now: SystemTime,
) -> Result<Record, ClaimAnswer> {
    let record = current.ok_or(ClaimAnswer::Absent)?;
    if record.generation != generation || record.state != RecordState::Active {
        return Err(ClaimAnswer::Moved);
    }
    let replay = match record.claim {
        Some(claim) if claim.attempt == attempt => claim.replay,
        Some(claim) => {
            if let Some(left) = until(claim.since + claim.lease, now) {
                return Err(ClaimAnswer::Held(left));
            }
            if taking_over != Some(claim.attempt) {
                return Err(ClaimAnswer::Lapsed {
                    attempt: claim.attempt,
                    age: now.duration_since(claim.since).unwrap_or_default(),
                    replay: claim.replay,
                });
            }
            true
        }
        None => {
            if let Some(left) = record.not_before.and_then(|end| until(end, now)) {
                return Err(ClaimAnswer::BackingOff(left));
            }
            false
        }
    };
    Ok(Record {
        not_before: None,
        claim: Some(Claim {
            attempt,
            since: now,
            lease,
            replay,
        }),
        ..record.renewed()
    })
}

pub(super) fn release(
    current: Option<&Record>,
    attempt: AttemptId,
    back_off: Option<Duration>,
    now: SystemTime,
) -> Result<Record, Released> {
    let record = current
        .filter(|record| record.claim.is_some_and(|claim| claim.attempt == attempt))
        .ok_or(Released::NotYours)?;
    Ok(Record {
        claim: None,
        not_before: back_off.and_then(|back_off| now.checked_add(back_off)),
        ..record.renewed()
    })
}

pub(super) fn reseal(
    current: Option<&Record>,
    generation: u64,
    payload: Payload,
) -> Result<Record, Resealed> {
    let record = current
        .filter(|record| record.generation == generation)
        .ok_or(Resealed::Moved)?;
    if record.claim.is_some() {
        return Err(Resealed::Claimed);
    }
    Ok(Record {
        payload,
        ..record.renewed()
    })
}

impl Record {
    /// The same, as another change of it.
    fn renewed(&self) -> Self {
        Self {
            revision: Revision::random(),
            ..self.clone()
        }
    }
}

/// How long it is until then.
pub(super) fn until(end: SystemTime, now: SystemTime) -> Option<Duration> {
    end.duration_since(now).ok().filter(|left| !left.is_zero())
}
