//! Codes, tokens, and the families they belong to.

use std::time::SystemTime;

use tokio::time::Instant;

use super::ledger::Outcome;

/// Whom a consent was for.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) workspace_id: String,
    pub(super) workspace_name: String,
    pub(super) bot_id: String,
    pub(super) person_id: String,
}

#[derive(Clone)]
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
}

/// Everything that descends from one exchange of a code.
pub(super) struct Family {
    pub(super) place: Place,
    pub(super) alive: bool,
    pub(super) refreshes: u64,
    pub(super) pair: Pair,
}

pub(super) struct Access {
    pub(super) family: usize,
    pub(super) born_at: u64,
    pub(super) issued: SystemTime,
    pub(super) live: bool,
}

pub(super) struct Refresh {
    pub(super) family: usize,
    pub(super) spent: Option<Spent>,
}

pub(super) struct Spent {
    pub(super) at: Instant,
    pub(super) successor: Pair,
}

pub(super) struct Code {
    pub(super) place: Place,
    pub(super) redirect_uri: Option<String>,
    pub(super) family: Option<usize>,
}

/// A pair to answer with, and why.
pub(super) struct Issued {
    pub(super) place: Place,
    pub(super) pair: Pair,
    pub(super) outcome: Outcome,
}
