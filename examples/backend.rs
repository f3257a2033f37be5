//! A backend whose customers connect their workspaces. Its environment is in README.md.

use std::{env, time::Duration};

use axum::{Extension, Router, body::Body, http::Request, response::Response, routing::get};
use bytes::Bytes;
use http_body_util::Empty;
use notion_auth::{
    BoxError, Connection, HttpsClient, Keyring, NotionAuth, NotionAuthLayer, NotionAuthProvider,
    PostgresStore, Subject, https_client, integrations::axum::HandlerError,
};
use tower::{Layer, ServiceExt};

type Client = NotionAuth<HttpsClient<Empty<Bytes>>>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let provider = NotionAuthProvider::builder_from_env()? // NOTION_CLIENT_ID, …
        .store(PostgresStore::connect(&env::var("DATABASE_URL")?).await?)
        .keys(Keyring::from_env()?) // NOTION_AUTH_KEYS
        .start() // tables, health check, hourly purge
        .await?;
    let notion: Client = NotionAuthLayer::refreshing(provider.clone()).layer(https_client());
    let routes = provider.routes().default_return_target("/me").build()?;
    let app = Router::new()
        .route("/me", get(me))
        .nest_service("/notion", routes) // link to /notion/authorize
        .layer(Extension(notion))
        .layer(Extension(Subject::new("ann"))) // replace with your session layer
        .with_state(provider.clone());
    let listener = tokio::net::TcpListener::bind(env::var("LISTEN")?).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(provider.shutdown(Duration::from_secs(30)).await?)
}

async fn me(
    user: Connection,
    Extension(notion): Extension<Client>,
) -> Result<Response, HandlerError> {
    let request = Request::get("/v1/users/me")
        .extension(user.subject)
        .body(Empty::new())?;
    Ok(notion.oneshot(request).await?.map(Body::new))
}
