//! Texts that only gateways with the same keys can make and read: in cookies, and in links.

use std::time::Duration;

use axum::http::{HeaderMap, header::COOKIE};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use cookie::{Cookie, CookieJar, Key, SameSite};

/// Encrypts and authenticates texts, each for one purpose: the name of its cookie or link.
#[derive(Clone)]
pub(crate) struct Sealer {
    key: Key,
    is_https: bool,
}

impl Sealer {
    pub(crate) fn new(key: Key, is_https: bool) -> Self {
        Self { key, is_https }
    }

    /// Returns `Set-Cookie` with an encrypted value.
    pub(crate) fn cookie(&self, name: &str, value: String, lifetime: Duration) -> String {
        self.encrypted(self.cookie_of(name, value, lifetime))
            .to_string()
    }

    /// Returns `Set-Cookie` that removes a cookie.
    pub(crate) fn removed(&self, name: &str) -> String {
        self.cookie_of(name, String::new(), Duration::ZERO)
            .to_string()
    }

    /// Returns the decrypted value of a cookie.
    pub(crate) fn read(&self, headers: &HeaderMap, name: &str) -> Option<String> {
        let name = self.name(name);
        let mut sent = headers
            .get_all(COOKIE)
            .into_iter()
            // As bytes, because cookies of other programs may not be text.
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok())
            .filter_map(|pair| Cookie::parse(pair).ok())
            .filter(|cookie| cookie.name() == name);
        sent.find_map(|cookie| self.decrypted(cookie.into_owned()))
    }

    /// Encrypts a text for a URL.
    pub(crate) fn token(&self, purpose: &str, text: String) -> String {
        let sealed = self.encrypted(Cookie::new(purpose.to_owned(), text));
        let bytes = BASE64_STANDARD.decode(sealed.value()).unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the text of a token that was made for this purpose.
    pub(crate) fn open(&self, purpose: &str, token: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let sealed = BASE64_STANDARD.encode(bytes);
        self.decrypted(Cookie::new(purpose.to_owned(), sealed))
    }

    fn name(&self, name: &str) -> String {
        match self.is_https {
            true => format!("__Host-{name}"),
            false => name.to_owned(),
        }
    }

    fn cookie_of(&self, name: &str, value: String, lifetime: Duration) -> Cookie<'static> {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(0);
        Cookie::build((self.name(name), value))
            .path("/")
            .http_only(true)
            .secure(self.is_https)
            .same_site(SameSite::Lax)
            .max_age(time::Duration::seconds(seconds))
            .build()
    }

    /// The name is authenticated with the value, so that no value is accepted under another name.
    fn encrypted(&self, cookie: Cookie<'static>) -> Cookie<'static> {
        let name = cookie.name().to_owned();
        let mut jar = CookieJar::new();
        jar.private_mut(&self.key).add(cookie);
        jar.get(&name)
            .cloned()
            .unwrap_or_else(|| Cookie::from(name))
    }

    fn decrypted(&self, cookie: Cookie<'static>) -> Option<String> {
        let jar = CookieJar::new();
        let opened = jar.private(&self.key).decrypt(cookie)?;
        Some(opened.value().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_for_its_own_purpose_only() {
        let sealer = Sealer::new(Key::generate(), false);
        let token = sealer.token("one", "text?/+".to_owned());
        assert!(
            token
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)),
            "{token}"
        );
        assert_eq!(sealer.open("one", &token).as_deref(), Some("text?/+"));
        assert_eq!(sealer.open("two", &token), None);
        assert_eq!(sealer.open("one", &token[1..]), None);
        let other = Sealer::new(Key::generate(), false);
        assert_eq!(other.open("one", &token), None);

        // The forms of cookies and tokens differ in their alphabets alone.
        let cookie = sealer.cookie("one", "text".to_owned(), Duration::from_secs(1));
        let value = cookie.split(['=', ';']).nth(1).expect("a value");
        let value = value.replace('+', "-").replace('/', "_");
        assert_eq!(sealer.open("two", &value), None);
    }
}
