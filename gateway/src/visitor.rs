//! Visitors of `/connect`: who is signed in by a cookie, by which key, and for which subject.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::HeaderMap;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use notion_auth::Subject;
use serde::{Deserialize, Serialize};

use crate::{
    keys::{Caller, Fingerprint, GatewayKey, GatewayKeys, Owner, fingerprint},
    sealed::Sealer,
};

/// How long a visitor stays signed in after the last request.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How long a visitor stays signed in with requests. A stolen cookie is of no use after that.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

const COOKIE: &str = "gateway";

/// A visitor who is signed in by a cookie. It stores nothing: replicas with the same keys recognize each other's visitors.
#[derive(Clone)]
pub(crate) struct Visitor {
    /// The key by which the visitor signed in, or by which the link was made.
    pub(crate) fingerprint: Fingerprint,
    /// Unix seconds.
    signed_in_at: u64,
    pub(crate) caller: Caller,
    /// The link's subject, if a link signed the visitor in.
    pub(crate) guest: Option<Guest>,
}

/// Subject, name and return target of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guest {
    pub(crate) subject: String,
    /// What the pages call the subject.
    pub(crate) name: Option<String>,
    /// Where the browser goes when a workspace is connected.
    pub(crate) return_to: Option<String>,
}

/// What the cookie holds.
#[derive(Serialize, Deserialize)]
struct Session {
    until: u64,
    signed_in_at: u64,
    key: Fingerprint,
    guest: Option<Guest>,
}

impl Visitor {
    /// Signs a visitor in, unless the key doesn't connect.
    pub(crate) fn sign_in(
        fingerprint: Fingerprint,
        key: &GatewayKey,
        guest: Option<Guest>,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            caller: caller(key, guest.as_ref())?,
            signed_in_at: now(),
            fingerprint,
            guest,
        })
    }

    /// Returns the visitor whose cookie it is. A key that is no longer there signs no one in.
    pub(crate) fn of(headers: &HeaderMap, sealer: &Sealer, keys: &GatewayKeys) -> Option<Self> {
        let session: Session = serde_json::from_str(&sealer.read(headers, COOKIE)?).ok()?;
        if session.until < now() {
            return None;
        }
        let key = keys.by_fingerprint(&session.key)?;
        Some(Self {
            caller: caller(&key, session.guest.as_ref()).ok()?,
            signed_in_at: session.signed_in_at,
            fingerprint: session.key,
            guest: session.guest,
        })
    }

    /// Returns `Set-Cookie`, by which the visitor stays signed in from now on.
    pub(crate) fn cookie(&self, sealer: &Sealer) -> String {
        let until = (now() + LIFETIME.as_secs()).min(self.signed_in_at + LONGEST.as_secs());
        let lifetime = Duration::from_secs(until.saturating_sub(now()));
        let session = Session {
            until,
            signed_in_at: self.signed_in_at,
            key: self.fingerprint,
            guest: self.guest.clone(),
        };
        let session = serde_json::to_string(&session).unwrap_or_default();
        sealer.cookie(COOKIE, session, lifetime)
    }

    /// Returns `Set-Cookie` that signs out.
    pub(crate) fn sign_out(sealer: &Sealer) -> String {
        sealer.removed(COOKIE)
    }

    /// Returns what the pages call the visitor.
    pub(crate) fn name(&self) -> &str {
        let name = self.guest.as_ref().and_then(|guest| guest.name.as_deref());
        name.unwrap_or_else(|| self.caller.subject.as_str())
    }

    /// Returns what the addresses of the visitor's page have, to tell them from those of another account's page that is
    /// still open in the same browser.
    pub(crate) fn mark(&self) -> String {
        let digest = fingerprint(self.caller.subject.as_str());
        let short: Vec<u8> = digest.into_iter().take(12).collect();
        BASE64_URL_SAFE_NO_PAD.encode(short)
    }

    pub(crate) fn return_to(&self) -> Option<&str> {
        self.guest.as_ref()?.return_to.as_deref()
    }
}

/// Returns the caller that a key signs in on the pages, or why it does not. A service key signs in by a link only.
fn caller(key: &GatewayKey, guest: Option<&Guest>) -> Result<Caller, &'static str> {
    let subject = match (&key.owner, guest) {
        (Owner::Subject(subject), None) => subject.clone(),
        (Owner::Subject(subject), Some(guest)) if subject.as_str() == guest.subject => {
            subject.clone()
        }
        (Owner::Service, Some(guest)) => Subject::new(&*guest.subject),
        (Owner::Subject(_), Some(_)) => return Err("That link is not for this key’s subject."),
        (Owner::Service, None) => {
            return Err(
                "That is a key for services. To connect a workspace, use the key of one subject, or a link \
                 that the service makes.",
            );
        }
    };
    if key.is_expired() {
        return Err("That key has expired.");
    }
    if !key.rights.connect {
        return Err(
            "That key calls Notion and doesn’t connect workspaces. Use one that may connect.",
        );
    }
    Ok(Caller {
        key_id: Arc::clone(&key.id),
        subject,
    })
}

/// Unix seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
