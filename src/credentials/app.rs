use std::fmt;

use url::Url;

use super::{AccessToken, AppCredentialsError, ClientSecret, NotionAppCredentialsBuilder};

/// Credentials and endpoints of the application: an OAuth client, the token of an internal integration, or
/// both.
///
/// | field | environment variable (the first one that is set) | default |
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
/// A value that is set in the builder takes precedence over the environment, and the environment over the
/// default. An empty variable counts as unset. The URLs must be https, or http on this machine
/// (`localhost`, 127.0.0.0/8, `[::1]`), because the client secret is sent to them.
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
/// From a configuration file, in which unknown keys are an error:
///
/// ```
/// use notion_auth::NotionAppCredentials;
///
/// let app: NotionAppCredentials = serde_json::from_str(r#"{
///     "client_id": "1f2e",
///     "client_secret": "secret_3d4c",
///     "redirect_uri": "https://app.example/notion/callback"
/// }"#)?;
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
    /// The `Notion-Version` that is sent by default.
    ///
    /// It is the newest version at the time of this crate's last breaking release. It changes only with the
    /// next one, so that other upgrades do not change the responses that your code parses.
    pub const DEFAULT_VERSION: &'static str = "2026-03-11";

    pub(super) const AUTHORIZATION_URL: &'static str = "https://api.notion.com/v1/oauth/authorize";
    pub(super) const TOKEN_URL: &'static str = "https://api.notion.com/v1/oauth/token";

    /// Reads the credentials from the environment, with the defaults.
    ///
    /// # Errors
    /// If the value of a variable is not valid for its field. The error names the variable.
    pub fn from_env() -> Result<Self, AppCredentialsError> {
        Self::builder().env()?.build()
    }

    /// Returns a builder with no field set.
    pub fn builder() -> NotionAppCredentialsBuilder {
        NotionAppCredentialsBuilder::default()
    }

    /// Returns the URL to which a user's browser is sent to connect a workspace.
    #[must_use]
    pub fn authorization_url(&self) -> &Url {
        &self.authorization_url
    }

    /// Returns the URL at which codes and refresh tokens are exchanged.
    #[must_use]
    pub fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// Returns the OAuth client's ID.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Returns the OAuth client's secret.
    #[must_use]
    pub fn client_secret(&self) -> Option<&ClientSecret> {
        self.client_secret.as_ref()
    }

    /// Returns the URL to which Notion redirects the browser, exactly as registered with Notion.
    #[must_use]
    pub fn redirect_uri(&self) -> Option<&str> {
        self.redirect_uri.as_deref()
    }

    /// Returns the token of an internal integration.
    #[must_use]
    pub fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// Returns the scopes to request, sent separated by spaces. Empty by default, as in Notion's
    /// documentation.
    #[must_use]
    pub fn default_scope(&self) -> &[String] {
        &self.default_scope
    }

    /// Returns the `Notion-Version` to send, as `YYYY-MM-DD`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns whether the application has a client ID or a client secret, so that users can connect
    /// workspaces.
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
