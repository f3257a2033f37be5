use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use super::fault::Call;

/// What a presented token is: what the server issued it as or, if it never did, what its endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
    /// An authorization code.
    Code,
}

/// What the server made of a presented token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing: a scripted fault came first, or the client left before, or it is being handled still.
    Undecided,
    /// It was good. At the API the request may have failed for another reason.
    Accepted,
    /// It had been spent, and got the same successors again.
    ReplayedInGrace,
    /// It was single-use and had been spent.
    AlreadySpent,
    /// It was replaced or revoked, or its family has ended.
    Revoked,
    /// It was never issued, or not as what it was presented as.
    Unknown,
    /// The call was refused with that code for a reason other than the above.
    Refused(String),
}

impl Outcome {
    pub(super) fn refused(code: impl Into<String>) -> Self {
        Self::Refused(code.into())
    }
}

/// One token or code that reached the server.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presentation {
    /// The number of the call, counting all calls of the OAuth endpoints and the API from 1.
    pub seq: u64,
    /// When it arrived, since the server was made, by Tokio's clock.
    pub at: Duration,
    /// Where it was presented.
    pub endpoint: Call,
    /// What it is.
    pub token_kind: TokenKind,
    /// The token itself; `Debug` shows its first eight characters.
    pub token: String,
    /// The bot that it belongs to, if it was ever issued.
    pub bot_id: Option<String>,
    /// What the server made of it.
    pub outcome: Outcome,
    /// Whether an answer was handed whole to the connection (or, in process, to the client).
    pub answered: bool,
    /// Whether another presentation of the same token was being handled at the same time, from its
    /// arrival to the last byte of its answer. On a socket, a client that gives a call up and presents
    /// the token again at once may come before the server has seen it leave.
    pub overlapping: bool,
}

/// One call of the API.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiCall {
    /// The number of the call; the same as its [`Presentation`]'s.
    pub seq: u64,
    /// When it arrived, since the server was made, by Tokio's clock.
    pub at: Duration,
    /// The HTTP method.
    pub method: http::Method,
    /// The path, without the query.
    pub path: String,
    /// The bearer token, if there was exactly one; `Debug` shows its first eight characters.
    pub token: Option<String>,
    /// How many `Authorization` headers it had.
    pub authorization_values: usize,
    /// The value of `Notion-Version`.
    pub notion_version: Option<String>,
    /// The status that it was answered with, once it was.
    pub status: Option<u16>,
}

/// What the server holds to be true, at the moment of the snapshot.
#[derive(Clone)]
pub(super) struct Truth {
    pub(super) pairs: HashMap<String, (String, String)>,
    pub(super) access: HashSet<String>,
    pub(super) refresh: HashSet<String>,
    pub(super) revoked: Vec<String>,
}

/// Everything that reached the server so far, in order: a snapshot.
#[derive(Clone)]
pub struct Ledger {
    pub(super) presentations: Vec<Presentation>,
    pub(super) api_calls: Vec<ApiCall>,
    pub(super) most_parallel: HashMap<String, usize>,
    pub(super) truth: Truth,
}

impl Ledger {
    /// Every presentation of any token or code.
    #[must_use]
    pub fn presentations(&self) -> Vec<Presentation> {
        self.presentations.clone()
    }

    /// The presentations of that token or code, at any endpoint.
    #[must_use]
    pub fn presentations_of(&self, token: &str) -> Vec<Presentation> {
        self.select(|it| it.token == token)
    }

    /// The presentations at the token endpoint that meant to refresh.
    #[must_use]
    pub fn refreshes(&self) -> Vec<Presentation> {
        self.select(|it| it.endpoint == Call::Refresh)
    }

    /// Those of [`refreshes`](Self::refreshes) that were for that bot.
    #[must_use]
    pub fn refreshes_of(&self, bot_id: &str) -> Vec<Presentation> {
        self.select(|it| it.endpoint == Call::Refresh && it.bot_id.as_deref() == Some(bot_id))
    }

    /// Those of [`refreshes`](Self::refreshes) whose token had been presented to refresh before,
    /// whatever became of it then.
    #[must_use]
    pub fn refresh_token_reuses(&self) -> Vec<Presentation> {
        let mut seen = HashSet::new();
        let refreshes = self
            .presentations
            .iter()
            .filter(|it| it.endpoint == Call::Refresh);
        refreshes
            .filter(|it| !seen.insert(&it.token))
            .cloned()
            .collect()
    }

    /// How many presentations of that token were handled at one time, at most.
    #[must_use]
    pub fn max_parallel_presentations_of(&self, token: &str) -> usize {
        self.most_parallel.get(token).copied().unwrap_or(0)
    }

    /// The calls of the API.
    #[must_use]
    pub fn api_calls(&self) -> Vec<ApiCall> {
        self.api_calls.clone()
    }

    /// The calls of the API with that bearer token.
    #[must_use]
    pub fn api_calls_with(&self, token: &str) -> Vec<ApiCall> {
        let calls = self.api_calls.iter();
        calls
            .filter(|call| call.token.as_deref() == Some(token))
            .cloned()
            .collect()
    }

    /// The bots whose family ended because a refresh token or a code was used twice, in order.
    #[must_use]
    pub fn families_revoked(&self) -> Vec<String> {
        self.truth.revoked.clone()
    }

    /// The access token and the refresh token that are the newest of that bot's living family. The
    /// access token may have been revoked alone; the refresh token is good. `None` means that only a
    /// new consent can help (or that the server issues no refresh tokens).
    #[must_use]
    pub fn living_pair(&self, bot_id: &str) -> Option<(String, String)> {
        self.truth.pairs.get(bot_id).cloned()
    }

    /// Whether the API takes that access token.
    #[must_use]
    pub fn is_access_token_live(&self, token: &str) -> bool {
        self.truth.access.contains(token)
    }

    /// Whether that refresh token is unspent and its family lives.
    #[must_use]
    pub fn is_refresh_token_live(&self, token: &str) -> bool {
        self.truth.refresh.contains(token)
    }

    fn select(&self, wanted: impl Fn(&Presentation) -> bool) -> Vec<Presentation> {
        self.presentations
            .iter()
            .filter(|it| wanted(it))
            .cloned()
            .collect()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("presentations", &self.presentations)
            .field("api_calls", &self.api_calls)
            .field("families_revoked", &self.truth.revoked)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presentation")
            .field("seq", &self.seq)
            .field("at", &self.at)
            .field("endpoint", &self.endpoint)
            .field("token_kind", &self.token_kind)
            .field("token", &Redacted(&self.token))
            .field("bot_id", &self.bot_id)
            .field("outcome", &self.outcome)
            .field("answered", &self.answered)
            .field("overlapping", &self.overlapping)
            .finish()
    }
}

impl fmt::Debug for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiCall")
            .field("seq", &self.seq)
            .field("at", &self.at)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("token", &self.token.as_deref().map(Redacted))
            .field("authorization_values", &self.authorization_values)
            .field("notion_version", &self.notion_version)
            .field("status", &self.status)
            .finish()
    }
}

/// The first eight characters: enough to tell tokens of this server apart.
pub(super) struct Redacted<'a>(pub(super) &'a str);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .0
            .char_indices()
            .nth(8)
            .map_or("", |(end, _)| &self.0[..end]);
        write!(f, "{shown}…")
    }
}
