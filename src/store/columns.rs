use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use super::{
    AttemptId, Claim, Labels, Payload, Record, RecordKey, RecordState, Revision, StoreError,
    Summary,
};
use crate::{credentials::ReauthorizationReason, subject::Subject};

/// A record as a database keeps it: one column each, of types that every database has. Times and spans
/// are microseconds, times since 1970 UTC.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) generation: i64,
    pub(super) revision: i64,
    pub(super) state: Cow<'static, str>,
    pub(super) payload: Payload,
    pub(super) workspace_name: Option<String>,
    pub(super) bot_id: Option<String>,
    pub(super) committed_by: Vec<u8>,
    pub(super) claim_attempt: Option<Vec<u8>>,
    pub(super) claim_since: Option<i64>,
    pub(super) claim_lease: Option<i64>,
    pub(super) claim_replay: bool,
    pub(super) not_before: Option<i64>,
    pub(super) connected_at: i64,
    pub(super) updated_at: i64,
    pub(super) refreshed_at: Option<i64>,
}

impl Columns {
    pub(super) fn of(record: &Record) -> Self {
        let claim = record.claim;
        Self {
            generation: i64::try_from(record.generation).unwrap_or(i64::MAX),
            revision: revision_number(record.revision),
            state: Cow::Borrowed(record.state.code()),
            payload: record.payload.clone(),
            workspace_name: record.labels.workspace_name.clone(),
            bot_id: record.labels.bot_id.clone(),
            committed_by: record.committed_by.to_bytes().to_vec(),
            claim_attempt: claim.map(|claim| claim.attempt.to_bytes().to_vec()),
            claim_since: claim.map(|claim| micros(claim.since)),
            claim_lease: claim.map(|claim| span(claim.lease)),
            claim_replay: claim.is_some_and(|claim| claim.replay),
            not_before: record.not_before.map(micros),
            connected_at: micros(record.connected_at),
            updated_at: micros(record.updated_at),
            refreshed_at: record.refreshed_at.map(micros),
        }
    }

    /// The record, as read at that time on the store's clock.
    pub(super) fn into_record(
        self,
        store: &'static str,
        key: &RecordKey,
        read_at: i64,
    ) -> Result<Record, StoreError> {
        let damaged = |column| damaged(store, key, column);
        let claim = match (self.claim_attempt, self.claim_since, self.claim_lease) {
            (Some(attempt), Some(since), Some(lease)) => Some(Claim {
                attempt: attempt_of(&attempt).ok_or_else(|| damaged("claim_attempt"))?,
                since: time(since),
                lease: Duration::from_micros(lease.unsigned_abs()),
                replay: self.claim_replay,
            }),
            (None, None, None) => None,
            _ => return Err(damaged("claim_since")),
        };
        Ok(Record {
            generation: u64::try_from(self.generation).map_err(|_| damaged("generation"))?,
            revision: Revision::from_bytes(self.revision.to_be_bytes()),
            state: RecordState::from_code(&self.state).ok_or_else(|| damaged("state"))?,
            payload: self.payload,
            labels: Labels {
                workspace_name: self.workspace_name,
                bot_id: self.bot_id,
            },
            committed_by: attempt_of(&self.committed_by).ok_or_else(|| damaged("committed_by"))?,
            claim,
            not_before: self.not_before.map(time),
            connected_at: time(self.connected_at),
            updated_at: time(self.updated_at),
            refreshed_at: self.refreshed_at.map(time),
            read_at: time(read_at),
        })
    }

    /// What is listed of it, also if it is damaged.
    pub(super) fn into_summary(self, subject: Subject) -> Summary {
        let unreadable = RecordState::NeedsReauthorization(ReauthorizationReason::Unreadable);
        let key = RecordKey::new("", subject.clone());
        let state = match self.clone().into_record("", &key, 0) {
            Ok(record) => record.state,
            Err(_) => unreadable,
        };
        Summary {
            subject,
            generation: u64::try_from(self.generation).unwrap_or_default(),
            state,
            labels: Labels {
                workspace_name: self.workspace_name,
                bot_id: self.bot_id,
            },
            connected_at: time(self.connected_at),
            updated_at: time(self.updated_at),
            refreshed_at: self.refreshed_at.map(time),
        }
    }
}

pub(super) fn damaged(store: &'static str, key: &RecordKey, column: &str) -> StoreError {
    let subject = key.subject();
    StoreError::corrupt(
        store,
        format!(
            "the record of {subject:?} is damaged, or of a newer version of this crate: its column \
             {column} cannot be read. Restore it from a backup, or remove it from the database by hand and connect again"
        ),
    )
}

/// A revision as a number of 64 bits.
pub(super) fn revision_number(revision: Revision) -> i64 {
    i64::from_be_bytes(revision.to_bytes())
}

/// Microseconds since 1970, UTC. What is before is 1970.
pub(super) fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    span(since.unwrap_or_default())
}

/// Microseconds.
pub(super) fn span(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn time(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

fn attempt_of(bytes: &[u8]) -> Option<AttemptId> {
    bytes.try_into().ok().map(AttemptId::from_bytes)
}
