//! Notion's API: checks the bearer token, then the version, then the request.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    family::Place,
    headers,
    ledger::{Outcome, TokenKind},
    log::Presented,
    options::{ErrorShape, Options},
    respond::{self, Refusal},
    state::{Decision, State},
    users,
};

const INVALID: &str = "API token is invalid.";
const RESTRICTED: &str = "This user's account is restricted from accessing the public API.";

pub(super) fn presented(headers: &HeaderMap) -> Option<Presented> {
    headers::bearer_token(headers).map(|token| Presented {
        token: token.to_owned(),
        token_kind: TokenKind::Access,
        bot_id: None,
    })
}

pub(super) fn decide(options: &Options, state: &mut State, head: &Parts, body: &Bytes) -> Decision {
    let request_id = state.request_id();
    let token = headers::bearer_token(&head.headers).unwrap_or_default();
    let bearer = state.grants.bearer(token);
    let authorized = match &bearer {
        Some(bearer) if bearer.live => Ok(bearer.place.clone()),
        Some(_) => Err((Outcome::Revoked, INVALID)),
        // A refresh token was issued by this server, but it is not a bearer token.
        None => Err((Outcome::Unknown, INVALID)),
    };
    let authorized = authorized.and_then(|place| match state.restricted.contains(&place.bot_id) {
        false => Ok(place),
        true => Err((Outcome::refused("unauthorized"), RESTRICTED)),
    });
    match authorized {
        Ok(place) => {
            let answered = headers::check_version(&head.headers)
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

/// Parses a body as a JSON object. No body counts as an empty object.
fn json_body(head: &Parts, body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let invalid = || Refusal::new(400, "invalid_json", "Error parsing JSON body.");
    if !headers::is_json(&head.headers) {
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
