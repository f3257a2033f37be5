//! The gateway's settings, from the environment.

use std::{error::Error as _, path::PathBuf, sync::Arc};

use notion_auth::{BoxError, HttpsConfig, Keyring, NotionAppCredentials};
use url::Url;

pub(crate) use crate::variables::text;
use crate::{
    database::Database,
    keys::GatewayKeys,
    listen::Listen,
    operation::Operation,
    site::{Site, has_more_than_a_path, is_loopback, whole_url},
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

impl Settings {
    /// Reads the environment. An error names the variable.
    pub(crate) async fn from_env() -> Result<Self, BoxError> {
        variables::check_names()?;
        let keys = text("GATEWAY_KEYS")?;
        let file = text("GATEWAY_KEYS_FILE")?.map(PathBuf::from);
        if keys.is_none() && file.is_none() {
            return Err(
                "GATEWAY_KEYS and GATEWAY_KEYS_FILE are not set: set one of them to the callers' keys (--help shows all \
                 settings)"
                    .into(),
            );
        }
        let keys = GatewayKeys::read(keys.as_deref(), file.as_deref())?;
        let listen = Listen::from_env().await?;
        let site = Site::from_env(&listen)?;
        let connections = ConnectionSettings::read(Some(&site))?;
        let operation = Operation::from_env().await?;
        if operation
            .metrics_listen
            .as_ref()
            .is_some_and(|it| it.overlaps(&listen))
        {
            return Err(
                "GATEWAY_METRICS_LISTEN: it is the address of GATEWAY_LISTEN: write another port, or remove it"
                    .into(),
            );
        }
        Ok(Self {
            listen,
            keys: Arc::new(keys),
            site,
            connections,
            operation,
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
        let auth_keys = text("NOTION_AUTH_KEYS")?;
        if let Some(keys) = &auth_keys {
            Keyring::parse(keys).map_err(|error| format!("NOTION_AUTH_KEYS: {error}"))?;
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
            auth_keys,
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

/// An origin that a token may go to: https, or http on this machine.
fn bare_origin(text: &str) -> Result<Url, BoxError> {
    let url = whole_url(text)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err("it must be https, or http on this machine".into()),
    }
    if url.path() != "/" || has_more_than_a_path(&url) {
        return Err(
            "it must be scheme, host and port alone, such as https://api.notion.com".into(),
        );
    }
    Ok(url)
}

pub(crate) fn named<E: Into<BoxError>>(name: &'static str) -> impl Fn(E) -> BoxError {
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
