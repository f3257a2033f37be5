//! `notion-auth-gateway check-config`: the effective settings without secrets, and whether store, keys and Notion work.

use std::{path::Path, time::Duration};

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use notion_auth::{
    AccessToken, BoxError, NotionAuthProvider,
    store::{ListQuery, RecordState},
};
use tower::ServiceExt as _;

use crate::{
    commands,
    database::Database,
    settings::{ConnectionSettings, Settings, origin_of, text},
    vault,
};

/// What was found out about a part.
type Tried = Result<String, BoxError>;

/// Prints the settings, then tries each part. All parts are tried, also when one fails.
pub(crate) async fn check() -> Result<(), BoxError> {
    let settings = Settings::from_env().await?;
    print(&settings)?;
    let mut failures = 0;
    let connections = &settings.connections;
    let (store, keys) = store_and_keys(connections).await;
    for (part, outcome) in [
        ("store", store),
        ("encryption keys", keys),
        ("Notion", notion(connections).await),
    ] {
        match outcome {
            Ok(what) => println!("{part:<32} {what}"),
            Err(error) => {
                failures += 1;
                println!("{part:<32} FAILED: {error}");
            }
        }
    }
    match failures {
        0 => Ok(()),
        _ => Err("the gateway can't be used with these settings".into()),
    }
}

fn print(settings: &Settings) -> Result<(), BoxError> {
    let Settings {
        listen,
        keys,
        site,
        connections,
        operation,
    } = settings;
    let app = &connections.app;
    let mut rows = vec![
        ("GATEWAY_LISTEN", listen.addresses()),
        ("GATEWAY_PUBLIC_URL", site.address("")),
        ("NOTION_REDIRECT_URI", site.redirect_uri()?),
        (
            "GATEWAY_KEYS",
            match keys.count() {
                1 => "1 key".to_owned(),
                count => format!("{count} keys"),
            },
        ),
        ("NOTION_API_URL", connections.api_url.to_string()),
        ("DATABASE_URL", connections.database.shown()),
    ];
    for name in [
        "NOTION_CLIENT_ID",
        "NOTION_CLIENT_SECRET",
        "NOTION_TOKEN",
        "NOTION_AUTH_KEYS",
    ] {
        let value = match name {
            "NOTION_CLIENT_ID" => app.client_id().map(str::to_owned),
            "NOTION_CLIENT_SECRET" => app.client_secret().map(|_| "set".to_owned()),
            "NOTION_TOKEN" => app.token().map(|_| "set".to_owned()),
            _ => connections.auth_keys.as_ref().map(|_| "set".to_owned()),
        };
        if let Some(value) = value {
            rows.push((name, value));
        }
    }
    if !connections.accepted.is_empty() {
        rows.push(("GATEWAY_ACCEPT_SETTINGS", connections.accepted.join(",")));
    }
    let limit = operation.max_requests;
    rows.push(("GATEWAY_MAX_REQUESTS", limit.to_string()));
    let limit = operation.max_requests_per_subject;
    rows.push(("GATEWAY_MAX_REQUESTS_PER_SUBJECT", limit.to_string()));
    if let Some(listen) = &operation.metrics_listen {
        rows.push(("GATEWAY_METRICS_LISTEN", listen.addresses()));
    }
    let log = text("GATEWAY_LOG")?.unwrap_or_else(|| "text".to_owned());
    rows.push(("GATEWAY_LOG", log));
    let access_log = match operation.is_access_logged {
        true => "on",
        false => "off",
    };
    rows.push(("GATEWAY_ACCESS_LOG", access_log.to_owned()));
    for (name, value) in rows {
        println!("{name:<32} {value}  ({})", origin_of(name));
    }
    if !keys.can_connect() && app.has_oauth_client() {
        println!(
            "warning: no key may connect: add KEY=SUBJECT:connect, or a line by `key new --connect`"
        );
    }
    Ok(())
}

/// Records that are read, to try the keys.
const TRIED: usize = 20;

/// Whether the store is good, and whether the keys decrypt what is in it.
async fn store_and_keys(settings: &ConnectionSettings) -> (Tried, Tried) {
    let not_tried = || Ok("not tried".to_owned());
    match &settings.database {
        // The first start makes it, with its keys.
        Database::Sqlite(path) if !path.exists() => {
            let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
            match directory.is_none_or(Path::is_dir) {
                true => (Ok("is made at the first start".to_owned()), not_tried()),
                false => (
                    Err("DATABASE_URL: its directory does not exist".into()),
                    not_tried(),
                ),
            }
        }
        _ => match vault::open_existing(settings).await {
            Ok(provider) => (Ok("good".to_owned()), keys(&provider).await),
            Err(error) => (Err(error), not_tried()),
        },
    }
}

async fn keys(provider: &NotionAuthProvider) -> Tried {
    let query = ListQuery::default().limit(TRIED);
    let listed = provider
        .list(&query)
        .await
        .map_err(|error| commands::failed(&error))?;
    let (mut readable, mut unreadable) = (0, 0);
    for it in &listed {
        let status = provider
            .status(&it.subject)
            .await
            .map_err(|error| commands::failed(&error))?;
        match status {
            Some(status) if status.state == RecordState::Unreadable => unreadable += 1,
            _ => readable += 1,
        }
    }
    match unreadable {
        0 => Ok(format!("decrypt all of {readable} records that were tried")),
        _ => Err(format!(
            "NOTION_AUTH_KEYS: {unreadable} of {} records can't be read: add the key that encrypted them",
            listed.len()
        )
        .into()),
    }
}

/// With an OAuth client, an introspection of a token that does not exist: Notion checks the client first. With a
/// token, the name of its bot.
async fn notion(settings: &ConnectionSettings) -> Tried {
    let builder = NotionAuthProvider::builder()
        .app(settings.app.clone())
        .api_url(settings.api_url.as_str().trim_end_matches('/'))
        .https(settings.https.clone());
    let provider = builder.build()?;
    if settings.app.has_oauth_client() {
        let probe = AccessToken::new("gateway-check-config");
        return match provider.oauth().introspect(&probe).await {
            Ok(_) => Ok("accepts NOTION_CLIENT_ID and NOTION_CLIENT_SECRET".to_owned()),
            Err(error) => Err(commands::chain(&error).into()),
        };
    }
    let token = settings.app.token().map_or("", AccessToken::expose);
    let request = Request::get(provider.url("/v1/users/me").as_str())
        .header("authorization", format!("Bearer {token}"))
        .header("notion-version", settings.app.version())
        .body(Full::<Bytes>::default())?;
    let client = settings.https.client::<Full<Bytes>>();
    let limit = Duration::from_secs(15);
    let answer = tokio::time::timeout(limit, client.oneshot(request)).await;
    let answer = answer.map_err(|_| "Notion does not answer within 15 s")??;
    match answer.status() {
        status if status.is_success() => Ok("accepts NOTION_TOKEN".to_owned()),
        status => Err(format!("NOTION_TOKEN: Notion answers {status}").into()),
    }
}
