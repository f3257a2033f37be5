use std::{fmt, sync::Arc};

use super::{
    authorize::{self, Asked},
    fault::{Call, Fault},
    grant::Grant,
    ledger::Ledger,
    server::Server,
    service::MockNotionService,
    state::Shared,
    token,
};

/// A mock server of Notion's OAuth endpoints and a small part of its API.
///
/// Clones are handles of the same server. When the last handle is dropped, the server stops and its
/// connections close. Its [services](Self::service) continue to work.
#[derive(Clone)]
pub struct MockNotion {
    shared: Arc<Shared>,
    /// Held for its `Drop`.
    server: Option<Arc<Server>>,
}

impl MockNotion {
    pub(super) fn new(shared: Arc<Shared>, server: Option<Server>) -> Self {
        Self {
            shared,
            server: server.map(Arc::new),
        }
    }

    /// Returns `http://127.0.0.1:PORT`, without a trailing slash. Nothing listens there if the server has
    /// no socket.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.shared.base_url.clone()
    }

    /// Returns whether the server listens on a socket.
    pub(crate) fn has_socket(&self) -> bool {
        self.server.is_some()
    }

    /// Returns the client ID that the server accepts.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.shared.options.client_id
    }

    /// Returns the secret of that client.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.shared.options.client_secret
    }

    /// Returns the redirect URI that was registered first.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        // The builder never leaves the list empty.
        self.shared
            .options
            .redirect_uris
            .first()
            .map_or("", String::as_str)
    }

    /// Returns the URL to which a browser is sent for consent.
    #[must_use]
    pub fn authorization_url(&self) -> String {
        format!("{}{}", self.shared.base_url, authorize::PATH)
    }

    /// Returns the URL at which codes and refresh tokens are exchanged.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/v1/oauth/token", self.shared.base_url)
    }

    /// Returns the URL at which tokens are revoked.
    #[must_use]
    pub fn revoke_url(&self) -> String {
        format!("{}/v1/oauth/revoke", self.shared.base_url)
    }

    /// Returns the URL at which tokens are introspected.
    #[must_use]
    pub fn introspect_url(&self) -> String {
        format!("{}/v1/oauth/introspect", self.shared.base_url)
    }

    /// Returns the server as an in-process Tower service, whether or not it listens on a socket.
    #[must_use]
    pub fn service(&self) -> MockNotionService {
        MockNotionService::new(Arc::clone(&self.shared))
    }

    /// Returns a token that the API accepts, as that of an internal integration: the value for `NOTION_TOKEN`, while
    /// `NOTION_API_URL` is the [`base_url`](Self::base_url).
    #[must_use]
    pub fn integration_token(&self) -> String {
        self.grant().access_token().to_owned()
    }

    /// Connects a new workspace, as if a user had consented and the code had been exchanged.
    #[must_use]
    pub fn grant(&self) -> Grant {
        self.mint_grant(None)
    }

    /// Connects the workspace with this name. The same name means the same workspace and bot.
    ///
    /// A second call reconnects it, which revokes the earlier connection unless
    /// [`MockNotionBuilder::reconnect_ends_older`](super::MockNotionBuilder::reconnect_ends_older) is off.
    #[must_use]
    pub fn grant_for(&self, workspace: &str) -> Grant {
        self.mint_grant(Some(workspace))
    }

    /// Follows an authorization URL as a browser whose user allows access to a new workspace. Returns the
    /// callback URL with `code` and `state`.
    ///
    /// # Errors
    /// The message that Notion would show on a page, if the authorization request is not valid.
    pub fn consent(&self, authorization_url: &str) -> Result<String, String> {
        let asked = self.asked(authorization_url)?;
        Ok(authorize::allow(&self.shared, asked, None))
    }

    /// Does the same as [`consent`](Self::consent) for the workspace with this name, for example to
    /// reconnect it.
    ///
    /// # Errors
    /// The message that Notion would show on a page, if the authorization request is not valid.
    pub fn consent_for(&self, authorization_url: &str, workspace: &str) -> Result<String, String> {
        let asked = self.asked(authorization_url)?;
        Ok(authorize::allow(&self.shared, asked, Some(workspace)))
    }

    /// Follows an authorization URL as a browser whose user denies access. Returns the callback URL, which
    /// has `error=access_denied` and an empty `state`.
    ///
    /// # Errors
    /// The message that Notion would show on a page, if the authorization request is not valid.
    pub fn deny(&self, authorization_url: &str) -> Result<String, String> {
        self.asked(authorization_url).map(authorize::deny)
    }

    /// Revokes an access token. Its refresh token stays valid.
    ///
    /// # Panics
    /// If this server never issued the token.
    #[track_caller]
    pub fn revoke_access_token(&self, token: &str) {
        let known = self.shared.change(|state| state.grants.kill_access(token));
        assert!(known, "not an access token of this MockNotion");
    }

    /// Revokes the whole family of an access or refresh token, as when a user removes the connection.
    ///
    /// # Panics
    /// If this server never issued the token.
    #[track_caller]
    pub fn revoke_grant(&self, token: &str) {
        let known = self
            .shared
            .change(|state| state.grants.end_family_of(token));
        assert!(known, "not a token of this MockNotion");
    }

    /// Delays the next `n` 401 responses of the API until the token was replaced by a refresh or its family
    /// was revoked. Replaces the rest of an earlier number.
    ///
    /// Calls with a token that was already replaced or never issued are neither delayed nor counted. A
    /// client that waits for a delayed response before it refreshes waits forever: let one call through.
    pub fn hold_back_401s(&self, n: usize) {
        self.shared.lock().held_back = n;
    }

    /// Sets whether every API call of this bot is answered with a 401 that a refresh does not remedy ("This
    /// user's account is restricted …"). Its tokens stay valid.
    pub fn restrict_account(&self, bot_id: &str, on: bool) {
        let restricted = &mut self.shared.lock().restricted;
        if on {
            restricted.insert(bot_id.to_owned());
        } else {
            restricted.remove(bot_id);
        }
    }

    /// Scripts the next calls of this kind, one fault per call, in order, after earlier scripts.
    /// [`Fault::None`] lets one call through.
    pub fn script(&self, call: Call, faults: impl IntoIterator<Item = Fault>) {
        let faults: Vec<Fault> = faults.into_iter().collect();
        self.shared.lock().faults.push(call, faults);
    }

    /// Removes all scripted faults that were not used yet.
    pub fn unscript(&self) {
        self.shared.lock().faults.clear();
    }

    /// Sets the fault of all calls of this kind that have no scripted one. `None` removes it.
    pub fn always(&self, call: Call, fault: Option<Fault>) {
        self.shared.lock().faults.stand(call, fault);
    }

    /// Returns a snapshot of everything the server has received so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let state = self.shared.lock();
        state.log.ledger(state.grants.truth())
    }

    fn mint_grant(&self, workspace: Option<&str>) -> Grant {
        let options = &self.shared.options;
        self.shared.change(|state| {
            let request_id = state.request_id();
            let issued = state.grants.connect(workspace, options);
            Grant {
                answer: token::answer(options, &issued, &request_id),
            }
        })
    }

    fn asked(&self, authorization_url: &str) -> Result<Asked, String> {
        let (url, query) = authorization_url
            .split_once('?')
            .unwrap_or((authorization_url, ""));
        if url != self.authorization_url() {
            return Err(format!("{url} is not this server's authorization URL."));
        }
        authorize::check(&self.shared.options, query)
    }
}

impl fmt::Debug for MockNotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockNotion")
            .field("base_url", &self.shared.base_url)
            .finish_non_exhaustive()
    }
}
