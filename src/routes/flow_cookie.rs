//! Encrypted cookies, each of which keeps a flow while its user is at Notion.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cookie::{Cookie, CookieJar, Key, SameSite};
use http::{HeaderMap, header::COOKIE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{keyring::Keyring, oauth::PendingFlow};

/// How many flows one browser may have at a time. A further one replaces the oldest.
const MAX_FLOWS: usize = 3;

/// The longest cookie, name and value, in bytes.
const LONGEST: usize = 1024;

/// A flow that was started.
#[derive(Serialize, Deserialize)]
pub(super) struct Flow {
    pub(super) pending: PendingFlow,
    /// The `return_to` of the request that started it.
    pub(super) return_to: Option<String>,
}

/// Makes and reads the cookies of flows.
pub(super) struct FlowCookies {
    /// The first key encrypts, all decrypt. Never empty.
    keys: Vec<Key>,
    /// Whether the site uses TLS. Without it, some browsers drop `Secure` cookies.
    is_secure: bool,
}

/// Returns the digest of a state, which names the cookie and the nonce of its flow.
pub(super) fn digest(state: &str) -> [u8; 32] {
    Sha256::digest(state).into()
}

impl FlowCookies {
    pub(super) fn new(keyring: &Keyring, is_secure: bool) -> Self {
        let derived = keyring.derive::<64>("notion-auth: flow cookies");
        Self {
            keys: derived.map(|key| Key::from(&*key)).collect(),
            is_secure,
        }
    }

    fn prefix(&self) -> &'static str {
        if self.is_secure {
            "__Host-notion-flow-"
        } else {
            "notion-flow-"
        }
    }

    /// Each flow has a cookie of its own, so that two tabs work.
    fn name(&self, state: &str) -> String {
        let digest = URL_SAFE_NO_PAD.encode(&digest(state)[..12]);
        format!("{}{digest}", self.prefix())
    }

    /// Returns the cookie of a flow, for `Set-Cookie`; `None` if it would be too large.
    pub(super) fn seal(&self, flow: &Flow) -> Option<String> {
        let value = Zeroizing::new(serde_json::to_string(flow).ok()?);
        let name = self.name(flow.pending.expose_state());
        let mut jar = CookieJar::new();
        let first = self.keys.first()?;
        jar.private_mut(first)
            .add((name.clone(), value.as_str().to_owned()));
        let sealed = jar.get(&name)?.value().to_owned();
        if name.len() + sealed.len() > LONGEST {
            return None;
        }
        let lifetime = PendingFlow::LIFETIME.as_secs();
        Some(self.set(name, sealed, lifetime))
    }

    /// Returns the flow of this state, if the browser sent its cookie.
    pub(super) fn open(&self, headers: &HeaderMap, state: &str) -> Option<Flow> {
        let name = self.name(state);
        self.sent(headers)
            .filter(|cookie| cookie.name() == name)
            .find_map(|cookie| self.unseal(cookie))
    }

    /// Returns the `Set-Cookie` that removes the flow of this state.
    pub(super) fn clear(&self, state: &str) -> String {
        self.remove(self.name(state))
    }

    /// Returns the `Set-Cookie`s that remove flows until there is room for one more: first those that can't be
    /// decrypted, then the oldest.
    pub(super) fn make_room(&self, headers: &HeaderMap) -> Vec<String> {
        let mut kept: Vec<(Option<u64>, String)> = self
            .sent(headers)
            .map(|cookie| {
                let name = cookie.name().to_owned();
                let flow = self.unseal(cookie);
                (flow.map(|flow| flow.pending.created_at()), name)
            })
            .collect();
        kept.sort();
        kept.dedup_by(|one, other| one.1 == other.1);
        let too_many = kept.len().saturating_sub(MAX_FLOWS - 1);
        kept.into_iter()
            .take(too_many)
            .map(|(_, name)| self.remove(name))
            .collect()
    }

    /// Returns the cookies of flows that the browser sent.
    fn sent<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = Cookie<'static>> + use<'a> {
        let prefix = self.prefix();
        headers
            .get_all(COOKIE)
            .into_iter()
            // As bytes, because other cookies may not be UTF-8.
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .map(<[u8]>::trim_ascii)
            .filter(move |pair| pair.starts_with(prefix.as_bytes()))
            .filter_map(|pair| std::str::from_utf8(pair).ok())
            .filter_map(|pair| Cookie::parse(pair).ok())
            .map(Cookie::into_owned)
    }

    fn unseal(&self, cookie: Cookie<'static>) -> Option<Flow> {
        let jar = CookieJar::new();
        let opened = self
            .keys
            .iter()
            .find_map(|key| jar.private(key).decrypt(cookie.clone()))?;
        serde_json::from_str(opened.value()).ok()
    }

    fn remove(&self, name: String) -> String {
        self.set(name, String::new(), 0)
    }

    /// `Lax`, because browsers would not send a `Strict` cookie when Notion redirects back.
    fn set(&self, name: String, value: String, seconds: u64) -> String {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(self.is_secure)
            .same_site(SameSite::Lax)
            .max_age(cookie::time::Duration::seconds(seconds))
            .build()
            .to_string()
    }
}
