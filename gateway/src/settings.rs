//! The gateway's settings, from the environment.

use std::{error::Error as _, path::PathBuf, sync::Arc};

use notion_auth::{BoxError, HttpsConfig, NotionAppCredentials};
use url::{Host, Url};

pub(crate) use crate::variables::text;
use crate::{
    database::Database,
    keys::GatewayKeys,
    listen::Listen,
    operation::Operation,
    variables::{self, Source},
};

/// All settings of the server, checked.
pub(crate) struct Settings {
    pub(crate) listen: Listen,
    pub(crate) keys: Arc<GatewayKeys>,
    pub(crate) site: Site,
    pub(crate) connections: ConnectionSettings,
    pub(crate) operation: Operation,
}

/// What is needed to work with the stored connections: the settings of all commands.
pub(crate) struct ConnectionSettings {
    pub(crate) app: NotionAppCredentials,
    pub(crate) api_url: Url,
    pub(crate) https: HttpsConfig,
    pub(crate) database: Database,
    /// Keys of the records, if `NOTION_AUTH_KEYS` has them.
    pub(crate) auth_keys: Option<String>,
    /// Settings of the database's server that may have any value.
    pub(crate) accepted: Vec<String>,
}

/// How browsers reach the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Without a slash at the end of its path.
    url: Url,
    /// The path of the redirect URI.
    callback: String,
}

impl Settings {
    /// Reads the environment. An error names the variable.
    pub(crate) async fn from_env() -> Result<Self, BoxError> {
        variables::check_names()?;
        let keys = text("GATEWAY_KEYS")?;
        let file = text("GATEWAY_KEYS_FILE")?.map(PathBuf::from);
        if keys.is_none() && file.is_none() {
            return Err(
                "GATEWAY_KEYS is not set, nor is GATEWAY_KEYS_FILE: they have the keys of those who may call \
                 (--help shows all settings)"
                    .into(),
            );
        }
        let keys = GatewayKeys::read(keys.as_deref(), file.as_deref())?;
        let listen = Listen::from_env().await?;
        let site = Site::from_env(&listen)?;
        let connections = ConnectionSettings::read(Some(&site))?;
        Ok(Self {
            listen,
            keys: Arc::new(keys),
            site,
            connections,
            operation: Operation::from_env().await?,
        })
    }
}

impl ConnectionSettings {
    /// Reads the environment, for a command.
    pub(crate) fn from_env() -> Result<Self, BoxError> {
        variables::check_names()?;
        Self::read(None)
    }

    fn read(site: Option<&Site>) -> Result<Self, BoxError> {
        let api_url =
            text("NOTION_API_URL")?.unwrap_or_else(|| "https://api.notion.com".to_owned());
        let api_url = bare_origin(&api_url).map_err(named("NOTION_API_URL"))?;
        let app = app(site, &api_url)?;
        let https = https();
        for destination in [&api_url, app.token_url()] {
            let checked = https.check(&destination.as_str().parse()?);
            // Its cause names the variable.
            checked.map_err(|error| {
                error
                    .source()
                    .map_or(error.to_string(), ToString::to_string)
            })?;
        }
        let accepted = text("GATEWAY_ACCEPT_SETTINGS")?.unwrap_or_default();
        let accepted = accepted.split(',').map(|name| name.trim().to_owned());
        let accepted: Vec<String> = accepted.filter(|name| !name.is_empty()).collect();
        let database = Database::from_env()?;
        if matches!(database, Database::Postgres(_)) {
            variables::check_libpq()?;
        }
        if !accepted.is_empty() && matches!(database, Database::Sqlite(_)) {
            return Err("GATEWAY_ACCEPT_SETTINGS: SQLite has no such settings: remove it".into());
        }
        Ok(Self {
            app,
            api_url,
            https,
            database,
            accepted,
            auth_keys: text("NOTION_AUTH_KEYS")?,
        })
    }
}

/// Proxies are read as they are set if they can't be meant, so that one that no destination needs stops nothing.
fn https() -> HttpsConfig {
    HttpsConfig::from_vars(|name| match variables::found(name) {
        Ok(found) => found.map(|(text, _)| text.into()),
        Err(_) => std::env::var_os(name),
    })
}

/// The app's credentials by the crate's own variables, with what the gateway knows filled in.
fn app(site: Option<&Site>, api_url: &Url) -> Result<NotionAppCredentials, BoxError> {
    let under_api = |name: &str| {
        let path = match name {
            "NOTION_AUTHORIZATION_URL" => "/v1/oauth/authorize",
            "NOTION_TOKEN_URL" => "/v1/oauth/token",
            _ => return None,
        };
        Some(api_url.join(path).ok()?.to_string().into())
    };
    let mut builder = NotionAppCredentials::builder();
    if let Some(site) = site {
        builder = builder.redirect_uri(site.redirect_uri()?);
    }
    // Read before, because the builder's function can't fail.
    const NAMES: [&str; 10] = [
        "NOTION_ACCESS_TOKEN_URL",
        "NOTION_API_VERSION",
        "NOTION_AUTHORIZATION_URL",
        "NOTION_AUTHORIZE_URL",
        "NOTION_CLIENT_ID",
        "NOTION_CLIENT_SECRET",
        "NOTION_INTEGRATION_TOKEN",
        "NOTION_TOKEN",
        "NOTION_TOKEN_URL",
        "NOTION_VERSION",
    ];
    let mut values = Vec::new();
    for name in NAMES {
        values.push((name, text(name)?));
    }
    let value = |name: &str| {
        let (_, value) = values.iter().find(|(known, _)| *known == name)?;
        value.clone().map(Into::into)
    };
    let app = builder.vars(value)?.vars(under_api)?.build()?;
    match (app.client_id(), app.client_secret(), app.token()) {
        (Some(_), None, _) => Err("NOTION_CLIENT_SECRET is not set, but NOTION_CLIENT_ID is".into()),
        (None, Some(_), _) => Err("NOTION_CLIENT_ID is not set, but NOTION_CLIENT_SECRET is".into()),
        (Some(_), Some(_), Some(_)) => Err(
            "NOTION_TOKEN is set, and so is NOTION_CLIENT_ID: with the token, every key uses that integration; \
             with the client id, each subject uses the workspace that was connected for it. Remove one of the two"
                .into(),
        ),
        (None, None, None) => Err(
            "NOTION_CLIENT_ID and NOTION_CLIENT_SECRET are not set, nor is NOTION_TOKEN: the gateway \
             has no credentials to use"
                .into(),
        ),
        _ => Ok(app),
    }
}

impl Site {
    fn from_env(listen: &Listen) -> Result<Self, BoxError> {
        let url = text("GATEWAY_PUBLIC_URL")?.unwrap_or_else(|| listen.url());
        Self::new(&url, text("NOTION_REDIRECT_URI")?.as_deref())
    }

    pub(crate) fn new(url: &str, redirect_uri: Option<&str>) -> Result<Self, BoxError> {
        let mut url = public_url(url).map_err(named("GATEWAY_PUBLIC_URL"))?;
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&prefix);
        let mut site = Self {
            callback: format!("{prefix}/connect/callback"),
            url,
        };
        if let Some(uri) = redirect_uri {
            site.callback = site
                .callback_of(uri)
                .map_err(named("NOTION_REDIRECT_URI"))?;
        }
        Ok(site)
    }

    /// The path of a redirect URI that the operator chose.
    fn callback_of(&self, uri: &str) -> Result<String, BoxError> {
        let uri = Url::parse(uri).map_err(|error| format!("it is not a URL: {error}"))?;
        if uri.origin() != self.url.origin() {
            return Err(format!(
                "it must be under {}, the origin of GATEWAY_PUBLIC_URL, because browsers return there",
                self.origin()
            )
            .into());
        }
        if uri.query().is_some() || uri.fragment().is_some() {
            return Err("it must have no query and no fragment".into());
        }
        let inner = self.inner_path(uri.path());
        let is_own = ["/v1/", "/healthz", "/readyz", "/metrics"]
            .iter()
            .any(|it| inner.starts_with(it));
        let of_connect = inner.strip_prefix("/connect");
        let is_taken = of_connect.is_some_and(|rest| {
            [
                "",
                "/",
                "/sign-in",
                "/sign-out",
                "/replace",
                "/link",
                "/links",
                "/authorize",
                "/status",
                "/disconnect",
            ]
            .contains(&rest)
        });
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~/".contains(&it);
        if is_own
            || is_taken
            || inner == "/"
            || !inner.bytes().all(is_plain)
            || inner.contains("//")
        {
            return Err(
                "its path must be a plain one that the gateway doesn't use otherwise".into(),
            );
        }
        Ok(uri.path().to_owned())
    }

    pub(crate) fn redirect_uri(&self) -> Result<String, BoxError> {
        Ok(self.url.join(&self.callback)?.to_string())
    }

    /// The path of the redirect URI, as browsers see it.
    pub(crate) fn callback(&self) -> &str {
        &self.callback
    }

    /// The path before the gateway's own paths, such as `/notion`; empty if the gateway is at the root.
    pub(crate) fn prefix(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// A path of the gateway as browsers see it.
    pub(crate) fn path(&self, inner: &str) -> String {
        format!("{}{inner}", self.prefix())
    }

    /// A path without the prefix, as the gateway's routes have it.
    pub(crate) fn inner_path<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.prefix())
            .filter(|inner| inner.starts_with('/'))
            .unwrap_or(path)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(crate) fn is_origin(&self, text: &str) -> bool {
        Url::parse(text).is_ok_and(|origin| origin.origin() == self.url.origin())
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address of a page, for people.
    pub(crate) fn address(&self, inner: &str) -> String {
        format!("{}{}", self.origin(), self.path(inner))
    }
}

fn public_url(text: &str) -> Result<Url, BoxError> {
    let url = Url::parse(text).map_err(|error| format!("it is not a URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(
                "by http, only a browser on this machine can sign in. For others, put a server that has TLS in \
                 front and write its https:// URL; or leave this out, and open /connect on this machine (`ssh -L \
                 8080:127.0.0.1:8080` does that from another one). Calls of /v1 need no public URL"
                    .into(),
            );
        }
        _ => return Err("it must begin with https://, or http:// on this machine".into()),
    }
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~/".contains(&it);
    let is_plain = url.path().bytes().all(is_plain) && !url.path().contains("//");
    if !is_plain || has_more_than_a_path(&url) {
        return Err(
            "it must be scheme, host, port, and a plain path if a server in front has one".into(),
        );
    }
    Ok(url)
}

/// An origin that a token may go to: https, or http on this machine.
fn bare_origin(text: &str) -> Result<Url, BoxError> {
    let url = Url::parse(text).map_err(|error| format!("it is not a URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err("it must be https, or http on this machine".into()),
    }
    if url.path() != "/" || has_more_than_a_path(&url) {
        return Err("it must be scheme, host and port alone".into());
    }
    Ok(url)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn has_more_than_a_path(url: &Url) -> bool {
    url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
}

fn named<E: Into<BoxError>>(name: &'static str) -> impl Fn(E) -> BoxError {
    move |error| format!("{name}: {}", error.into()).into()
}

/// Where a setting is, for people.
pub(crate) fn origin_of(name: &str) -> String {
    // The first of them that is set counts.
    let names: &[&str] = match name {
        "GATEWAY_KEYS" => &["GATEWAY_KEYS", "GATEWAY_KEYS_FILE"],
        "GATEWAY_LISTEN" => &["GATEWAY_LISTEN", "PORT"],
        "NOTION_TOKEN" => &["NOTION_TOKEN", "NOTION_INTEGRATION_TOKEN"],
        _ => &[name],
    };
    let mut origins = Vec::new();
    for name in names {
        origins.extend(match variables::found(name) {
            Ok(Some((_, Source::File(path)))) => Some(path.display().to_string()),
            Ok(None) => None,
            // `GATEWAY_LISTEN` may name PORT.
            Ok(Some((_, Source::Variable))) | Err(_) => Some((*name).to_owned()),
        });
    }
    match origins.is_empty() {
        true => "default".to_owned(),
        false => origins.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_may_have_a_path_and_the_redirect_uri_another_one() {
        for (url, redirect_uri, connect, callback) in [
            ("https://a.example", None, "/connect", "/connect/callback"),
            ("https://a.example/", None, "/connect", "/connect/callback"),
            (
                "https://a.example/n/",
                None,
                "/n/connect",
                "/n/connect/callback",
            ),
            (
                "https://a.example/n",
                Some("https://a.example/cb"),
                "/n/connect",
                "/cb",
            ),
            (
                "http://127.0.0.1:8080",
                Some("http://127.0.0.1:8080/n/cb"),
                "/connect",
                "/n/cb",
            ),
        ] {
            let site = Site::new(url, redirect_uri).expect(url);
            assert_eq!(site.path("/connect"), connect, "{url}");
            assert_eq!(site.callback(), callback, "{url}");
            assert!(site.redirect_uri().expect("a URL").ends_with(callback));
        }
        for (url, redirect_uri, words) in [
            (
                "http://192.168.1.5:8080",
                None,
                "GATEWAY_PUBLIC_URL: by http, only a browser on this",
            ),
            ("ftp://a.example", None, "must begin with https://"),
            ("https://a.example/?a=b", None, "a plain path"),
            ("https://u:p@a.example/", None, "a plain path"),
            ("https://a.example//n", None, "a plain path"),
            ("a.example", None, "not a URL"),
            (
                "https://a.example",
                Some("https://b.example/cb"),
                "under https://a.example",
            ),
            (
                "https://a.example",
                Some("https://a.example/v1/cb"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example/n",
                Some("https://a.example/n/metrics"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example",
                Some("https://a.example/connect/status"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example",
                Some("https://a.example/"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example",
                Some("https://a.example/cb?x=1"),
                "no query",
            ),
        ] {
            let error = Site::new(url, redirect_uri).expect_err(url).to_string();
            assert!(error.contains(words), "{url} {redirect_uri:?}: {error}");
        }
    }
}
