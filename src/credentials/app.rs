use std::{ffi::OsString, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use url::Url;

use super::{
    AccessToken, AppCredentialsError, ClientSecret,
    env::{self, Found, Variables},
    is_https_or_loopback,
    json::scope_list,
};

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
    authorization_url: Url,
    token_url: Url,
    client_id: Option<String>,
    client_secret: Option<ClientSecret>,
    redirect_uri: Option<String>,
    token: Option<AccessToken>,
    default_scope: Vec<String>,
    version: String,
}

impl NotionAppCredentials {
    /// The `Notion-Version` that is sent unless told otherwise.
    ///
    /// It is the newest one known when this crate made its last breaking release, and stays until
    /// the next: an upgrade never changes what a caller's parser sees.
    pub const DEFAULT_VERSION: &'static str = "2026-03-11";

    const AUTHORIZATION_URL: &'static str = "https://api.notion.com/v1/oauth/authorize";
    const TOKEN_URL: &'static str = "https://api.notion.com/v1/oauth/token";

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

/// Builds [`NotionAppCredentials`]. Nothing is checked before [`build`](Self::build).
#[derive(Default, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct NotionAppCredentialsBuilder {
    authorization_url: Setting,
    token_url: Setting,
    client_id: Setting,
    client_secret: Setting,
    redirect_uri: Setting,
    token: Setting,
    default_scope: Vec<String>,
    version: Setting,
}

/// A value, and the environment variable that it came from if it was not given in code.
type Setting = Option<(zeroize::Zeroizing<String>, Option<&'static str>)>;

fn given(text: impl Into<String>) -> Setting {
    Some((zeroize::Zeroizing::new(text.into()), None))
}

impl NotionAppCredentialsBuilder {
    /// Where a user's browser is sent to connect a workspace.
    pub fn authorization_url(mut self, url: impl Into<String>) -> Self {
        self.authorization_url = given(url);
        self
    }

    /// Where codes and refresh tokens are exchanged.
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = given(url);
        self
    }

    /// The OAuth client's id.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = given(id);
        self
    }

    /// The OAuth client's secret.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = given(secret);
        self
    }

    /// Where Notion sends the browser back to: the exact text, as registered with Notion.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = given(uri);
        self
    }

    /// The token of an internal integration.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = given(token);
        self
    }

    /// The scope to ask for.
    pub fn default_scope<T: Into<String>>(mut self, scope: impl IntoIterator<Item = T>) -> Self {
        self.default_scope = scope.into_iter().map(Into::into).collect();
        self
    }

    /// The `Notion-Version` to send, `YYYY-MM-DD`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = given(version);
        self
    }

    /// Fills what is not set from the process's environment.
    ///
    /// # Errors
    /// When a variable that is needed is not UTF-8.
    pub fn env(self) -> Result<Self, AppCredentialsError> {
        self.vars(|name| std::env::var_os(name))
    }

    /// Fills what is not set from an environment of one's own, asked for variables by name.
    ///
    /// # Errors
    /// When a variable that is needed is not UTF-8.
    pub fn vars(
        mut self,
        get: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, AppCredentialsError> {
        let fill = |setting: &mut Setting, variables: Variables| {
            if setting.is_none() {
                let found: Found = variables.look_up(&get)?;
                *setting = found.map(|(text, name)| (zeroize::Zeroizing::new(text), Some(name)));
            }
            Ok(())
        };
        fill(&mut self.authorization_url, env::AUTHORIZATION_URL)?;
        fill(&mut self.token_url, env::TOKEN_URL)?;
        fill(&mut self.client_id, env::CLIENT_ID)?;
        fill(&mut self.client_secret, env::CLIENT_SECRET)?;
        fill(&mut self.redirect_uri, env::REDIRECT_URI)?;
        fill(&mut self.token, env::TOKEN)?;
        fill(&mut self.version, env::VERSION)?;
        Ok(self)
    }

    /// Checks every field.
    ///
    /// A client id without a secret, or the other way round, is let through here; the OAuth calls
    /// answer it with an error of their own, before anything is sent.
    ///
    /// # Errors
    /// When a value is not what its field needs; the error names the field, and the variable it
    /// came from.
    pub fn build(self) -> Result<NotionAppCredentials, AppCredentialsError> {
        let default_scope = self.default_scope;
        if default_scope.iter().any(|scope| !is_scope_token(scope)) {
            return Err(AppCredentialsError::new(
                "default_scope",
                None,
                "expected words without spaces, quotes or control characters",
            ));
        }
        let url = |setting: &Setting, field, default| match setting {
            None => parse_url(default, field, None),
            Some((text, variable)) => parse_url(text, field, *variable),
        };
        Ok(NotionAppCredentials {
            authorization_url: url(
                &self.authorization_url,
                "authorization_url",
                NotionAppCredentials::AUTHORIZATION_URL,
            )?,
            token_url: url(
                &self.token_url,
                "token_url",
                NotionAppCredentials::TOKEN_URL,
            )?,
            client_id: checked(&self.client_id, "client_id", check_client_id)?,
            client_secret: checked(&self.client_secret, "client_secret", check_client_secret)?
                .map(ClientSecret::new),
            redirect_uri: checked(&self.redirect_uri, "redirect_uri", check_redirect_uri)?,
            token: checked(&self.token, "token", check_token)?.map(AccessToken::new),
            default_scope,
            version: checked(&self.version, "version", check_version)?
                .unwrap_or_else(|| NotionAppCredentials::DEFAULT_VERSION.to_owned()),
        })
    }
}

impl fmt::Debug for NotionAppCredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotionAppCredentialsBuilder")
            .finish_non_exhaustive()
    }
}

fn checked(
    setting: &Setting,
    field: &'static str,
    check: fn(&str) -> Result<(), &'static str>,
) -> Result<Option<String>, AppCredentialsError> {
    match setting {
        None => Ok(None),
        Some((text, variable)) => match check(text) {
            Ok(()) => Ok(Some(text.to_string())),
            Err(problem) => Err(AppCredentialsError::new(field, *variable, problem)),
        },
    }
}

fn parse_url(
    text: &str,
    field: &'static str,
    variable: Option<&'static str>,
) -> Result<Url, AppCredentialsError> {
    Url::parse(text)
        .ok()
        .filter(|url| is_https_or_loopback(url) && is_plain(url))
        .ok_or_else(|| {
            AppCredentialsError::new(
                field,
                variable,
                "expected an absolute https URL (or http on this machine: localhost, 127.0.0.1, \
                 [::1]) without user name, password or fragment",
            )
        })
}

fn is_plain(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

fn check_client_id(text: &str) -> Result<(), &'static str> {
    // HTTP Basic ends the user name at the first colon (RFC 7617 section 2).
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
    {
        Ok(())
    } else {
        Err("expected the OAuth client's id: visible ASCII characters without a colon")
    }
}

fn check_client_secret(text: &str) -> Result<(), &'static str> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("expected the OAuth client's secret: visible ASCII characters")
    }
}

fn check_redirect_uri(text: &str) -> Result<(), &'static str> {
    match Url::parse(text) {
        // The URL parser skips tabs and line breaks, wherever they are.
        Ok(url)
            if is_https_or_loopback(&url)
                && is_plain(&url)
                && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok(())
        }
        _ => Err(
            "expected the absolute https URL that is registered with Notion (or http on this \
             machine, for development), without fragment",
        ),
    }
}

fn check_token(text: &str) -> Result<(), &'static str> {
    AccessToken::new(text).check().map_err(
        |_| "expected the integration's token alone, such as ntn_…, without spaces or quotes",
    )
}

fn check_version(text: &str) -> Result<(), &'static str> {
    let form = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if form {
        Ok(())
    } else {
        Err("expected a date as YYYY-MM-DD, such as 2026-03-11")
    }
}

/// RFC 6749 section 3.3.
fn is_scope_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

impl<'de> Deserialize<'de> for NotionAppCredentials {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NotionAppCredentialsBuilder::deserialize(deserializer)?
            .build()
            .map_err(de::Error::custom)
    }
}

/// For a configuration file that the environment completes:
/// `toml::from_str::<NotionAppCredentialsBuilder>(text)?.env()?.build()?`.
impl<'de> Deserialize<'de> for NotionAppCredentialsBuilder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, since a derived error for a value of the wrong type would show the value.
        let Value::Object(members) = Value::deserialize(deserializer)? else {
            return Err(de::Error::custom("app credentials: expected a table"));
        };
        let mut builder = Self::default();
        for (name, value) in members {
            let setting = match name.as_str() {
                "authorization_url" => &mut builder.authorization_url,
                "token_url" => &mut builder.token_url,
                "client_id" => &mut builder.client_id,
                "client_secret" => &mut builder.client_secret,
                "redirect_uri" => &mut builder.redirect_uri,
                "token" => &mut builder.token,
                "version" => &mut builder.version,
                "default_scope" => {
                    builder.default_scope = match value {
                        Value::Null => Vec::new(),
                        other => scope_list(&other).ok_or_else(|| {
                            de::Error::custom("default_scope: expected a list of strings")
                        })?,
                    };
                    continue;
                }
                unknown => return Err(de::Error::unknown_field(unknown, FIELDS)),
            };
            *setting = match value {
                Value::Null => None,
                Value::String(text) => given(text),
                _ => {
                    return Err(de::Error::custom(format_args!("{name}: expected a string")));
                }
            };
        }
        Ok(builder)
    }
}

const FIELDS: &[&str] = &[
    "authorization_url",
    "token_url",
    "client_id",
    "client_secret",
    "redirect_uri",
    "token",
    "default_scope",
    "version",
];
