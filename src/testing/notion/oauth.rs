//! Checks that are common to the three OAuth endpoints.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    fault::Call, headers, ledger::TokenKind, log::Presented, options::Options, respond::Refusal,
};

pub(super) type Members = Map<String, Value>;

/// Returns the kind of a token endpoint call, and its token or code. Form bodies are read too, because a
/// token that is sent in the wrong format was sent nevertheless.
pub(super) fn token_call(body: &Bytes) -> (Call, Option<Presented>) {
    let members = lenient_members(body);
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    match text("grant_type") {
        Some("authorization_code") => (
            Call::TokenExchange,
            presented(text("code"), TokenKind::Code),
        ),
        Some("refresh_token") => (
            Call::Refresh,
            presented(text("refresh_token"), TokenKind::Refresh),
        ),
        _ => {
            let refresh = presented(text("refresh_token"), TokenKind::Refresh);
            let any = refresh.or_else(|| presented(text("code"), TokenKind::Code));
            (Call::Token, any)
        }
    }
}

/// Returns the token of a revocation or introspection call.
pub(super) fn subject_token(body: &Bytes) -> Option<Presented> {
    let members = lenient_members(body);
    presented(
        members.get("token").and_then(Value::as_str),
        TokenKind::Access,
    )
}

/// Returns the members of a valid call: correct client, JSON body, and a supported version.
pub(super) fn members(
    options: &Options,
    head: &Parts,
    body: &Bytes,
    version_required: bool,
) -> Result<Members, Refusal> {
    if !is_client(options, &head.headers) {
        return Err(Refusal::new(
            401,
            "invalid_client",
            "Client authentication failed.",
        ));
    }
    let version = head.headers.get("notion-version");
    if version_required || version.is_some() {
        headers::check_version(&head.headers)?;
    }
    if !headers::is_json(&head.headers) {
        let message = "The content type should be application/json.";
        return Err(Refusal::new(400, "invalid_request", message));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Refusal::validation("The body should be a JSON object.")),
        Err(_) => Err(Refusal::new(
            400,
            "invalid_json",
            "Error parsing JSON body.",
        )),
    }
}

/// Rejects members that the endpoint does not document.
pub(super) fn only(members: &Members, known: &[&str]) -> Result<(), Refusal> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("body failed validation: body.{name} should be not present.");
            Err(Refusal::validation(message))
        }
    }
}

/// Returns a required string member.
pub(super) fn required<'a>(members: &'a Members, name: &str) -> Result<&'a str, Refusal> {
    optional(members, name)?.ok_or_else(|| {
        let message = format!("body failed validation: body.{name} should be defined.");
        Refusal::validation(message)
    })
}

/// Returns an optional string member.
pub(super) fn optional<'a>(members: &'a Members, name: &str) -> Result<Option<&'a str>, Refusal> {
    let wrong = || format!("body failed validation: body.{name} should be a string.");
    members
        .get(name)
        .map(|value| value.as_str().ok_or_else(|| Refusal::validation(wrong())))
        .transpose()
}

fn is_client(options: &Options, headers: &HeaderMap) -> bool {
    let Some(credentials) = headers::authorization(headers, "basic") else {
        return false;
    };
    let expected = format!("{}:{}", options.client_id, options.client_secret);
    BASE64_STANDARD
        .decode(credentials)
        .is_ok_and(|sent| sent == expected.as_bytes())
}

fn lenient_members(body: &Bytes) -> Members {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let pairs = form_urlencoded::parse(body);
        pairs
            .map(|(name, value)| (name.into_owned(), Value::from(value)))
            .collect()
    })
}

fn presented(token: Option<&str>, token_kind: TokenKind) -> Option<Presented> {
    token.map(|token| Presented {
        token: token.to_owned(),
        token_kind,
        bot_id: None,
    })
}
