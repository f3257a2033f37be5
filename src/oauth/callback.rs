use std::{collections::HashMap, fmt};

use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::error::OAuthError;

/// Query parameters of Notion's callback: a code, and the `state` of the flow.
///
/// If the user denied access, parsing fails with [`OAuthError::is_denied`]. Nothing has changed then, and
/// there is no code to exchange.
pub struct CallbackAnswer {
    code: Zeroizing<String>,
    state: Zeroizing<String>,
    /// The issuer identifier of the authorization server (RFC 9207).
    issuer: Option<String>,
}

impl CallbackAnswer {
    /// Parses a callback URL, absolute or as a server receives it (`/notion/callback?code=…`).
    ///
    /// # Errors
    /// The same as [`from_query`](Self::from_query).
    pub fn from_url(url: &str) -> Result<Self, OAuthError> {
        let query = match Url::parse(url) {
            Ok(url) => url.query().map(str::to_owned),
            Err(_) => url
                .split_once('?')
                .map(|(_, query)| query.split('#').next().unwrap_or_default().to_owned()),
        };
        Self::from_query(query.as_deref().unwrap_or_default())
    }

    /// Parses the query string of a callback (RFC 6749 section 4.1.2).
    ///
    /// An `iss` is checked by [`OAuthFlow::exchange`](super::OAuthFlow::exchange).
    ///
    /// # Errors
    /// In this order: a duplicate parameter; an `error` parameter (`access_denied` when the user denied
    /// access, with a `state` that may be empty); no `code`; no `state`.
    pub fn from_query(query: &str) -> Result<Self, OAuthError> {
        Self::read(query, None)
    }

    /// Does the same as [`from_query`](Self::from_query), and checks the `iss` of an `error` if the issuer
    /// is given.
    pub(crate) fn read(query: &str, issuer: Option<&str>) -> Result<Self, OAuthError> {
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = Zeroizing::new(value.into_owned());
            if parameters.insert(name, value).is_some() {
                return Err(OAuthError::duplicate_parameter());
            }
        }
        let mut take = |name| parameters.remove(name);
        let (code, state, error) = (take("code"), take("state"), take("error"));
        let sent_issuer = take("iss").map(|it| it.to_string());
        if let Some(issuer) = issuer {
            check_issuer(sent_issuer.as_deref(), issuer)?;
        }
        if let Some(error) = error {
            let secrets = [&code, &state].map(|it| it.as_deref().map_or("", String::as_str));
            return Err(OAuthError::authorization_refused(&error, &secrets));
        }
        let code = code
            .filter(|code| !code.is_empty())
            .ok_or_else(|| OAuthError::missing_parameter("code"))?;
        let state = state
            .filter(|state| !state.is_empty())
            .ok_or_else(|| OAuthError::missing_parameter("state"))?;
        Ok(Self {
            code,
            state,
            issuer: sent_issuer,
        })
    }

    pub(super) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// Checks that `iss`, if present, is this authorization server's.
    pub(super) fn check_issuer(&self, expected: &str) -> Result<(), OAuthError> {
        check_issuer(self.issuer.as_deref(), expected)
    }
}

fn check_issuer(sent: Option<&str>, expected: &str) -> Result<(), OAuthError> {
    match sent {
        Some(sent) if sent != expected => Err(OAuthError::wrong_issuer()),
        _ => Ok(()),
    }
}

impl fmt::Debug for CallbackAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackAnswer").finish_non_exhaustive()
    }
}
