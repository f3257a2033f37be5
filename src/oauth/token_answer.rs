use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

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
        if !read.is_complete || answer.body.is_flawed() {
            answer.log_flaw();
        }
        if let (None, Some(problem)) = (&refresh_token, read.refresh_token.problem) {
            answer.log_no_refresh_token(problem);
        }
        Ok(Self {
            access_token: AccessToken::new(access_token.as_str()),
            refresh_token: refresh_token.map(|token| RefreshToken::new(token.as_str())),
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
/// A refresh token that is absent means that the old one stays. An incomplete answer can't show that
/// a member is absent, or which duplicate is the last.
fn pair(read: &mut Members) -> Result<Pair, &'static str> {
    let is_complete = read.is_complete;
    if !is_complete {
        if read.access_token.is_in_conflict {
            return Err("it is cut off, and has two values for `access_token`");
        }
        if read.refresh_token.is_in_conflict {
            return Err("it is cut off, and has two values for `refresh_token`");
        }
    }
    let refresh_token = match read.refresh_token.token.take() {
        None if !is_complete && read.access_token.is_text() => {
            return Err("it ends before `refresh_token` is complete");
        }
        refresh_token => refresh_token,
    };
    match read.access_token.token.take() {
        Some(access_token) => Ok((access_token, refresh_token)),
        // Its refresh token is the only good one.
        None if read.access_token.is_empty() && refresh_token.is_some() => {
            Ok((Zeroizing::default(), refresh_token))
        }
        None if read.access_token.is_empty() => Err("its `access_token` is empty"),
        None if is_complete => Err("it has no string member `access_token`"),
        None => Err("it ends before `access_token` is complete"),
    }
}

type Pair = (Zeroizing<String>, Option<Zeroizing<String>>);

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
