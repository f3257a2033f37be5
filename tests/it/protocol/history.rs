use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use notion_auth::{
    NotionUserCredentials, ReauthorizationReason, Subject,
    store::{AttemptId, Change, Payload},
};
use tokio::time::Instant;

/// All that happened: what the store accepted, what was presented, what went wrong.
#[derive(Clone, Default)]
pub(super) struct History(Arc<Mutex<Events>>);

#[derive(Default)]
pub(super) struct Events {
    pub(super) saves: Vec<Save>,
    pub(super) condemnations: Vec<Condemnation>,
    pub(super) presentations: Vec<Presentation>,
    /// Faults of the store that somebody noticed, calls that were lost on their way, and the ends and
    /// sleeps of processes.
    pub(super) excuses: Vec<Instant>,
    pub(super) requests: Vec<Sent>,
    /// Subjects for which the application asked for a refresh.
    pub(super) asked: HashSet<Subject>,
    /// Whether tombstones were purged: then generations may have begun again.
    pub(super) is_swept: bool,
    /// Condemnations of a grant that lived, and whose tokens were saved.
    pub(super) false_deaths: Vec<String>,
}

/// A request that was sent.
pub(super) struct Sent {
    pub(super) subject: Subject,
    pub(super) token: String,
    /// How many saves there were before.
    pub(super) after_saves: usize,
}

/// A change that the store accepted, once, however often it was asked.
pub(super) struct Save {
    pub(super) subject: Subject,
    pub(super) generation: u64,
    pub(super) change: Change,
    pub(super) attempt: AttemptId,
    /// Access token and refresh token; none in a tombstone.
    pub(super) pair: Option<(String, String)>,
}

pub(super) struct Condemnation {
    pub(super) subject: Subject,
    pub(super) generation: u64,
    pub(super) reason: ReauthorizationReason,
    pub(super) attempt: AttemptId,
    /// How many saves there were before.
    pub(super) after_saves: usize,
}

/// A refresh token that reached Notion.
pub(super) struct Presentation {
    pub(super) token: String,
    pub(super) at: Instant,
    /// When whoever presented it knew what became of it, or gave up.
    pub(super) until: Option<Instant>,
    pub(super) result: Reply,
}

/// What the process that presented it learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing: it was lost, or its reader was stopped.
    Lost,
    /// A new refresh token.
    Pair(String),
    /// That the grant is not valid.
    InvalidGrant,
    /// Another definite no.
    Refused,
}

impl History {
    pub(super) fn events(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap()
    }

    pub(super) fn excuse(&self) {
        self.events().excuses.push(Instant::now());
    }
}

/// The tokens in a payload: the store does not look, a test may.
pub(super) fn pair(payload: &Payload) -> Option<(String, String)> {
    let json = payload.as_bytes().get(1..)?;
    let credentials: NotionUserCredentials = serde_json::from_slice(json).ok()?;
    Some((
        credentials.access_token.expose().to_owned(),
        credentials.refresh_token?.expose().to_owned(),
    ))
}
