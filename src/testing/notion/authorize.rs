//! `GET /v1/oauth/authorize`: the consent page, and the redirect after the user allows or denies.

use std::collections::HashMap;

use bytes::Bytes;
use http::{StatusCode, request::Parts};
use url::{Url, form_urlencoded};

use super::{
    options::{ConsentMode, Options},
    respond::{self, Reply},
    state::Shared,
};
use crate::html::{document, escape};

pub(super) const PATH: &str = "/v1/oauth/authorize";
pub(super) const DECISION_PATH: &str = "/v1/oauth/authorize/decision";

// The pages load nothing and run no script.
const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center }
main { width: min(26rem, 100% - 3rem); padding: 2rem 0 }
h1 { font-size: 1.4rem; line-height: 1.25 }
label { display: block; font-weight: 600 }
input, button { font: inherit; box-sizing: border-box; padding: .6rem .8rem; border: 1px solid #8a8a8a; border-radius: .4rem }
input { width: 100%; margin: .25rem 0 1.5rem }
button { cursor: pointer; margin-right: .5rem; background: transparent; color: inherit }
button[value=allow] { background: #0b61c4; border-color: #0b61c4; color: #fff }
:focus-visible { outline: 3px solid #5aa2f5; outline-offset: 2px }";

/// A valid authorization request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The URI exactly as in the request. The exchange must repeat it, or omit it if the request did.
    redirect_uri: Option<String>,
    pub(super) callback: Url,
    state: Option<String>,
}

/// Checks the query of an authorization request.
///
/// The error is a message for a person. Notion shows it on a page, because an invalid request has no
/// trustworthy redirect target.
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

/// Returns the callback URL with a new code. Without a workspace, a new one is created.
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

/// Returns the callback URL of a denial, in which `state` is present and empty.
pub(super) fn deny(asked: Asked) -> String {
    let mut callback = asked.callback;
    callback
        .query_pairs_mut()
        .append_pair("error", "access_denied")
        .append_pair("state", "");
    callback.into()
}

/// Answers a browser's request to the authorization URL.
pub(super) fn show(shared: &Shared, head: &Parts) -> Reply {
    let query = head.uri.query().unwrap_or_default();
    match check(&shared.options, query) {
        Err(why) => refuse(&why),
        Ok(asked) if shared.options.consent == ConsentMode::Automatic => {
            respond::redirect(StatusCode::FOUND, &allow(shared, asked, None))
        }
        Ok(asked) => respond::html(StatusCode::OK, consent_page(&asked.callback, query)),
    }
}

/// Handles the form of the consent page.
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
    respond::html(StatusCode::BAD_REQUEST, refusal_page(why))
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

/// Renders the page that asks whether the application at `callback` may connect. The form submits `query`
/// with the decision.
fn consent_page(callback: &Url, query: &str) -> String {
    let host = escape(callback.host_str().unwrap_or("this application"));
    let query = escape(query);
    page(
        "Connect a workspace",
        &format!(
            r#"<h1>{host} would like to connect to a workspace</h1>
<p>It will be able to read, insert and update content there. This is a mock of Notion: nothing real is shared.</p>
<form method="post" action="{DECISION_PATH}">
<input type="hidden" name="query" value="{query}">
<label for="workspace">Workspace</label>
<input id="workspace" name="workspace" value="Acme" autocomplete="off" required>
<button name="decision" value="allow">Allow access</button>
<button name="decision" value="deny" formnovalidate>Cancel</button>
</form>"#
        ),
    )
}

fn refusal_page(why: &str) -> String {
    let why = escape(why);
    let body = format!("<h1>This link does not work</h1>\n<p role=\"alert\">{why}</p>");
    page("This link does not work", &body)
}

fn page(title: &str, body: &str) -> String {
    document(&format!("{title} – MockNotion"), STYLE, body)
}
