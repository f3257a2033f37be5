//! How a server was told to behave; fixed once it runs.

use std::time::Duration;

use serde_json::Value;

/// Which of the two shapes the OAuth endpoints answer errors in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorShape {
    /// `{"error": "invalid_grant", "error_description": …, "request_id": …}`, as the live service was seen to answer.
    #[default]
    OAuth,
    /// `{"object": "error", "status": 400, "code": "invalid_grant", "message": …, "request_id": …}`, as Notion documents it.
    Api,
}

/// What a browser meets at the authorization URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentMode {
    /// A page on which a person names the workspace, and allows or denies.
    #[default]
    Page,
    /// A redirect to the callback at once, as if the person had allowed a new workspace.
    Automatic,
}

#[derive(Clone)]
pub(super) struct Options {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// Never empty; the first is the one that `redirect_uri()` tells.
    pub(super) redirect_uris: Vec<String>,
    pub(super) family_revocation: bool,
    pub(super) grace: Duration,
    pub(super) keep_old_access_tokens: bool,
    pub(super) reconnect_ends_older: bool,
    pub(super) expires_in: Option<Value>,
    pub(super) refresh_tokens: bool,
    pub(super) error_shape: ErrorShape,
    pub(super) consent: ConsentMode,
    pub(super) token_delay: Duration,
    pub(super) users: usize,
}
