//! Options of a server, fixed once it runs.

use std::time::Duration;

use serde_json::Value;

/// Format of error responses of the OAuth endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorShape {
    /// `{"error": "invalid_grant", "error_description": …, "request_id": …}`, as observed from Notion.
    #[default]
    OAuth,
    /// `{"object": "error", "status": 400, "code": "invalid_grant", "message": …, "request_id": …}`, as in
    /// Notion's documentation.
    Api,
}

/// Response of the authorization URL to a browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentMode {
    /// A page on which a person enters the workspace's name and allows or denies access.
    #[default]
    Page,
    /// An immediate redirect to the callback, as if a person had allowed access to a new workspace.
    Automatic,
}

#[derive(Clone)]
pub(super) struct Options {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// Never empty. The first one is returned by `redirect_uri()`.
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
