//! `POST /v1/oauth/introspect` and `POST /v1/oauth/revoke`.
//!
//! Both require `Notion-Version`, as the OpenAPI document says. No recorded response contradicts it.

use std::time::SystemTime;

use bytes::Bytes;
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    grants::Grants,
    ledger::Outcome,
    oauth,
    options::Options,
    respond,
    state::{Decision, State},
};

pub(super) fn introspect(
    options: &Options,
    state: &mut State,
    head: &Parts,
    body: &Bytes,
) -> Decision {
    decide(options, state, head, body, |grants, token| {
        let validity = grants.validity(token);
        let mut answer = json!({ "active": validity == Outcome::Accepted });
        if validity == Outcome::Accepted {
            answer["scope"] = "read_content insert_content update_content".into();
            if let Some(bearer) = grants.bearer(token) {
                let issued = bearer.issued.duration_since(SystemTime::UNIX_EPOCH);
                answer["iat"] = issued.unwrap_or_default().as_secs().into();
            }
        }
        (answer, validity)
    })
}

/// Revoking an invalid token succeeds, because the client's goal is met (RFC 7009 section 2.2).
pub(super) fn revoke(options: &Options, state: &mut State, head: &Parts, body: &Bytes) -> Decision {
    decide(options, state, head, body, |grants, token| {
        let outcome = grants.revoke(token);
        (json!({}), outcome)
    })
}

fn decide(
    options: &Options,
    state: &mut State,
    head: &Parts,
    body: &Bytes,
    answer: impl FnOnce(&mut Grants, &str) -> (Value, Outcome),
) -> Decision {
    let request_id = state.request_id();
    let members = oauth::members(options, head, body, true);
    let answered = members.and_then(|members| {
        oauth::only(&members, &["token"])?;
        let token = oauth::required(&members, "token")?;
        Ok(answer(&mut state.grants, token))
    });
    match answered {
        Ok((mut answer, outcome)) => {
            answer["request_id"] = request_id.into();
            let reply = respond::json(StatusCode::OK, &answer);
            Decision {
                reply,
                outcome,
                hold: None,
            }
        }
        Err(refusal) => Decision {
            reply: refusal.reply(options.error_shape, &request_id),
            outcome: Outcome::refused(refusal.code),
            hold: None,
        },
    }
}
