//! `GET /v1/oauth/authorize`, and what a browser's yes or no leads to.

use std::collections::HashMap;

use bytes::Bytes;
use http::{StatusCode, request::Parts};
use url::{Url, form_urlencoded};

use super::{
    consent_page,
    options::{ConsentMode, Options},
    respond::{self, Reply},
    state::Shared,
};

pub(super) const PATH: &str = "/v1/oauth/authorize";
pub(super) const DECISION_PATH: &str = "/v1/oauth/authorize/decision";

/// An authorization request that holds.
#[derive(Debug)]
pub(super) struct Asked {
    /// As it stood in the request: the exchange must repeat it exactly, or leave it out as well.
    redirect_uri: Option<String>,
    pub(super) callback: Url,
    state: Option<String>,
}

/// Checks the query of an authorization request. The error is for a person to read: Notion shows it
/// on a page, since nothing in a request that does not hold can be trusted as a redirect's target.
pub(super) fn check(options: &Options, query: &str) -> Result<Asked, String> {
    let mut query = unique_pairs(query.as_bytes())?;
    let mut expect = |name: &str, expected: &str| match query.remove(name) {
        Some(value) if value == expected => Ok(()),
        Some(_) => Err(format!("Invalid or unknown {name}.")),
        None => Err(format!("Missing {name}.")),
    };
    expect("client_id", &options.client_id)?;
    expect("response_type", "code")?;
    expect("owner", "user")?;
    let redirect_uri = query.remove("redirect_uri");
    let target = match (&redirect_uri, options.redirect_uris.as_slice()) {
        (Some(uri), registered) if registered.contains(uri) => uri,
        (Some(_), _) => return Err("Invalid redirect_uri: it is not registered.".to_owned()),
        (None, [only]) => only,
        (None, _) => return Err("Missing redirect_uri: several are registered.".to_owned()),
    };
    let callback =
        Url::parse(target).map_err(|_| "The registered redirect_uri is no URL.".to_owned())?;
    let state = query.remove("state");
    Ok(Asked {
        redirect_uri,
        callback,
        state,
    })
}

/// The callback with a fresh code. Without a workspace it is for a new one.
pub(super) fn allow(shared: &Shared, asked: Asked, workspace: Option<&str>) -> String {
    let code = shared
        .lock()
        .grants
        .issue_code(workspace, asked.redirect_uri);
    let mut callback = asked.callback;
    callback.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = &asked.state {
        callback.query_pairs_mut().append_pair("state", state);
    }
    callback.into()
}

/// The callback of a refusal: `state` is present and empty, whatever it was.
pub(super) fn deny(asked: Asked) -> String {
    let mut callback = asked.callback;
    callback
        .query_pairs_mut()
        .append_pair("error", "access_denied")
        .append_pair("state", "");
    callback.into()
}

/// Answers a browser that arrives at the authorization URL.
pub(super) fn show(shared: &Shared, head: &Parts) -> Reply {
    let query = head.uri.query().unwrap_or_default();
    match check(&shared.options, query) {
        Err(why) => refuse(&why),
        Ok(asked) if shared.options.consent == ConsentMode::Automatic => {
            respond::redirect(StatusCode::FOUND, &allow(shared, asked, None))
        }
        Ok(asked) => respond::html(StatusCode::OK, consent_page::ask(&asked.callback, query)),
    }
}

/// Answers the consent page's form.
pub(super) fn decide(shared: &Shared, body: &Bytes) -> Reply {
    let decided = unique_pairs(body).and_then(|form| {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let asked = check(&shared.options, field("query"))?;
        let workspace = Some(field("workspace").trim()).filter(|name| !name.is_empty());
        match field("decision") {
            "allow" => Ok(allow(shared, asked, workspace)),
            "deny" => Ok(deny(asked)),
            _ => Err("Neither allowed nor denied.".to_owned()),
        }
    });
    match decided {
        Ok(callback) => respond::redirect(StatusCode::SEE_OTHER, &callback),
        Err(why) => refuse(&why),
    }
}

fn refuse(why: &str) -> Reply {
    respond::html(StatusCode::BAD_REQUEST, consent_page::refuse(why))
}

fn unique_pairs(encoded: &[u8]) -> Result<HashMap<String, String>, String> {
    let mut pairs = HashMap::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        if let Some(name) = pairs
            .insert(name.clone().into_owned(), value.into_owned())
            .and(Some(name))
        {
            return Err(format!("Duplicate {name}."));
        }
    }
    Ok(pairs)
}
