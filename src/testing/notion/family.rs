//! Codes, tokens, and the token families that they belong to.

use std::time::SystemTime;

use tokio::time::Instant;

use super::ledger::Outcome;

/// The workspace and person of a consent.
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

/// All tokens that descend from one code exchange.
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

/// An issued token pair, and the place it belongs to.
pub(super) struct Issued {
    pub(super) place: Place,
    pub(super) pair: Pair,
    pub(super) outcome: Outcome,
}
