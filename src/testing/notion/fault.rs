use std::{io::Write, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, RETRY_AFTER},
};
use serde_json::{Value, json};

use super::{
    options::ErrorShape,
    respond::{self, Refusal, Reply},
};

/// A kind of call: what a fault is scripted for, and where the ledger saw a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Every call of the token endpoint. In the ledger: one of no known grant type.
    Token,
    /// `POST /v1/oauth/token` with a code.
    TokenExchange,
    /// `POST /v1/oauth/token` with a refresh token.
    Refresh,
    /// `POST /v1/oauth/revoke`.
    Revoke,
    /// `POST /v1/oauth/introspect`.
    Introspect,
    /// Everything that is not one of the OAuth endpoints.
    Api,
}

impl Call {
    fn covers(self, call: Self) -> bool {
        self == call || (self == Self::Token && call.is_token())
    }

    pub(super) fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::TokenExchange | Self::Refresh)
    }
}

/// What goes wrong with one call.
///
/// *Before* means that the server has done nothing yet: no token is spent, no page is made. *After*
/// means that it has: the rotation stands, only its answer is lost or spoilt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: this call goes through.
    None,
    /// The call is decided after that time. A client that goes away earlier has changed nothing.
    Delay(Duration),
    /// The call is decided at once, and answered after that time.
    DelayAfter(Duration),
    /// Another fault, after that time: see [`Fault::after_delay`].
    AfterDelay(Duration, Box<Self>),
    /// An error of the server's choice, before. API calls get it in the API's envelope whatever the shape.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// `error` or `code` of the answer.
        code: String,
        /// The shape of the answer.
        shape: ErrorShape,
    },
    /// The connection is closed without an answer, before.
    DropBefore,
    /// The connection is closed without an answer, after.
    DropAfter,
    /// There is never an answer, and nothing is done.
    HangBefore,
    /// There is never an answer, though all is done.
    HangAfter,
    /// 429 `rate_limited`, before.
    RateLimited {
        /// Whole seconds for the `Retry-After` header; without them the header is absent.
        retry_after: Option<u64>,
    },
    /// That status with an error for a body, before. What is no final HTTP status is sent as 500.
    StatusBefore(u16),
    /// That status with an error for a body, after. What is no final HTTP status is sent as 500.
    StatusAfter(u16),
    /// The right answer, of which the second half never comes, after.
    Truncated,
    /// The right answer, padded with white space to at least that many bytes, after.
    Oversized(usize),
    /// The right answer, compressed with gzip although the request did not ask for it, after.
    Gzip,
    /// The right answer with the members of this JSON object added or replaced, after; other JSON
    /// takes the place of the answer. The server does not know a token that is replaced here.
    Members(Value),
    /// 200 with JSON that is not the answer, after.
    WrongJson,
    /// 200 with an HTML page, after.
    Html,
    /// 403 with an HTML page and `cf-ray`, as from the edge in front of Notion, before.
    Blocked,
    /// 401 with an HTML page and without `x-notion-request-id`, as from a proxy whose users must sign in,
    /// before.
    ProxySignIn,
    /// 307 to that location, before.
    Redirect(String),
}

impl Fault {
    /// `fault`, after `delay`.
    #[must_use]
    pub fn after_delay(delay: Duration, fault: Self) -> Self {
        Self::AfterDelay(delay, Box::new(fault))
    }

    /// An error in the OAuth shape, before.
    #[must_use]
    pub fn refuse(status: u16, code: impl Into<String>) -> Self {
        Self::Refuse {
            status,
            code: code.into(),
            shape: ErrorShape::OAuth,
        }
    }

    /// The answer, if the fault takes the server's place.
    pub(super) fn instead(&self, shape: ErrorShape, request_id: &str) -> Option<Reply> {
        Some(match self {
            Self::Refuse { status, code, .. } => {
                let message = "The mock server was told to refuse this call.";
                Refusal::new(*status, code.clone(), message).reply(shape, request_id)
            }
            Self::RateLimited { retry_after } => {
                let mut reply = Refusal::of_status(429).reply(shape, request_id);
                if let Some(seconds) = *retry_after {
                    reply
                        .headers_mut()
                        .insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                reply
            }
            Self::StatusBefore(status) => Refusal::of_status(*status).reply(shape, request_id),
            Self::Blocked => {
                let page = "<!doctype html><title>Attention Required!</title><h1>Blocked</h1>";
                let mut reply = respond::html(StatusCode::FORBIDDEN, page);
                let ray = HeaderValue::from_static("8f0000000000mock-TST");
                reply.headers_mut().insert("cf-ray", ray);
                reply
            }
            Self::ProxySignIn => {
                let page = "<!doctype html><title>Sign in</title><h1>Sign in to this network</h1>";
                respond::html(StatusCode::UNAUTHORIZED, page)
            }
            Self::Redirect(to) => respond::redirect(StatusCode::TEMPORARY_REDIRECT, to),
            _ => return None,
        })
    }

    /// What becomes of an answer that the server has already made.
    pub(super) fn spoil(&self, reply: Reply, shape: ErrorShape, request_id: &str) -> Reply {
        match self {
            Self::StatusAfter(status) => Refusal::of_status(*status).reply(shape, request_id),
            Self::Oversized(size) => reply.map(|body| {
                let mut padded = body.to_vec();
                padded.resize(padded.len().max(*size), b' ');
                padded.into()
            }),
            Self::Gzip => {
                let mut reply = reply.map(|body| gzip(&body));
                let gzip = HeaderValue::from_static("gzip");
                reply.headers_mut().insert(CONTENT_ENCODING, gzip);
                reply
            }
            Self::Members(changes) => reply.map(|body| {
                let answer = serde_json::from_slice(&body).unwrap_or_default();
                changed(answer, changes).to_string().into()
            }),
            Self::WrongJson => respond::json(StatusCode::OK, &json!({ "object": "unexpected" })),
            Self::Html => respond::html(
                StatusCode::OK,
                "<!doctype html><title>Welcome</title><p>Sign in to use this network.",
            ),
            _ => reply,
        }
    }
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    // A vector takes whatever is written to it.
    written.unwrap_or_default().into()
}

fn changed(mut answer: Value, changes: &Value) -> Value {
    match (answer.as_object_mut(), changes) {
        (Some(members), Value::Object(changes)) => {
            members.extend(changes.clone());
            answer
        }
        _ => changes.clone(),
    }
}

/// The faults to come.
#[derive(Default)]
pub(super) struct Script {
    queue: Vec<(Call, Fault)>,
    standing: Vec<(Call, Fault)>,
}

impl Script {
    pub(super) fn push(&mut self, call: Call, faults: impl IntoIterator<Item = Fault>) {
        self.queue
            .extend(faults.into_iter().map(|fault| (call, fault)));
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    pub(super) fn stand(&mut self, call: Call, fault: Option<Fault>) {
        self.standing.retain(|(standing, _)| *standing != call);
        self.standing.extend(fault.map(|fault| (call, fault)));
    }

    /// Scripted faults first, in the order of the script; then the standing one that names the call most closely.
    pub(super) fn next(&mut self, call: Call) -> Fault {
        if let Some(at) = self
            .queue
            .iter()
            .position(|(scripted, _)| scripted.covers(call))
        {
            return self.queue.remove(at).1;
        }
        let exact = self.standing.iter().find(|(standing, _)| *standing == call);
        let wide = || {
            self.standing
                .iter()
                .find(|(standing, _)| standing.covers(call))
        };
        exact
            .or_else(wide)
            .map_or(Fault::None, |(_, fault)| fault.clone())
    }
}
