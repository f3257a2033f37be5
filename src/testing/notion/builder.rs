use std::{fmt, io, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    handle::MockNotion,
    options::{ConsentMode, ErrorShape, Options},
    server,
    state::Shared,
};

/// Nothing listens at this URL. An in-process server is reached only through its service.
const IN_PROCESS_BASE_URL: &str = "http://127.0.0.1:1";
const DEFAULT_REDIRECT_URI: &str = "https://app.example/notion/callback";

/// Builder of a [`MockNotion`] with options.
///
/// Where Notion's documentation is silent, the defaults are the strictest interpretation:
///
/// - A refresh token can be used once, and a second use revokes the whole token family.
/// - A refresh invalidates the old access token.
/// - A reconnect revokes the earlier connection.
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
    /// If no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Creates a server with the default options and without a socket.
    #[must_use]
    pub fn in_process() -> Self {
        Self::builder().in_process()
    }

    /// Returns a builder, to set options.
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

    /// Sets the only client ID that the server accepts.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.options.client_id = client_id.into();
        self
    }

    /// Sets the secret of that client.
    pub fn client_secret(mut self, client_secret: impl Into<String>) -> Self {
        self.options.client_secret = client_secret.into();
        self
    }

    /// Registers a redirect URI. The first call replaces the default
    /// (`https://app.example/notion/callback`), and further calls add one each.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        if std::mem::take(&mut self.default_redirect_uri) {
            self.options.redirect_uris.clear();
        }
        self.options.redirect_uris.push(uri.into());
        self
    }

    /// Sets whether a second use of a refresh token or code revokes its whole token family (default: true).
    /// The second use itself is always answered with `invalid_grant`.
    pub fn family_revocation(mut self, on: bool) -> Self {
        self.options.family_revocation = on;
        self
    }

    /// Sets how long a used refresh token returns the same successors again (default: zero). It does so
    /// only while its successor is unused.
    pub fn grace(mut self, window: Duration) -> Self {
        self.options.grace = window;
        self
    }

    /// Sets whether access tokens stay valid after the refresh that replaces them (default: false).
    pub fn keep_old_access_tokens(mut self, on: bool) -> Self {
        self.options.keep_old_access_tokens = on;
        self
    }

    /// Sets whether a new connection of a workspace revokes the earlier one (default: true).
    pub fn reconnect_ends_older(mut self, on: bool) -> Self {
        self.options.reconnect_ends_older = on;
        self
    }

    /// Sets `expires_in` in token responses: seconds, `null`, a numeric string, or any other value
    /// (default: absent, as with Notion).
    ///
    /// The expiry is announced but not enforced: an access token is valid until it is replaced or revoked
    /// ([`MockNotion::revoke_access_token`]).
    pub fn expires_in(mut self, value: impl Into<Value>) -> Self {
        self.options.expires_in = Some(value.into());
        self
    }

    /// Sets whether token responses contain a refresh token (default: true). Otherwise it is `null`.
    pub fn refresh_tokens(mut self, on: bool) -> Self {
        self.options.refresh_tokens = on;
        self
    }

    /// Sets the format of the OAuth endpoints' errors (default: [`ErrorShape::OAuth`]).
    pub fn error_shape(mut self, shape: ErrorShape) -> Self {
        self.options.error_shape = shape;
        self
    }

    /// Sets the response of the authorization URL over HTTP (default: [`ConsentMode::Page`]).
    pub fn consent(mut self, mode: ConsentMode) -> Self {
        self.options.consent = mode;
        self
    }

    /// Sets the processing time before each exchange and refresh (default: zero).
    pub fn token_delay(mut self, delay: Duration) -> Self {
        self.options.token_delay = delay;
        self
    }

    /// Sets the number of people that `GET /v1/users` lists (default: 3).
    pub fn users(mut self, count: usize) -> Self {
        self.options.users = count;
        self
    }

    /// Starts the server on a free port of 127.0.0.1, on the current Tokio runtime.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(self) -> io::Result<MockNotion> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(base_url, self.options));
        let server = server::spawn(listener, Arc::clone(&shared));
        Ok(MockNotion::new(shared, Some(server)))
    }

    /// Creates a server without a socket. It is reached only through [`MockNotion::service`].
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
