use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use super::fault::Call;

/// Kind of a presented token: as issued, or, for an unknown token, as the endpoint expects.
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

/// Outcome of presenting a token to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// No decision: a scripted fault came first, the client disconnected before, or the call is still
    /// running.
    Undecided,
    /// The token was valid. An API request may still have failed for another reason.
    Accepted,
    /// The token had been spent, and its successors were returned again.
    ReplayedInGrace,
    /// The token was single-use and already spent.
    AlreadySpent,
    /// The token was replaced or revoked, or its family was revoked.
    Revoked,
    /// The token was never issued, or is of another kind.
    Unknown,
    /// The call was refused with this code for another reason.
    Refused(String),
}

impl Outcome {
    pub(super) fn refused(code: impl Into<String>) -> Self {
        Self::Refused(code.into())
    }
}

/// A token or code that the server received.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presentation {
    /// Sequence number of the call, counted from 1 over all OAuth and API calls.
    pub seq: u64,
    /// Time of arrival, since the server was created, by Tokio's clock.
    pub at: Duration,
    /// The endpoint that received it.
    pub endpoint: Call,
    /// The kind of token.
    pub token_kind: TokenKind,
    /// The token. `Debug` shows its first eight characters.
    pub token: String,
    /// The bot that it belongs to, if it was issued.
    pub bot_id: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// Whether the complete response was passed to the connection, or, in process, to the client.
    pub answered: bool,
    /// Whether another presentation of the same token was processed at the same time, from its arrival to
    /// the last byte of its response.
    ///
    /// On a socket, a client that abandons a call and immediately presents the token again may arrive
    /// before the server has noticed the disconnect.
    pub overlapping: bool,
}

/// A call of the API.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiCall {
    /// Sequence number of the call, the same as that of its [`Presentation`].
    pub seq: u64,
    /// Time of arrival, since the server was created, by Tokio's clock.
    pub at: Duration,
    /// The HTTP method.
    pub method: http::Method,
    /// The path, without the query.
    pub path: String,
    /// The bearer token, if there was exactly one. `Debug` shows its first eight characters.
    pub token: Option<String>,
    /// The number of `Authorization` headers.
    pub authorization_values: usize,
    /// The value of `Notion-Version`.
    pub notion_version: Option<String>,
    /// The response's status, once it was sent.
    pub status: Option<u16>,
}

/// The server's tokens at the time of the snapshot.
#[derive(Clone)]
pub(super) struct Truth {
    pub(super) pairs: HashMap<String, (String, String)>,
    pub(super) access: HashSet<String>,
    pub(super) refresh: HashSet<String>,
    pub(super) revoked: Vec<String>,
}

/// Snapshot of everything that a [`MockNotion`](super::MockNotion) received, in order.
#[derive(Clone)]
pub struct Ledger {
    pub(super) presentations: Vec<Presentation>,
    pub(super) api_calls: Vec<ApiCall>,
    pub(super) most_parallel: HashMap<String, usize>,
    pub(super) truth: Truth,
}

impl Ledger {
    /// Returns every presentation of a token or code.
    #[must_use]
    pub fn presentations(&self) -> Vec<Presentation> {
        self.presentations.clone()
    }

    /// Returns the presentations of this token or code at any endpoint.
    #[must_use]
    pub fn presentations_of(&self, token: &str) -> Vec<Presentation> {
        self.select(|it| it.token == token)
    }

    /// Returns the presentations at the token endpoint with the grant type `refresh_token`.
    #[must_use]
    pub fn refreshes(&self) -> Vec<Presentation> {
        self.select(|it| it.endpoint == Call::Refresh)
    }

    /// Returns the [`refreshes`](Self::refreshes) of this bot.
    #[must_use]
    pub fn refreshes_of(&self, bot_id: &str) -> Vec<Presentation> {
        self.select(|it| it.endpoint == Call::Refresh && it.bot_id.as_deref() == Some(bot_id))
    }

    /// Returns the [`refreshes`](Self::refreshes) whose token had been presented for a refresh before,
    /// whatever the outcome was.
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

    /// Returns the maximum number of presentations of this token that were processed at the same time.
    #[must_use]
    pub fn max_parallel_presentations_of(&self, token: &str) -> usize {
        self.most_parallel.get(token).copied().unwrap_or(0)
    }

    /// Returns the calls of the API.
    #[must_use]
    pub fn api_calls(&self) -> Vec<ApiCall> {
        self.api_calls.clone()
    }

    /// Returns the calls of the API with this bearer token.
    #[must_use]
    pub fn api_calls_with(&self, token: &str) -> Vec<ApiCall> {
        let calls = self.api_calls.iter();
        calls
            .filter(|call| call.token.as_deref() == Some(token))
            .cloned()
            .collect()
    }

    /// Returns the bots whose family was revoked because a refresh token or code was used twice, in order.
    #[must_use]
    pub fn families_revoked(&self) -> Vec<String> {
        self.truth.revoked.clone()
    }

    /// Returns the newest access and refresh token of this bot's valid family.
    ///
    /// The access token may have been revoked; the refresh token is valid. `None` means that a new consent
    /// is needed, or that the server issues no refresh tokens.
    #[must_use]
    pub fn living_pair(&self, bot_id: &str) -> Option<(String, String)> {
        self.truth.pairs.get(bot_id).cloned()
    }

    /// Returns whether the API accepts this access token.
    #[must_use]
    pub fn is_access_token_live(&self, token: &str) -> bool {
        self.truth.access.contains(token)
    }

    /// Returns whether this refresh token is unspent and its family valid.
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

/// Formats the first eight characters, which distinguish the tokens of this server.
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
