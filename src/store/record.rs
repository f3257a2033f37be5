use std::time::{Duration, SystemTime};

use super::{AttemptId, Payload, Revision};
use crate::{
    credentials::{NotionUserCredentials, ReauthorizationReason},
    subject::Subject,
};

/// What a store keeps for one subject. All times are the store's clock, UTC.
#[derive(Debug, Clone)]
pub struct Record {
    /// How many changes were accepted so far; the first one made 1.
    pub generation: u64,
    /// Which change made the record what it is, claims and the like included.
    pub revision: Revision,
    /// Whether the credentials can be used.
    pub state: RecordState,
    /// The credentials, in a form that only the provider reads. Empty in a tombstone.
    pub payload: Payload,
    /// What may be known without the payload.
    pub labels: Labels,
    /// Which attempt made this generation, or condemned it.
    pub committed_by: AttemptId,
    /// Who is about to spend the refresh token.
    pub claim: Option<Claim>,
    /// Until when nobody may claim the record.
    pub not_before: Option<SystemTime>,
    /// When the user connected: the time of the last [`Change::Connect`].
    pub connected_at: SystemTime,
    /// When the generation or the state changed last.
    pub updated_at: SystemTime,
    /// When the current generation was made, if a refresh made it.
    pub refreshed_at: Option<SystemTime>,
    /// The store's clock when the record was read: what the other times are compared with.
    pub read_at: SystemTime,
}

impl Record {
    /// What [`list`](super::CredentialStore::list) shows of it.
    #[must_use]
    pub fn summary(&self, subject: Subject) -> Summary {
        Summary {
            subject,
            generation: self.generation,
            state: self.state,
            labels: self.labels.clone(),
            connected_at: self.connected_at,
            updated_at: self.updated_at,
            refreshed_at: self.refreshed_at,
        }
    }
}

/// Whether a record's credentials can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordState {
    /// They can.
    Active,
    /// They cannot: the user must connect again.
    NeedsReauthorization(ReauthorizationReason),
    /// The connection was ended. A tombstone, so that the generation goes on from here.
    Disconnected,
}

/// What is kept in clear beside the payload, for operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// The workspace's name.
    pub workspace_name: Option<String>,
    /// The id of the bot by which Notion knows the connection.
    pub bot_id: Option<String>,
}

impl Labels {
    pub(crate) fn of(credentials: &NotionUserCredentials) -> Self {
        Self {
            workspace_name: credentials.workspace_name.clone(),
            bot_id: credentials.bot_id().map(str::to_owned),
        }
    }
}

/// A record's claim: who is about to spend, or may have spent, its refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub attempt: AttemptId,
    /// When it was made, or renewed last.
    pub since: SystemTime,
    /// How long from then nobody else may take it.
    pub lease: Duration,
    /// Whether it was taken over from somebody who may have spent the token already.
    pub replay: bool,
}

/// What a record is replaced by.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Why.
    pub change: Change,
    /// The credentials, opaque to the store; empty for a disconnect.
    pub payload: Payload,
    /// What is kept in clear beside them.
    pub labels: Labels,
}

/// Why a record is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The user connected, or connected again: sets `connected_at`, clears `refreshed_at`.
    Connect,
    /// The refresh token was exchanged: sets `refreshed_at`.
    Refresh,
    /// The connection was ended: the state becomes [`RecordState::Disconnected`].
    Disconnect,
}

/// What a record must be for [`save`](super::CredentialStore::save) to replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// There is none.
    Absent,
    /// It has this generation, in whatever state.
    Generation(u64),
}

impl Expected {
    /// What a save over this one expects.
    pub(crate) fn of(current: Option<&Record>) -> Self {
        current.map_or(Self::Absent, |record| Self::Generation(record.generation))
    }

    /// The generation that a save makes.
    pub(crate) fn next(self) -> u64 {
        match self {
            Self::Absent => 1,
            Self::Generation(generation) => generation.saturating_add(1),
        }
    }
}

/// Answers of [`save`](super::CredentialStore::save).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// The record has this generation now, and this attempt made it.
    Done(u64),
    /// The record is not as expected: it has this generation, or is absent.
    Conflict(Option<u64>),
}

/// Answers of [`condemn`](super::CredentialStore::condemn).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condemned {
    /// The record needs reauthorization, and this attempt said so.
    Done,
    /// The record was changed by somebody else.
    Moved,
}

/// Answers of [`claim`](super::CredentialStore::claim).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimAnswer {
    /// This attempt holds the claim.
    Claimed,
    /// Another attempt holds it, for this long at most.
    Held(Duration),
    /// Nobody may claim the record for this long.
    BackingOff(Duration),
    /// Another attempt holds it and its lease is over. It may have spent the token.
    Lapsed {
        /// Whose claim it is.
        attempt: AttemptId,
        /// How long ago it was made.
        age: Duration,
        /// Whether it was itself taken over.
        replay: bool,
    },
    /// The record is of another generation, or is not active.
    Moved,
    /// There is no record.
    Absent,
}

/// Answers of [`release`](super::CredentialStore::release).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// This attempt's claim is ended.
    Done,
    /// This attempt holds no claim.
    NotYours,
}

/// Answers of [`reseal`](super::CredentialStore::reseal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resealed {
    /// The payload is replaced.
    Done,
    /// The record is claimed; whoever saves it next writes a new payload anyway.
    Claimed,
    /// The record is of another generation, or gone.
    Moved,
}

/// Answers of [`once`](super::CredentialStore::once).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnceAnswer {
    /// The mark is set now, and was not before.
    First,
    /// The mark was set.
    Seen,
}

/// What [`list`](super::CredentialStore::list) shows of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whose it is.
    pub subject: Subject,
    /// Its generation.
    pub generation: u64,
    /// Its state.
    pub state: RecordState,
    /// What is kept in clear.
    pub labels: Labels,
    /// When the user connected.
    pub connected_at: SystemTime,
    /// When the generation or the state changed last.
    pub updated_at: SystemTime,
    /// When the current generation was made, if a refresh made it.
    pub refreshed_at: Option<SystemTime>,
}

/// Which records [`list`](super::CredentialStore::list) shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Filter {
    /// All of them, tombstones too.
    #[default]
    All,
    /// Those whose credentials can be used.
    Active,
    /// Those whose users must connect again.
    NeedsReauthorization,
    /// Tombstones.
    Disconnected,
    /// Those of this bot: connections of which one may end the other.
    Bot(String),
}

impl Filter {
    /// Whether a record in this state, with these labels, is shown.
    #[must_use]
    pub fn admits(&self, state: RecordState, labels: &Labels) -> bool {
        match self {
            Self::All => true,
            Self::Active => state == RecordState::Active,
            Self::NeedsReauthorization => matches!(state, RecordState::NeedsReauthorization(_)),
            Self::Disconnected => state == RecordState::Disconnected,
            Self::Bot(bot) => labels.bot_id.as_ref() == Some(bot),
        }
    }
}
