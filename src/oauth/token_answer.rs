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

/// A token response, parsed strictly for the token pair and leniently for the rest. A spent refresh token
/// must be replaced by its successor, whatever else is wrong with the response.
pub(crate) struct TokenAnswer {
    access_token: AccessToken,
    refresh_token: Option<RefreshToken>,
    members: Map<String, Value>,
    received_at: SystemTime,
}

impl TokenAnswer {
    /// Extracts the tokens from a response, including an incomplete or malformed one.
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

    /// Converts the response of a new authorization to credentials. Nothing is kept of earlier ones.
    pub(crate) fn into_credentials(self) -> NotionUserCredentials {
        let refresh_token = self.refresh_token.clone();
        let mut credentials = self.refresh(NotionUserCredentials::new(AccessToken::new("")));
        credentials.refresh_token = refresh_token;
        credentials
    }

    /// Applies the response of a refresh to the stored credentials.
    ///
    /// Members of the connection that the response lacks keep their stored values: refresh token,
    /// workspace, bot, owner and scope. The expiry does not, because it belongs to the old access token.
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
        // For these two, null differs from absent.
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

/// Returns the access token and the refresh token, if any, or the reason why they cannot be used.
///
/// If `refresh_token` is absent, the stored one stays valid. An incomplete response cannot prove that a
/// member is absent, or which duplicate is the last.
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
        // The response holds the only valid refresh token.
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
