use std::fmt;

use url::Url;

use super::{AccessToken, AppCredentialsError, ClientSecret, NotionAppCredentialsBuilder};

/// What Notion gave to the developer: the OAuth client, or the token of an internal integration, or
/// both, and where to use them.
///
/// | field | environment, the first one set wins | default |
/// |---|---|---|
/// | `authorization_url` | `NOTION_AUTHORIZATION_URL`, `NOTION_AUTHORIZE_URL` | `https://api.notion.com/v1/oauth/authorize` |
/// | `token_url` | `NOTION_TOKEN_URL`, `NOTION_ACCESS_TOKEN_URL` | `https://api.notion.com/v1/oauth/token` |
/// | `client_id` | `NOTION_CLIENT_ID` | none |
/// | `client_secret` | `NOTION_CLIENT_SECRET` | none |
/// | `redirect_uri` | `NOTION_REDIRECT_URI` | none |
/// | `token` | `NOTION_TOKEN`, `NOTION_INTEGRATION_TOKEN` | none |
/// | `default_scope` | | none |
/// | `version` | `NOTION_VERSION`, `NOTION_API_VERSION` | [`DEFAULT_VERSION`](Self::DEFAULT_VERSION) |
///
/// A value given to the builder wins over the environment, the environment over the default; an
/// empty variable counts as not set. The URLs must be https, or http on this machine (`localhost`,
/// 127.0.0.0/8, `[::1]`): the client secret goes there.
///
/// ```
/// use notion_auth::NotionAppCredentials;
///
/// let app = NotionAppCredentials::builder()
///     .client_id("1f2e")
///     .client_secret("secret_3d4c")
///     .redirect_uri("https://app.example/notion/callback")
///     .build()?;
/// assert_eq!(app.version(), "2026-03-11");
/// # Ok::<(), notion_auth::AppCredentialsError>(())
/// ```
///
/// From a configuration file, where an unknown key is refused:
///
/// ```
/// use notion_auth::NotionAppCredentials;
///
/// let app: NotionAppCredentials = toml::from_str(r#"
///     client_id = "1f2e"
///     client_secret = "secret_3d4c"
///     redirect_uri = "https://app.example/notion/callback"
/// "#)?;
///
/// let script: NotionAppCredentials = serde_json::from_str(r#"{"token": "ntn_5b6a"}"#)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct NotionAppCredentials {
    pub(super) authorization_url: Url,
    pub(super) token_url: Url,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<ClientSecret>,
    pub(super) redirect_uri: Option<String>,
    pub(super) token: Option<AccessToken>,
    pub(super) default_scope: Vec<String>,
    pub(super) version: String,
}

impl NotionAppCredentials {
    /// The `Notion-Version` that is sent unless told otherwise.
    ///
    /// It is the newest one known when this crate made its last breaking release, and stays until
    /// the next: an upgrade never changes what a caller's parser sees.
    pub const DEFAULT_VERSION: &'static str = "2026-03-11";

    pub(super) const AUTHORIZATION_URL: &'static str = "https://api.notion.com/v1/oauth/authorize";
    pub(super) const TOKEN_URL: &'static str = "https://api.notion.com/v1/oauth/token";

    /// From the environment and the defaults.
    ///
    /// # Errors
    /// When a variable's value is not what its field needs; the error names the variable.
    pub fn from_env() -> Result<Self, AppCredentialsError> {
        Self::builder().env()?.build()
    }

    /// A builder with nothing set.
    pub fn builder() -> NotionAppCredentialsBuilder {
        NotionAppCredentialsBuilder::default()
    }

    /// Where a user's browser is sent to connect a workspace.
    #[must_use]
    pub fn authorization_url(&self) -> &Url {
        &self.authorization_url
    }

    /// Where codes and refresh tokens are exchanged.
    #[must_use]
    pub fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// The OAuth client's id.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The OAuth client's secret.
    #[must_use]
    pub fn client_secret(&self) -> Option<&ClientSecret> {
        self.client_secret.as_ref()
    }

    /// Where Notion sends the browser back to: the exact text, as registered with Notion.
    #[must_use]
    pub fn redirect_uri(&self) -> Option<&str> {
        self.redirect_uri.as_deref()
    }

    /// The token of an internal integration.
    #[must_use]
    pub fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// The scope to ask for, sent joined by spaces; empty for none, as Notion documents.
    #[must_use]
    pub fn default_scope(&self) -> &[String] {
        &self.default_scope
    }

    /// The `Notion-Version` to send, `YYYY-MM-DD`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether this app connects users' workspaces: it has a client id or a client secret.
    #[must_use]
    pub fn has_oauth_client(&self) -> bool {
        self.client_id.is_some() || self.client_secret.is_some()
    }
}

impl fmt::Debug for NotionAppCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotionAppCredentials")
            .field("authorization_url", &self.authorization_url.as_str())
            .field("token_url", &self.token_url.as_str())
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("redirect_uri", &self.redirect_uri)
            .field("token", &self.token)
            .field("default_scope", &self.default_scope)
            .field("version", &self.version)
            .finish()
    }
}
