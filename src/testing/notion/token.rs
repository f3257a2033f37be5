//! `POST /v1/oauth/token`, and the token response that test grants share.

use bytes::Bytes;
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    family::{Issued, Place},
    ledger::Outcome,
    oauth::{self, Members},
    options::Options,
    respond::{self, Refusal},
    state::{Decision, State},
};

const DEAD: &str =
    "The provided authorization grant or refresh token is invalid, expired or revoked.";

/// Processes a token call. A rotation is committed when this returns.
pub(super) fn decide(options: &Options, state: &mut State, head: &Parts, body: &Bytes) -> Decision {
    let request_id = state.request_id();
    let granted = oauth::members(options, head, body, false)
        .map_err(refused)
        .and_then(|members| grant(options, state, &members));
    match granted {
        Ok(issued) => Decision {
            reply: respond::json(StatusCode::OK, &answer(options, &issued, &request_id)),
            outcome: issued.outcome,
            hold: None,
        },
        Err((refusal, outcome)) => Decision {
            reply: refusal.reply(options.error_shape, &request_id),
            outcome,
            hold: None,
        },
    }
}

/// Builds a token response: the fields that Notion documents and, optionally, `expires_in`.
pub(super) fn answer(options: &Options, issued: &Issued, request_id: &str) -> Value {
    let place = &issued.place;
    let mut answer = json!({
        "access_token": issued.pair.access,
        "token_type": "bearer",
        "refresh_token": issued.pair.refresh,
        "bot_id": place.bot_id,
        "workspace_id": place.workspace_id,
        "workspace_name": place.workspace_name,
        "workspace_icon": null,
        "owner": owner(place),
        "duplicated_template_id": null,
        "request_id": request_id,
    });
    if let Some(expires_in) = &options.expires_in {
        answer["expires_in"] = expires_in.clone();
    }
    answer
}

pub(super) fn owner(place: &Place) -> Value {
    json!({
        "type": "user",
        "user": {
            "object": "user",
            "id": place.person_id,
            "name": format!("Owner of {}", place.workspace_name),
            "avatar_url": null,
            "type": "person",
            "person": { "email": "owner@workspace.example" },
        },
    })
}

type Refused = (Refusal, Outcome);

fn grant(options: &Options, state: &mut State, members: &Members) -> Result<Issued, Refused> {
    let Some(grant_type) = members.get("grant_type") else {
        let message = "body failed validation: body.grant_type should be defined.";
        return Err(refused(Refusal::new(400, "invalid_request", message)));
    };
    match grant_type.as_str() {
        Some("authorization_code") => {
            let (code, redirect_uri) = exchange_members(members).map_err(refused)?;
            state
                .grants
                .exchange(code, redirect_uri, options)
                .map_err(dead)
        }
        Some("refresh_token") => {
            let token = refresh_members(members).map_err(refused)?;
            state
                .grants
                .rotate(token, Instant::now(), options)
                .map_err(dead)
        }
        _ => {
            let message = "The grant type is not supported.";
            Err(refused(Refusal::new(
                400,
                "unsupported_grant_type",
                message,
            )))
        }
    }
}

fn exchange_members(members: &Members) -> Result<(&str, Option<&str>), Refusal> {
    oauth::only(
        members,
        &["grant_type", "code", "redirect_uri", "external_account"],
    )?;
    if let Some(account) = members.get("external_account") {
        let account = account.as_object().ok_or_else(|| {
            Refusal::validation(
                "body failed validation: body.external_account should be an object.",
            )
        })?;
        oauth::only(account, &["key", "name"])?;
        oauth::required(account, "key")?;
        oauth::required(account, "name")?;
    }
    let code = oauth::required(members, "code")?;
    Ok((code, oauth::optional(members, "redirect_uri")?))
}

fn refresh_members(members: &Members) -> Result<&str, Refusal> {
    oauth::only(members, &["grant_type", "refresh_token"])?;
    oauth::required(members, "refresh_token")
}

fn refused(refusal: Refusal) -> Refused {
    let outcome = Outcome::refused(refusal.code.clone());
    (refusal, outcome)
}

fn dead(outcome: Outcome) -> Refused {
    (Refusal::new(400, "invalid_grant", DEAD), outcome)
}
