use std::{fmt, io, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    handle::MockNotion,
    options::{ConsentMode, ErrorShape, Options},
    server,
    state::Shared,
};

/// Nothing listens there: an in-process server is reached through its service only.
const IN_PROCESS_BASE_URL: &str = "http://127.0.0.1:1";
const DEFAULT_REDIRECT_URI: &str = "https://app.example/notion/callback";

/// Builds a [`MockNotion`] that departs from the defaults.
///
/// The defaults are the harsher reading wherever Notion's documents are silent: a refresh token is
/// good for one use, a second use ends the whole family, the old access token dies at the refresh,
/// and a reconnect ends the connection before it.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct MockNotionBuilder {
    options: Options,
    default_redirect_uri: bool,
}

impl MockNotion {
    /// Starts a server with the default options on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The operating system's, if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A server with the default options and without a socket.
    #[must_use]
    pub fn in_process() -> Self {
        Self::builder().in_process()
    }

    /// Departs from the defaults.
    pub fn builder() -> MockNotionBuilder {
        MockNotionBuilder::new()
    }
}

impl MockNotionBuilder {
    fn new() -> Self {
        Self {
            options: Options {
                client_id: "11d872f4-0000-4000-8000-6d6f636b6964".to_owned(),
                client_secret: "secret_MockNotionClientSecret000000000000000000".to_owned(),
                redirect_uris: vec![DEFAULT_REDIRECT_URI.to_owned()],
                family_revocation: true,
                grace: Duration::ZERO,
                keep_old_access_tokens: false,
                reconnect_ends_older: true,
                expires_in: None,
                refresh_tokens: true,
                error_shape: ErrorShape::OAuth,
                consent: ConsentMode::Page,
                token_delay: Duration::ZERO,
                users: 3,
            },
            default_redirect_uri: true,
        }
    }

    /// The only client id that the server knows.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.options.client_id = client_id.into();
        self
    }

    /// The secret of that client.
    pub fn client_secret(mut self, client_secret: impl Into<String>) -> Self {
        self.options.client_secret = client_secret.into();
        self
    }

    /// Registers a redirect URI. The first one takes the place of the default
    /// (`https://app.example/notion/callback`), further ones are added.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        if std::mem::take(&mut self.default_redirect_uri) {
            self.options.redirect_uris.clear();
        }
        self.options.redirect_uris.push(uri.into());
        self
    }

    /// Whether a second use of a refresh token, or of a code, ends the whole family that it belongs to
    /// (default: it does). Either way that use is answered with `invalid_grant`.
    pub fn family_revocation(mut self, on: bool) -> Self {
        self.options.family_revocation = on;
        self
    }

    /// For how long after its use a refresh token that comes again gets the same successors again
    /// (default: zero, never). It does so only while its successor is itself unused.
    pub fn grace(mut self, window: Duration) -> Self {
        self.options.grace = window;
        self
    }

    /// Whether access tokens outlive the refresh that replaces them (default: they die).
    pub fn keep_old_access_tokens(mut self, on: bool) -> Self {
        self.options.keep_old_access_tokens = on;
        self
    }

    /// Whether a new connection of a workspace ends the one before it (default: it does).
    pub fn reconnect_ends_older(mut self, on: bool) -> Self {
        self.options.reconnect_ends_older = on;
        self
    }

    /// The value of `expires_in` in token answers: seconds, `null`, a numeric string, or anything else
    /// that a server could send (default: the field is absent, as with Notion).
    ///
    /// It is told, not enforced: an access token lives until it is replaced or revoked
    /// ([`MockNotion::revoke_access_token`]).
    pub fn expires_in(mut self, value: impl Into<Value>) -> Self {
        self.options.expires_in = Some(value.into());
        self
    }

    /// Whether token answers hold a refresh token (default: they do); if not, it is `null`.
    pub fn refresh_tokens(mut self, on: bool) -> Self {
        self.options.refresh_tokens = on;
        self
    }

    /// The shape of the OAuth endpoints' errors (default: [`ErrorShape::OAuth`]).
    pub fn error_shape(mut self, shape: ErrorShape) -> Self {
        self.options.error_shape = shape;
        self
    }

    /// What the authorization URL answers over HTTP (default: [`ConsentMode::Page`]).
    pub fn consent(mut self, mode: ConsentMode) -> Self {
        self.options.consent = mode;
        self
    }

    /// How long each exchange and each refresh takes before it is decided (default: no time).
    pub fn token_delay(mut self, delay: Duration) -> Self {
        self.options.token_delay = delay;
        self
    }

    /// How many people `GET /v1/users` lists (default: 3).
    pub fn users(mut self, count: usize) -> Self {
        self.options.users = count;
        self
    }

    /// Starts the server on a free port of 127.0.0.1, on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// The operating system's, if no port can be bound.
    pub async fn start(self) -> io::Result<MockNotion> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(base_url, self.options));
        let server = server::spawn(listener, Arc::clone(&shared));
        Ok(MockNotion::new(shared, Some(server)))
    }

    /// Makes a server without a socket: only [`MockNotion::service`] reaches it.
    #[must_use]
    pub fn in_process(self) -> MockNotion {
        let shared = Shared::new(IN_PROCESS_BASE_URL.to_owned(), self.options);
        MockNotion::new(Arc::new(shared), None)
    }
}

impl fmt::Debug for MockNotionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockNotionBuilder")
            .field("client_id", &self.options.client_id)
            .field("redirect_uris", &self.options.redirect_uris)
            .finish_non_exhaustive()
    }
}
