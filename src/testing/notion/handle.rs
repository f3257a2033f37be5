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

/// A stand-in for Notion's authorization server and a small part of its API.
///
/// A clone is another handle to the same server. When the last handle is dropped, the server stops
/// and its connections close; its [services](Self::service) go on.
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

    /// `http://127.0.0.1:PORT`, without a slash at the end. In process nothing listens there.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.shared.base_url.clone()
    }

    /// Whether it listens on a socket.
    pub(crate) fn has_socket(&self) -> bool {
        self.server.is_some()
    }

    /// The client id that the server knows.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.shared.options.client_id
    }

    /// The secret of that client.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.shared.options.client_secret
    }

    /// The redirect URI that was registered first.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        // The builder never leaves the list empty.
        self.shared
            .options
            .redirect_uris
            .first()
            .map_or("", String::as_str)
    }

    /// Where a browser is sent for consent.
    #[must_use]
    pub fn authorization_url(&self) -> String {
        format!("{}{}", self.shared.base_url, authorize::PATH)
    }

    /// Where codes are exchanged and tokens refreshed.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/v1/oauth/token", self.shared.base_url)
    }

    /// Where tokens are revoked.
    #[must_use]
    pub fn revoke_url(&self) -> String {
        format!("{}/v1/oauth/revoke", self.shared.base_url)
    }

    /// Where tokens are introspected.
    #[must_use]
    pub fn introspect_url(&self) -> String {
        format!("{}/v1/oauth/introspect", self.shared.base_url)
    }

    /// The server as a Tower service, in process; also while it listens on a socket.
    #[must_use]
    pub fn service(&self) -> MockNotionService {
        MockNotionService::new(Arc::clone(&self.shared))
    }

    /// Connects a new workspace, as if somebody had consented and the code had been exchanged.
    #[must_use]
    pub fn grant(&self) -> Grant {
        self.mint_grant(None)
    }

    /// Connects the workspace of that name. The same name is the same workspace and the same bot:
    /// a second time it is a reconnect, which ends the connection before it (unless
    /// [`MockNotionBuilder::reconnect_ends_older`](super::MockNotionBuilder::reconnect_ends_older) says otherwise).
    #[must_use]
    pub fn grant_for(&self, workspace: &str) -> Grant {
        self.mint_grant(Some(workspace))
    }

    /// What a browser does whose user allows a new workspace: follows an authorization URL, and
    /// returns the callback URL that it is sent to, with code and state.
    ///
    /// # Errors
    ///
    /// What Notion would show on a page, if the authorization request does not hold.
    pub fn consent(&self, authorization_url: &str) -> Result<String, String> {
        let asked = self.asked(authorization_url)?;
        Ok(authorize::allow(&self.shared, asked, None))
    }

    /// The same as [`consent`](Self::consent) for the workspace of that name: how to reconnect.
    ///
    /// # Errors
    ///
    /// What Notion would show on a page, if the authorization request does not hold.
    pub fn consent_for(&self, authorization_url: &str, workspace: &str) -> Result<String, String> {
        let asked = self.asked(authorization_url)?;
        Ok(authorize::allow(&self.shared, asked, Some(workspace)))
    }

    /// What a browser does whose user cancels: the callback URL has `error=access_denied`, and a
    /// `state` that is empty.
    ///
    /// # Errors
    ///
    /// What Notion would show on a page, if the authorization request does not hold.
    pub fn deny(&self, authorization_url: &str) -> Result<String, String> {
        self.asked(authorization_url).map(authorize::deny)
    }

    /// From now on that access token is answered with 401; its refresh token stays good.
    ///
    /// # Panics
    ///
    /// If the server never issued it: the test means another token.
    #[track_caller]
    pub fn revoke_access_token(&self, token: &str) {
        let known = self.shared.change(|state| state.grants.kill_access(token));
        assert!(known, "this is no access token of this MockNotion");
    }

    /// Ends the whole family of that access or refresh token, as when a user removes the connection.
    ///
    /// # Panics
    ///
    /// If the server never issued it: the test means another token.
    #[track_caller]
    pub fn revoke_grant(&self, token: &str) {
        let known = self
            .shared
            .change(|state| state.grants.end_family_of(token));
        assert!(known, "this is no token of this MockNotion");
    }

    /// Makes stragglers: of the API calls that are to be answered with 401, the next `n` are held
    /// until that token has been replaced by a refresh (or its family has ended), and answered then.
    /// `n` takes the place of what is left of an earlier one.
    ///
    /// Calls whose token has been replaced already, or was never issued, are not held and not counted.
    /// A client that waits for a straggler before it refreshes waits for ever: let one call through.
    pub fn hold_back_401s(&self, n: usize) {
        self.shared.lock().held_back = n;
    }

    /// Whether every API call of that bot is answered with the 401 that a refresh does not cure
    /// ("This user's account is restricted …"). Its tokens stay good.
    pub fn restrict_account(&self, bot_id: &str, on: bool) {
        let restricted = &mut self.shared.lock().restricted;
        if on {
            restricted.insert(bot_id.to_owned());
        } else {
            restricted.remove(bot_id);
        }
    }

    /// Scripts the next calls of that kind: one fault for each, in order, after those that were
    /// scripted before. [`Fault::None`] lets one call through.
    pub fn script(&self, call: Call, faults: impl IntoIterator<Item = Fault>) {
        let faults: Vec<Fault> = faults.into_iter().collect();
        self.shared.lock().faults.push(call, faults);
    }

    /// Takes back what is scripted and was not reached.
    pub fn unscript(&self) {
        self.shared.lock().faults.clear();
    }

    /// The fault of all calls of that kind for which none is scripted, until it is `None` again.
    pub fn always(&self, call: Call, fault: Option<Fault>) {
        self.shared.lock().faults.stand(call, fault);
    }

    /// Everything that reached the server so far: a snapshot.
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
