use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use notion_auth::{ReauthorizationReason, Subject, store::RecordState, testing::MockNotion};
use tokio::time::Instant;

use super::record::Record;

/// All events: changes that the store accepted, presented tokens, and faults.
#[derive(Clone, Default)]
pub(super) struct History(Arc<Mutex<Events>>);

#[derive(Default)]
pub(super) struct Events {
    pub(super) saves: Vec<Save>,
    pub(super) invalidations: Vec<Invalidation>,
    pub(super) presentations: Vec<Presentation>,
    /// Faults of the store that a process noticed, lost calls, and deaths and suspensions of processes.
    pub(super) excuses: Vec<Instant>,
    /// Times of slow store operations, which may have been abandoned.
    pub(super) slow: Vec<Instant>,
    pub(super) requests: Vec<Sent>,
    pub(super) deleted: Vec<Deleted>,
    /// Subjects for which the application requested a refresh.
    pub(super) asked: HashSet<Subject>,
    /// The lineage of each reinstate.
    pub(super) reinstated: Vec<String>,
    /// Invalidations of a valid grant whose tokens were saved.
    pub(super) false_deaths: Vec<String>,
}

/// A request that was sent.
pub(super) struct Sent {
    pub(super) process: usize,
    pub(super) subject: Subject,
    pub(super) token: String,
    pub(super) began: Instant,
    pub(super) at: Instant,
    /// Number of saves before the request.
    pub(super) after_saves: usize,
}

/// A delete through a process, which must not use the deleted credentials afterwards.
pub(super) struct Deleted {
    pub(super) process: usize,
    pub(super) subject: Subject,
    /// Number of saves when it started.
    pub(super) after_saves: usize,
    pub(super) done_at: Instant,
}

/// Kind of change of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Connect,
    Refresh,
    Disconnect,
}

/// A connect, a refresh or a disconnect that the store accepted.
pub(super) struct Save {
    pub(super) subject: Subject,
    pub(super) lineage: String,
    pub(super) generation: u64,
    pub(super) change: Change,
    pub(super) at: Instant,
    /// Access token and refresh token, or `None` in a tombstone.
    pub(super) pair: Option<(String, String)>,
}

pub(super) struct Invalidation {
    pub(super) lineage: String,
    pub(super) generation: u64,
    pub(super) reason: ReauthorizationReason,
    /// Number of earlier reinstates.
    pub(super) reinstated: usize,
}

/// A refresh token that reached Notion.
pub(super) struct Presentation {
    pub(super) token: String,
    pub(super) at: Instant,
    /// When the process that presented it knew the outcome, or gave up.
    pub(super) until: Option<Instant>,
    pub(super) result: Reply,
}

/// The response as the presenting process received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// None: it was lost, or its reader was stopped.
    Lost,
    /// A new refresh token.
    Pair(String),
    /// The grant is not valid.
    InvalidGrant,
    /// Another definite refusal.
    Refused,
}

impl History {
    pub(super) fn events(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap()
    }

    /// Records a change that the store accepted.
    pub(super) fn note_change(
        &self,
        subject: &Subject,
        before: Option<&Record>,
        after: Record,
        notion: &MockNotion,
    ) {
        let state = |record: &Record| record.state;
        let is_new_lineage = before.is_none_or(|before| before.lineage != after.lineage);
        let is_same_generation =
            !is_new_lineage && before.is_some_and(|before| before.generation == after.generation);
        let change = if after.state == RecordState::Disconnected {
            let was_ended = before.map(state) == Some(RecordState::Disconnected);
            (!was_ended).then_some(Change::Disconnect)
        } else if is_new_lineage {
            Some(Change::Connect)
        } else {
            (!is_same_generation).then_some(Change::Refresh)
        };
        let mut events = self.events();
        if let Some(change) = change {
            events.saves.push(Save {
                subject: subject.clone(),
                lineage: after.lineage,
                generation: after.generation,
                change,
                at: Instant::now(),
                pair: after.pair,
            });
            return;
        }
        match (before.and_then(Record::reason), after.reason()) {
            (None, Some(reason)) => {
                let ledger = notion.ledger();
                let lives = events.saves.iter().any(|save| {
                    let refresh = save.pair.as_ref().map(|pair| &pair.1);
                    save.subject == *subject
                        && save.lineage == after.lineage
                        && refresh.is_some_and(|token| ledger.is_refresh_token_live(token))
                });
                if lives {
                    let what = format!("{reason:?} of generation {}", after.generation);
                    events.false_deaths.push(what);
                }
                let reinstated = events
                    .reinstated
                    .iter()
                    .filter(|lineage| **lineage == after.lineage)
                    .count();
                events.invalidations.push(Invalidation {
                    lineage: after.lineage,
                    generation: after.generation,
                    reason,
                    reinstated,
                });
            }
            (Some(_), None) => {
                // The refresh token is presented again although its outcome is known.
                events.excuses.push(Instant::now());
                events.reinstated.push(after.lineage);
            }
            _ => {}
        }
    }

    pub(super) fn excuse(&self) {
        self.events().excuses.push(Instant::now());
    }
}
