use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::{
    error::OAuthError,
    members::Members,
    response::{NO_OBJECT, Success},
};
use crate::credentials::{
    AccessToken, IdToken, NotionUserCredentials, RefreshToken, canonical_token_type, scope_list,
    seconds, tidy_raw, unix_time,
};

/// A token answer: strict about the token pair, lenient about the rest. A refresh token that was
/// spent must be replaced by its successor, whatever else is wrong with the answer.
pub(crate) struct TokenAnswer {
    access_token: AccessToken,
    refresh_token: Option<RefreshToken>,
    members: Map<String, Value>,
    received_at: SystemTime,
}

impl TokenAnswer {
    /// Takes the tokens from an answer, also from one that is incomplete or not quite JSON.
    pub(super) fn read(answer: Success, received_at: SystemTime) -> Result<Self, OAuthError> {
        let Some(mut read) = Members::read(&answer.body.text) else {
            return Err(answer.unusable(NO_OBJECT));
        };
        let (access_token, refresh_token) = match pair(&mut read) {
            Ok(pair) => pair,
            Err(reason) => return Err(answer.unusable(reason)),
        };
        if !read.is_complete || answer.body.flaw.is_some() {
            answer.log_flaw();
        }
        Ok(Self {
            access_token: AccessToken::new(access_token),
            refresh_token: refresh_token.map(RefreshToken::new),
            members: read.members,
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
            if let Some(token_type) = canonical_token_type(&token_type) {
                new.token_type = token_type;
            }
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
        tidy_raw(&mut new);
        new
    }
}

/// The access token and, if there is a new one, the refresh token; or why they cannot be used.
///
/// A refresh token that is absent means that the old one stays. Where the end of the answer is
/// missing nothing is known to be absent, nor which of two values is the last.
fn pair(read: &mut Members) -> Result<(String, Option<String>), &'static str> {
    let is_complete = read.is_complete;
    if !is_complete {
        for name in &read.conflicts {
            match name.as_str() {
                "access_token" => {
                    return Err("it is cut off, and has two values for `access_token`");
                }
                "refresh_token" => {
                    return Err("it is cut off, and has two values for `refresh_token`");
                }
                _ => {}
            }
        }
    }
    let access_token = match read.members.remove("access_token") {
        Some(Value::String(token)) => token,
        _ if is_complete => return Err("it has no string member `access_token`"),
        _ => return Err("it ends before `access_token` is complete"),
    };
    let refresh_token = match read.members.remove("refresh_token") {
        Some(Value::String(token)) if !token.is_empty() => Some(token),
        _ if is_complete => None,
        _ => return Err("it ends before `refresh_token` is complete"),
    };
    if access_token.is_empty() && refresh_token.is_none() {
        return Err("its `access_token` is empty");
    }
    Ok((access_token, refresh_token))
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
