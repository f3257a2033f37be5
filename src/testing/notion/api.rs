//! The API: who asks, in which version, and only then what.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION, request::Parts};
use serde_json::{Value, json};

use super::{
    family::Place,
    ledger::{Outcome, TokenKind},
    log::Presented,
    oauth,
    options::{ErrorShape, Options},
    respond::{self, Refusal},
    route::Decision,
    state::State,
    users,
};

const INVALID: &str = "API token is invalid.";
const RESTRICTED: &str = "This user's account is restricted from accessing the public API.";

/// The versions that the live service accepts.
const VERSIONS: [&str; 7] = [
    "2021-05-11",
    "2021-05-13",
    "2021-08-16",
    "2022-02-22",
    "2022-06-28",
    "2025-09-03",
    "2026-03-11",
];

pub(super) fn presented(headers: &HeaderMap) -> Option<Presented> {
    bearer_token(headers).map(|token| Presented {
        token: token.to_owned(),
        token_kind: TokenKind::Access,
        bot_id: None,
    })
}

pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

/// What follows the scheme in the only `Authorization` header; with two of them there is none.
pub(super) fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (sent, rest) = value.to_str().ok()?.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then_some(rest)
}

pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all("notion-version").iter();
    let Some(version) = values.next() else {
        let message =
            "Notion-Version header failed validation: Notion-Version header should be defined.";
        return Err(Refusal::new(400, "missing_version", message));
    };
    if values.next().is_some() || !VERSIONS.iter().any(|known| version == known) {
        let message = "Notion-Version header failed validation: it should be a supported version.";
        return Err(Refusal::validation(message));
    }
    Ok(())
}

pub(super) fn decide(options: &Options, state: &mut State, head: &Parts, body: &Bytes) -> Decision {
    let request_id = state.request_id();
    let token = bearer_token(&head.headers).unwrap_or_default();
    let bearer = state.grants.bearer(token);
    let standing = match &bearer {
        Some(bearer) if bearer.live => Ok(bearer.place.clone()),
        Some(_) => Err((Outcome::Revoked, INVALID)),
        // Also a refresh token: it was issued, but it is no bearer token.
        None => Err((Outcome::Unknown, INVALID)),
    };
    let standing = standing.and_then(|place| match state.restricted.contains(&place.bot_id) {
        false => Ok(place),
        true => Err((Outcome::refused("unauthorized"), RESTRICTED)),
    });
    match standing {
        Ok(place) => {
            let answered = check_version(&head.headers)
                .and_then(|()| route(options, state, &place, head, body));
            let reply = match answered {
                Ok(mut body) => {
                    body["request_id"] = request_id.as_str().into();
                    respond::identified(respond::json(StatusCode::OK, &body), &request_id)
                }
                Err(refusal) => refusal.reply(ErrorShape::Api, &request_id),
            };
            Decision {
                reply,
                outcome: Outcome::Accepted,
                hold: None,
            }
        }
        Err((outcome, message)) => {
            let newest = bearer.filter(|bearer| bearer.current);
            let hold = newest
                .filter(|_| state.held_back > 0)
                .map(|bearer| (bearer.family, bearer.born_at));
            state.held_back -= usize::from(hold.is_some());
            let reply =
                Refusal::new(401, "unauthorized", message).reply(ErrorShape::Api, &request_id);
            Decision {
                reply,
                outcome,
                hold,
            }
        }
    }
}

fn route(
    options: &Options,
    state: &mut State,
    place: &Place,
    head: &Parts,
    body: &Bytes,
) -> Result<Value, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let path = head.uri.path().strip_prefix("/v1/").unwrap_or_default();
    let pages = &mut state.pages;
    match (&head.method, path) {
        (&Method::GET, "users/me") => Ok(users::me(place)),
        (&Method::GET, "users") => users::list(options.users, place, query),
        (&Method::POST, "search") => pages.search(&place.workspace_id, &json_body(head, body)?),
        (&Method::POST, "pages") => pages.create(place, &json_body(head, body)?),
        (&Method::GET, path) => match path.strip_prefix("pages/") {
            Some(id) if !id.contains('/') => pages.retrieve(&place.workspace_id, id),
            _ => Err(invalid_url()),
        },
        _ => Err(invalid_url()),
    }
}

fn invalid_url() -> Refusal {
    Refusal::new(400, "invalid_request_url", "Invalid request URL.")
}

/// A body that is a JSON object; none at all counts as an empty one.
fn json_body(head: &Parts, body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let invalid = || Refusal::new(400, "invalid_json", "Error parsing JSON body.");
    if !oauth::is_json(&head.headers) {
        return Err(invalid());
    }
    let value: Value = serde_json::from_slice(body).map_err(|_| invalid())?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Refusal::validation(
            "body failed validation: body should be an object.",
        ))
    }
}
