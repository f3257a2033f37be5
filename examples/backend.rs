//! A backend whose customers connect their workspaces. Its environment is in README.md.

use std::{env, time::Duration};

use axum::{Extension, Router, body::Body, http::Request, response::Response, routing::get};
use bytes::Bytes;
use http_body_util::Empty;
use notion_auth::{
    Connection, HttpsClient, Keyring, NotionAuth, NotionAuthLayer, NotionAuthProvider,
    PostgresStore, Subject, https_client, integrations::axum::HandlerError,
};
use tower::{Layer, ServiceExt};

type Client = NotionAuth<HttpsClient<Empty<Bytes>>>;

#[tokio::main]
async fn main() -> Result<(), notion_auth::BoxError> {
    let database = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let provider = NotionAuthProvider::builder_from_env()? // NOTION_CLIENT_ID, …
        .store(PostgresStore::connect(&database).await?)
        .keys(Keyring::from_env()?) // NOTION_AUTH_KEYS
        .start() // waits up to a minute for the database, prepares it, and purges it every hour
        .await?;
    let notion: Client = NotionAuthLayer::refreshing(provider.clone()).layer(https_client());
    let routes = provider.routes().default_return_target("/me").build()?;
    let app = Router::new()
        .route("/me", get(me))
        .nest_service("/notion", routes) // link to /notion/authorize
        .layer(Extension(notion))
        .layer(Extension(Subject::new("ann"))) // replace with your session layer
        .with_state(provider.clone());
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
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
