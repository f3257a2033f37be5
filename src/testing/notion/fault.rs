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

/// Kind of call: the target of a scripted fault, and the endpoint of a token in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Any call of the token endpoint. In the ledger, a call with an unknown grant type.
    Token,
    /// `POST /v1/oauth/token` with a code.
    TokenExchange,
    /// `POST /v1/oauth/token` with a refresh token.
    Refresh,
    /// `POST /v1/oauth/revoke`.
    Revoke,
    /// `POST /v1/oauth/introspect`.
    Introspect,
    /// Any call of an endpoint other than OAuth's.
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

/// A fault of one call.
///
/// *Before* means that the server has done nothing yet: no token was spent and no page created. *After*
/// means that the server has processed the call and only the response is lost or defective.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No fault.
    None,
    /// The call is processed after this time. A client that disconnects earlier has changed nothing.
    Delay(Duration),
    /// The call is processed immediately and answered after this time.
    DelayAfter(Duration),
    /// Another fault after this time, see [`Fault::after_delay`].
    AfterDelay(Duration, Box<Self>),
    /// An error response, before. API calls get it in the API's format, whatever `shape` is.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// `error` or `code` of the response.
        code: String,
        /// The format of the response.
        shape: ErrorShape,
    },
    /// The connection is closed without a response, before.
    DropBefore,
    /// The connection is closed without a response, after.
    DropAfter,
    /// No response is ever sent, before.
    HangBefore,
    /// No response is ever sent, after.
    HangAfter,
    /// 429 `rate_limited`, before.
    RateLimited {
        /// Whole seconds of the `Retry-After` header, which is absent if `None`.
        retry_after: Option<u64>,
    },
    /// This status with an error body, before. A number that is not a final HTTP status is sent as 500.
    StatusBefore(u16),
    /// This status with an error body, after. A number that is not a final HTTP status is sent as 500.
    StatusAfter(u16),
    /// The correct response, of which the second half is never sent, after.
    Truncated,
    /// The correct response, padded with white space to at least this many bytes, after.
    Oversized(usize),
    /// The correct response, compressed with gzip although the request did not ask for it, after.
    Gzip,
    /// The correct response with the members of this JSON object added or replaced, after. JSON other than
    /// an object replaces the response. The server does not accept tokens that are replaced here.
    Members(Value),
    /// 200 with a JSON body that is not the expected response, after.
    WrongJson,
    /// 200 with an HTML page, after.
    Html,
    /// 403 with an HTML page and `cf-ray`, as from the CDN in front of Notion, before.
    Blocked,
    /// 401 with an HTML page and without `x-notion-request-id`, as from a proxy that requires a sign-in,
    /// before.
    ProxySignIn,
    /// 307 to this location, before.
    Redirect(String),
}

impl Fault {
    /// Returns `fault`, delayed by `delay`.
    #[must_use]
    pub fn after_delay(delay: Duration, fault: Self) -> Self {
        Self::AfterDelay(delay, Box::new(fault))
    }

    /// Returns an error response in OAuth's format, before.
    #[must_use]
    pub fn refuse(status: u16, code: impl Into<String>) -> Self {
        Self::Refuse {
            status,
            code: code.into(),
            shape: ErrorShape::OAuth,
        }
    }

    /// Returns the response, if the fault replaces the server's processing.
    pub(super) fn instead(&self, shape: ErrorShape, request_id: &str) -> Option<Reply> {
        Some(match self {
            Self::Refuse { status, code, .. } => {
                let message = "The mock server is scripted to refuse this call.";
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

    /// Applies the fault to a response that the server has already created.
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
    // Writing to a vector cannot fail.
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

/// The faults that are scripted for future calls.
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

    /// Returns the next scripted fault for the call. Without one, returns the permanent fault for the most
    /// specific kind of call.
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
