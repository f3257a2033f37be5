use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    error::{OAuthError, Refusal},
    redact::redact,
    transport::{Answer, SendError},
};
use crate::credentials::{
    AccessToken, IdToken, NotionUserCredentials, RefreshToken, canonical_token_type, drop_tokens,
    scope_list, seconds, unix_time,
};

/// Tells the three outcomes of a call apart: not sent, definite, and everything else. A definite
/// answer is JSON with a 2xx status, or one of Notion's two error shapes with a 4xx status.
///
/// `secrets` are kept out of what is quoted from the server.
pub(super) fn definite(
    outcome: Result<Answer, SendError>,
    secrets: &[&str],
) -> Result<Map<String, Value>, OAuthError> {
    let answer = outcome.map_err(|error| match error {
        SendError::NotSent(cause) => OAuthError::not_sent(cause),
        SendError::Lost(cause) => OAuthError::ambiguous("the answer was lost").with_source(cause),
    })?;
    let status = answer.status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(OAuthError::rate_limited(retry_after(&answer)));
    }
    let body = match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(members)) => Some(members),
        // All that RFC 7009 asks of a revocation's answer.
        _ if answer.body.is_empty() => Some(Map::new()),
        _ => None,
    };
    match body {
        Some(members) if status.is_success() => Ok(members),
        Some(members) if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
            Err(refusal(status, &members, secrets)
                .map_or_else(|| OAuthError::unreadable(status), OAuthError::refused))
        }
        _ => Err(OAuthError::unreadable(status)),
    }
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    let after = crate::header::retry_after(&answer.headers, LONGEST_WAIT)?;
    Some(after.min(LONGEST_WAIT))
}

/// No server can make a subject wait for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Codes that mean what they say even if a secret happens to be a part of one.
const KNOWN_CODES: [&str; 8] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "validation_error",
    "unauthorized",
];

/// `{"error", "error_description"?}` (RFC 6749 section 5.2) and `{"object":"error", "code",
/// "message"}` (Notion's API).
fn refusal(status: StatusCode, members: &Map<String, Value>, secrets: &[&str]) -> Option<Refusal> {
    let text = |name| members.get(name).and_then(Value::as_str);
    let (code, description) = match text("error") {
        Some(code) => (code, text("error_description")),
        None if text("object") == Some("error") => (text("code")?, text("message")),
        None => return None,
    };
    let is_code = !code.is_empty()
        && code.len() <= 64
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && (KNOWN_CODES.contains(&code) || redact(code, secrets) == code);
    is_code.then(|| Refusal {
        status: status.as_u16(),
        code: code.to_owned(),
        description: description.map(|text| redact(text, secrets)),
        request_id: text("request_id").map(|text| redact(text, secrets)),
    })
}

/// A token answer: strict about the tokens, lenient about the rest, since a refresh token that was
/// spent must be saved whatever else is wrong with the answer.
pub(crate) struct TokenAnswer {
    access_token: AccessToken,
    refresh_token: Option<RefreshToken>,
    members: Map<String, Value>,
    received_at: SystemTime,
}

impl TokenAnswer {
    pub(super) fn read(
        mut members: Map<String, Value>,
        received_at: SystemTime,
    ) -> Result<Self, OAuthError> {
        let Some(Value::String(access_token)) = members.remove("access_token") else {
            return Err(OAuthError::ambiguous(
                "the answer of the token endpoint has no access token",
            ));
        };
        let refresh_token = match members.remove("refresh_token") {
            Some(Value::String(token)) if !token.is_empty() => Some(RefreshToken::new(token)),
            _ => None,
        };
        if access_token.is_empty() {
            return Err(OAuthError::ambiguous(
                "the access token in the answer of the token endpoint is empty",
            ));
        }
        Ok(Self {
            access_token: AccessToken::new(access_token),
            refresh_token,
            members,
            received_at,
        })
    }

    /// The credentials of a new authorization: nothing of older ones is kept.
    pub(crate) fn into_credentials(self) -> NotionUserCredentials {
        let refresh_token = self.refresh_token.clone();
        let mut credentials = self.refresh(NotionUserCredentials::new(AccessToken::new("")));
        credentials.refresh_token = refresh_token;
        credentials
    }

    /// The credentials after a refresh.
    ///
    /// What the answer does not say of the connection stays as it was stored: the refresh token,
    /// the workspace, bot, owner, scope. What it does not say of the access token is not known of
    /// the new one: its expiry.
    pub(crate) fn refresh(mut self, stored: NotionUserCredentials) -> NotionUserCredentials {
        let mut new = stored;
        new.access_token = self.access_token;
        if let Some(refresh_token) = self.refresh_token {
            new.refresh_token = Some(refresh_token);
        }
        let members = &mut self.members;
        if let Some(Value::String(token_type)) = members.remove("token_type") {
            new.token_type = canonical_token_type(token_type);
        }
        if let Some(Value::String(id_token)) = members.remove("id_token") {
            new.id_token = Some(IdToken::new(id_token));
        }
        if let Some(scope) = members.remove("scope").as_ref().and_then(scope_list) {
            new.scope = Some(scope);
        }
        new.expires_in = members.remove("expires_in").as_ref().and_then(seconds);
        new.expires_at = members
            .remove("expires_at")
            .as_ref()
            .and_then(unix_time)
            .or_else(|| {
                self.received_at
                    .checked_add(Duration::from_secs(new.expires_in?))
            });
        if let Some(Value::String(id)) = members.remove("workspace_id") {
            new.workspace_id = Some(id);
        }
        // These two can be null, which is something other than not there.
        replace_text(members, "workspace_name", &mut new.workspace_name);
        replace_text(members, "workspace_icon", &mut new.workspace_icon);
        for (name, value) in std::mem::take(members) {
            let is_kept = matches!(name.as_str(), "bot_id" | "owner")
                && value.is_null()
                && new.raw.contains_key(&name);
            if !is_kept {
                new.raw.insert(name, value);
            }
        }
        drop_tokens(&mut new);
        new
    }
}

fn replace_text(members: &mut Map<String, Value>, name: &str, field: &mut Option<String>) {
    match members.remove(name) {
        Some(Value::String(text)) => *field = Some(text),
        Some(Value::Null) => *field = None,
        _ => {}
    }
}

impl std::fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenAnswer").finish_non_exhaustive()
    }
}
