use std::{ffi::OsString, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::{
    AccessToken, AppCredentialsError, ClientSecret, NotionAppCredentials, check,
    env::{self, Found, Variables},
    json::scope_list,
};

/// Builder of [`NotionAppCredentials`]. Values are checked by [`build`](Self::build).
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

/// A value, and the environment variable that it was read from, if any.
type Setting = Option<(Zeroizing<String>, Option<&'static str>)>;

fn given(text: impl Into<String>) -> Setting {
    Some((Zeroizing::new(text.into()), None))
}

impl NotionAppCredentialsBuilder {
    /// Sets the URL to which a user's browser is sent to connect a workspace.
    pub fn authorization_url(mut self, url: impl Into<String>) -> Self {
        self.authorization_url = given(url);
        self
    }

    /// Sets the URL at which codes and refresh tokens are exchanged.
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = given(url);
        self
    }

    /// Sets the OAuth client's ID.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = given(id);
        self
    }

    /// Sets the OAuth client's secret.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = given(secret);
        self
    }

    /// Sets the URL to which Notion redirects the browser, exactly as registered with Notion.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = given(uri);
        self
    }

    /// Sets the token of an internal integration.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = given(token);
        self
    }

    /// Sets the scopes to request.
    pub fn default_scope<T: Into<String>>(mut self, scope: impl IntoIterator<Item = T>) -> Self {
        self.default_scope = scope.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the `Notion-Version` to send, as `YYYY-MM-DD`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = given(version);
        self
    }

    /// Sets the fields that are not set yet from the process's environment.
    ///
    /// # Errors
    /// If a variable that is needed is not UTF-8, or has quotes around its value.
    pub fn env(self) -> Result<Self, AppCredentialsError> {
        self.vars(|name| std::env::var_os(name))
    }

    /// Sets the fields that are not set yet from variables that `get` returns by name.
    ///
    /// # Errors
    /// If a variable that is needed is not UTF-8, or has quotes around its value.
    pub fn vars(
        mut self,
        get: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, AppCredentialsError> {
        let fill = |setting: &mut Setting, variables: Variables| {
            if setting.is_none() {
                let found: Found = variables.look_up(&get)?;
                *setting = found.map(|(text, name)| (Zeroizing::new(text), Some(name)));
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

    /// Checks every field and builds the credentials.
    ///
    /// A client ID without a secret, or a secret without an ID, is accepted here. OAuth calls then fail
    /// before anything is sent.
    ///
    /// # Errors
    /// If a value is not valid for its field. The error names the field, and the environment variable that
    /// the value was read from.
    pub fn build(self) -> Result<NotionAppCredentials, AppCredentialsError> {
        let default_scope = self.default_scope;
        if default_scope
            .iter()
            .any(|scope| !check::is_scope_token(scope))
        {
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
            client_id: checked(&self.client_id, "client_id", check::client_id)?,
            client_secret: checked(&self.client_secret, "client_secret", check::client_secret)?
                .map(ClientSecret::new),
            redirect_uri: checked(&self.redirect_uri, "redirect_uri", check::redirect_uri)?,
            token: checked(&self.token, "token", check::token)?.map(AccessToken::new),
            default_scope,
            version: checked(&self.version, "version", check::version)?
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
        .filter(check::is_fit_for_secrets)
        .ok_or_else(|| {
            AppCredentialsError::new(
                field,
                variable,
                "expected an absolute https URL (or http on this machine: localhost, 127.0.0.1, \
                 [::1]) without user name, password or fragment",
            )
        })
}

impl<'de> Deserialize<'de> for NotionAppCredentials {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NotionAppCredentialsBuilder::deserialize(deserializer)?
            .build()
            .map_err(de::Error::custom)
    }
}

/// Deserializes a configuration file that the environment can complete:
/// `toml::from_str::<NotionAppCredentialsBuilder>(text)?.env()?.build()?`.
impl<'de> Deserialize<'de> for NotionAppCredentialsBuilder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived, because a derived error shows a value of the wrong type.
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
