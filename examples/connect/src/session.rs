//! The site's sessions. A real site would check a password: this one accepts any name.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap,
        header::{COOKIE, ORIGIN},
    },
    middleware::Next,
    response::Response,
};
use notion_auth::Subject;

const COOKIE_NAME: &str = "session";

/// Signed-in visitors, by the secret in the cookie of their browser.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    names: Arc<Mutex<HashMap<String, Visitor>>>,
}

/// Request extension: the visitor who is signed in.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) name: String,
}

impl Visitor {
    /// The subject of the visitor's credentials.
    pub(crate) fn subject(&self) -> Subject {
        Subject::from_parts(["visitor", &self.name])
    }
}

impl Sessions {
    /// Signs a visitor in, and returns the `Set-Cookie`.
    pub(crate) fn begin(&self, name: String) -> Result<String, getrandom::Error> {
        let secret = format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
        self.lock().insert(secret.clone(), Visitor { name });
        Ok(format!(
            "{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Lax"
        ))
    }

    /// Signs the visitor out, and returns the `Set-Cookie`.
    pub(crate) fn end(&self, headers: &HeaderMap) -> String {
        if let Some(secret) = secret(headers) {
            self.lock().remove(&secret);
        }
        format!("{COOKIE_NAME}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Visitor>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The site's session layer. It sets the subject for the routes, from the session and never from what the browser
/// could choose.
pub(crate) async fn layer(
    State(sessions): State<Sessions>,
    mut request: Request,
    next: Next,
) -> Response {
    let visitor =
        secret(request.headers()).and_then(|secret| sessions.lock().get(&secret).cloned());
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor.subject());
        request.extensions_mut().insert(visitor);
    }
    next.run(request).await
}

/// Whether a page of this site sent the form.
///
/// Otherwise another site could sign a visitor in as someone else. The visitor would then connect a workspace to that
/// account, for the other person to use.
pub(crate) fn is_own_form(headers: &HeaderMap, site_url: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        // Browsers without it send `Origin` with each POST.
        None => headers.get(ORIGIN).is_some_and(|origin| origin == site_url),
    }
}

fn secret(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, secret)| secret.to_owned())
}
