//! `notion-auth-gateway demo`: the gateway in front of a mock of Notion, to try it without an account.

use std::sync::Arc;

use axum::http::Uri;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use notion_auth::{BoxError, NotionAppCredentials, testing::MockNotion};

use crate::{
    database::Database,
    keys::GatewayKeys,
    listen::Listen,
    operation::Operation,
    server,
    settings::{ConnectionSettings, Settings},
    site::Site,
};

/// Serves until a signal ends it. Nothing is left on the disk.
pub(crate) async fn serve() -> Result<(), BoxError> {
    let listen = Listen::from_env().await?;
    let site = Site::new(&listen.url(), None)?;
    let notion = MockNotion::builder()
        .redirect_uri(site.redirect_uri()?)
        .start()
        .await?;
    let directory = tempfile::tempdir()?;
    let (calling, connecting, service_calling, service) = (key()?, key()?, key()?, key()?);
    let keys = GatewayKeys::read(
        Some(&format!(
            "{calling}=you,{connecting}=you:connect,{service_calling}=*,{service}=*:connect"
        )),
        None,
    )?;
    let app = NotionAppCredentials::builder()
        .client_id(notion.client_id())
        .client_secret(notion.client_secret())
        .authorization_url(notion.authorization_url())
        .token_url(notion.token_url())
        .redirect_uri(site.redirect_uri()?)
        .build()?;
    let api_url: Uri = notion.base_url().parse()?;
    let settings = Settings {
        listen,
        keys: Arc::new(keys),
        connections: ConnectionSettings {
            app,
            api_url: api_url.to_string().parse()?,
            https: notion_auth::HttpsConfig::from_vars(|_| None),
            database: Database::Sqlite(directory.path().join("demo.db")),
            auth_keys: None,
            accepted: Vec::new(),
        },
        site,
        operation: Operation::from_env().await?,
    };
    println!("A mock of Notion answers here; nothing leaves this machine.");
    println!("1. Connect a workspace: open the page below, and sign in with the key {connecting}");
    println!("2. Then call Notion with another key:");
    println!(
        "   curl -H 'Authorization: Bearer {calling}' -H 'Notion-Version: 2026-03-11' {}",
        settings.site.address("/v1/users/me")
    );
    println!("3. Or make a link for a customer, as a backend does, and open it:");
    println!(
        "   curl -X POST -H 'Authorization: Bearer {service}' -H 'Notion-Auth-Subject: customer-7' {}",
        settings.site.address("/connect/links")
    );
    println!("4. Then call Notion for that customer:");
    println!(
        "   curl -H 'Authorization: Bearer {service_calling}' -H 'Notion-Auth-Subject: customer-7' -H 'Notion-Version: 2026-03-11' {}",
        settings.site.address("/v1/users/me")
    );
    server::serve(settings).await
}

fn key() -> Result<String, BoxError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
}
