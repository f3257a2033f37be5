//! A minimal session: the name of the signed-in user. This example accepts any name without a password.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::COOKIE},
    middleware::Next,
    response::Response,
};
use notion_auth::Subject;

const COOKIE_NAME: &str = "session";

/// The visitors that are signed in, by the secret that their browsers have.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    names: Arc<Mutex<HashMap<String, Visitor>>>,
}

/// A request extension: who is signed in.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) name: String,
}

impl Visitor {
    /// The visitor as the credentials' owner.
    pub(crate) fn subject(&self) -> Subject {
        Subject::from_parts(["visitor", &self.name])
    }
}

impl Sessions {
    /// Signs a visitor in, and answers the cookie for that.
    pub(crate) fn begin(&self, name: String) -> Result<String, getrandom::Error> {
        let secret = format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
        self.lock().insert(secret.clone(), Visitor { name });
        Ok(format!(
            "{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Lax"
        ))
    }

    /// Signs the visitor out, and answers the cookie for that.
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

/// The site's session layer. For the routes it names the subject, by what it keeps itself and by
/// nothing that the browser could say.
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
