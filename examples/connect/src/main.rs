//! A site whose visitors connect their Notion workspaces.
//!
//! `cargo run -p notion-auth-connect` needs no Notion account, because it starts a mock of Notion on this machine.
//!
//! With `NOTION_CLIENT_ID` and `NOTION_CLIENT_SECRET` it uses the real Notion. Register
//! `http://localhost:3000/notion/callback` as a redirect URI there. `CONNECT_LISTEN` is the address to listen on, by
//! default `127.0.0.1:3000`; browsers open the site as `localhost` in any case.

mod page;
mod session;
mod site;

use std::{env, process::ExitCode, time::Duration};

use notion_auth::{
    BoxError, Keyring, NotionAppCredentials, NotionAuthProvider, testing::MockNotion,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("connect failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), BoxError> {
    let listen = env::var("CONNECT_LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("CONNECT_LISTEN: cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    if !(address.ip().is_loopback() || address.ip().is_unspecified()) {
        // A redirect URI without TLS must be on this machine.
        return Err(format!(
            "CONNECT_LISTEN: {address} can't be opened as localhost: listen on 127.0.0.1, or on all \
             addresses"
        )
        .into());
    }
    let url = format!("http://localhost:{}", address.port());

    let backend = backend(&url).await?;
    let routes = backend.provider.routes().build()?;
    println!("Open {url}");
    axum::serve(
        listener,
        site::router(backend.provider, backend.api_url, url.clone(), routes),
    )
    .with_graceful_shutdown(async {
        // If there is no signal handler, the signal ends the process.
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    Ok(())
}

/// One process serves all users here. Several replicas share `Keyring::from_env()?`.
fn keys() -> Keyring {
    Keyring::random()
}

struct Backend {
    provider: NotionAuthProvider,
    api_url: String,
    /// The mock server stops when this is dropped.
    _notion: Option<MockNotion>,
}

/// Notion if the environment has an OAuth client, otherwise the mock server.
async fn backend(url: &str) -> Result<Backend, BoxError> {
    let redirect_uri = format!("{url}/notion/callback");
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("NOTION_CLIENT_ID") && is_set("NOTION_CLIENT_SECRET") {
        let app = NotionAppCredentials::builder()
            .redirect_uri(redirect_uri)
            .env()?
            .build()?;
        let provider = NotionAuthProvider::builder()
            .app(app)
            .keys(keys())
            .build()?;
        println!("Using the real Notion.");
        return Ok(Backend {
            provider,
            api_url: "https://api.notion.com".to_owned(),
            _notion: None,
        });
    }
    let notion = MockNotion::builder()
        .redirect_uri(redirect_uri)
        // About as long as the real Notion takes, so that a double click sends two requests.
        .token_delay(Duration::from_millis(300))
        .start()
        .await?;
    println!(
        "Using a mock Notion server on {}: nothing leaves this machine.",
        notion.base_url()
    );
    Ok(Backend {
        provider: notion.provider_builder()?.keys(keys()).build()?,
        api_url: notion.base_url(),
        _notion: Some(notion),
    })
}
