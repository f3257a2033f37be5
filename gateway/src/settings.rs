//! What the environment says.

use std::{env, error::Error as _, net::SocketAddr};

use notion_auth::{BoxError, HttpsConfig, NotionAppCredentials};
use tokio::net::lookup_host;
use url::{Host, Url};

use crate::{keys::GatewayKeys, operation::Operation};

/// All settings, checked.
pub(crate) struct Settings {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) keys: GatewayKeys,
    pub(crate) public_url: Url,
    pub(crate) api_url: Url,
    pub(crate) database: String,
    pub(crate) app: NotionAppCredentials,
    pub(crate) https: HttpsConfig,
    pub(crate) operation: Operation,
}

impl Settings {
    /// Reads the environment. An error names the variable.
    pub(crate) async fn from_env() -> Result<Self, BoxError> {
        let keys = text("GATEWAY_KEYS")?.ok_or(
            "GATEWAY_KEYS is not set: KEY=SUBJECT,… says who may call, and whose credentials the calls \
             have (--help shows all settings)",
        )?;
        let keys = GatewayKeys::parse(&keys).map_err(named("GATEWAY_KEYS"))?;
        let listen = text("GATEWAY_LISTEN")?.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let listen: Vec<SocketAddr> = lookup_host(&listen)
            .await
            .map_err(|error| format!("GATEWAY_LISTEN: {listen}: {error}"))?
            .collect();
        let first = *listen.first().ok_or("GATEWAY_LISTEN: it has no address")?;
        let default_public_url = if listen.len() == 1 && first.ip().is_loopback() {
            format!("http://{first}")
        } else {
            format!("http://localhost:{}", first.port())
        };
        if first.port() == 0 {
            return Err(
                "GATEWAY_LISTEN: it needs a port that stays, for users come back to it".into(),
            );
        }
        let public_url = text("GATEWAY_PUBLIC_URL")?.unwrap_or(default_public_url);
        let public_url = origin(&public_url).map_err(named("GATEWAY_PUBLIC_URL"))?;
        let api_url =
            text("NOTION_API_URL")?.unwrap_or_else(|| "https://api.notion.com".to_owned());
        let api_url = origin(&api_url).map_err(named("NOTION_API_URL"))?;
        let app = app(&public_url, &api_url)?;
        let https = HttpsConfig::from_env();
        for destination in [&api_url, app.token_url()] {
            let checked = https.check(&destination.as_str().parse()?);
            // Its cause names the variable.
            checked.map_err(|error| {
                error
                    .source()
                    .map_or(error.to_string(), ToString::to_string)
            })?;
        }
        Ok(Self {
            listen,
            keys,
            app,
            public_url,
            https,
            operation: Operation::from_env().await?,
            api_url,
            database: text("DATABASE_URL")?.unwrap_or_else(|| "sqlite:gateway.db".to_owned()),
        })
    }
}

/// The app's credentials by the crate's own variables, with what the gateway knows filled in.
fn app(public_url: &Url, api_url: &Url) -> Result<NotionAppCredentials, BoxError> {
    let redirect_uri = public_url.join("/connect/callback")?;
    if let Some(other) = text("NOTION_REDIRECT_URI")?
        && other != redirect_uri.as_str()
    {
        return Err(format!(
            "NOTION_REDIRECT_URI: the gateway's is {redirect_uri}: leave it out, and set \
                 GATEWAY_PUBLIC_URL"
        )
        .into());
    }
    let under_api = |name: &str| {
        let path = match name {
            "NOTION_AUTHORIZATION_URL" => "/v1/oauth/authorize",
            "NOTION_TOKEN_URL" => "/v1/oauth/token",
            _ => return None,
        };
        Some(api_url.join(path).ok()?.to_string().into())
    };
    let app = NotionAppCredentials::builder()
        .redirect_uri(redirect_uri)
        .env()?
        .vars(under_api)?
        .build()?;
    match (app.client_id(), app.client_secret(), app.token()) {
        (Some(_), None, _) => Err("NOTION_CLIENT_SECRET is not set, but NOTION_CLIENT_ID is".into()),
        (None, Some(_), _) => Err("NOTION_CLIENT_ID is not set, but NOTION_CLIENT_SECRET is".into()),
        (Some(_), Some(_), Some(_)) => Err(
            "NOTION_TOKEN is set, and so is NOTION_CLIENT_ID: either every key has that token, or each \
             has the workspace that was connected with it"
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

/// An origin that a token may go to or a browser come from: https, or http on this machine.
fn origin(text: &str) -> Result<Url, BoxError> {
    let url = Url::parse(text).map_err(|error| format!("it is not a URL: {error}"))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return Err("it must be https, or http on this machine".into()),
    }
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err("it must be scheme, host and port alone".into());
    }
    Ok(url)
}

/// A variable that is set and not empty.
pub(crate) fn text(name: &str) -> Result<Option<String>, BoxError> {
    match env::var(name) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8").into()),
    }
}

fn named<E: Into<BoxError>>(name: &'static str) -> impl Fn(E) -> BoxError {
    move |error| format!("{name}: {}", error.into()).into()
}
