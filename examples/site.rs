//! A site whose customers connect their workspaces, with sign-in, a page for guests and a test.

use std::{env, io, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{Html, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderMap, header::COOKIE};
use http_body_util::Empty;
use notion_auth::{
    AuthError, BoxError, Connection, HttpsClient, Keyring, NotionAuth, NotionAuthLayer,
    NotionAuthProvider, PostgresStore, Subject, https_client, integrations::axum::HandlerError,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tower::{Layer, ServiceExt};

type Client = NotionAuth<HttpsClient<Empty<Bytes>>>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let database = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let provider = NotionAuthProvider::builder_from_env()? // NOTION_CLIENT_ID, …
        .store(PostgresStore::connect(&database).await?)
        .keys(Keyring::from_env()?) // NOTION_AUTH_KEYS
        .start() // waits up to a minute for the database, prepares it, and purges it every hour
        .await?;
    let mut terminate = signal(SignalKind::terminate())?; // Docker, Kubernetes, systemd
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, site(provider.clone())?)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(provider.shutdown(Duration::from_secs(30)).await?) // saves refreshes in progress
}

fn site(provider: NotionAuthProvider) -> Result<Router, BoxError> {
    let notion: Client = NotionAuthLayer::refreshing(provider.clone()).layer(https_client());
    Ok(Router::new()
        .route("/", get(home))
        .route("/me", get(me))
        .nest_service("/notion", provider.routes().build()?)
        .layer(Extension(notion))
        .layer(middleware::from_fn(session)) // also around the routes
        .route("/sign-in", get(sign_in))
        .route("/health", get(health))
        .with_state(provider))
}

/// The page for everyone: guests, customers without a connection, and connected customers.
async fn home(
    customer: Option<Extension<Subject>>,
    connection: Result<Connection, AuthError>,
) -> Result<Html<&'static str>, AuthError> {
    Ok(Html(match connection {
        Ok(_) => r#"Notion is connected. <a href="/me">Show my account</a>"#,
        Err(_) if customer.is_none() => r#"Welcome. <a href="/sign-in">Sign in</a>"#,
        Err(error) if error.is_not_connected() => r#"<a href="/notion/authorize">Connect</a>"#,
        Err(error) if error.needs_reauthorization().is_some() => {
            r#"<a href="/notion/authorize">Connect again</a>"#
        }
        Err(error) => return Err(error), // the store does not answer
    }))
}

/// Answers 401 for guests and customers without a connection.
async fn me(
    user: Connection,
    Extension(notion): Extension<Client>,
) -> Result<Response, HandlerError> {
    let request = Request::get("/v1/users/me")
        .extension(user.subject)
        .body(Empty::new())?;
    Ok(notion.oneshot(request).await?.map(Body::new))
}

/// Readiness: 503 if the store does not answer, and 500 if a setting could lose a refresh.
async fn health(State(provider): State<NotionAuthProvider>) -> Result<(), AuthError> {
    provider.health().await
}

/// Inserts the subject of the signed-in customer.
async fn session(mut request: Request, next: Next) -> Response {
    if let Some(subject) = customer(request.headers()) {
        request.extensions_mut().insert(subject);
    }
    next.run(request).await
}

// Replace the rest with your sign-in. This one has one customer, and a session that anyone can
// guess.
const SESSION: &str = "session=demo";

fn customer(headers: &HeaderMap) -> Option<Subject> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    let is_signed_in = cookies.split("; ").any(|cookie| cookie == SESSION);
    is_signed_in.then(|| Subject::new("customer-7"))
}

async fn sign_in() -> ([(&'static str, String); 1], Html<&'static str>) {
    // `SameSite=Strict` would break the callback.
    let cookie = format!("{SESSION}; HttpOnly; SameSite=Lax; Path=/");
    (
        [("set-cookie", cookie)],
        Html(r#"<a href="/">Signed in</a>"#),
    )
}

#[cfg(test)]
mod tests {
    use notion_auth::testing::MockNotion; // feature `testing`

    use super::*;

    #[tokio::test]
    async fn customers_do_not_notice_a_rotation() -> Result<(), BoxError> {
        let notion = MockNotion::start().await?;
        let keys = Keyring::new([[7; 32]])?;
        let provider = notion.provider_builder()?.keys(keys).build()?;
        let connected = notion.connect();
        provider
            .store_credentials(&"customer-7".into(), connected.clone())
            .await?;
        let site = site(provider)?;

        // Notion may do so at any time.
        notion.revoke_access_token(connected.access_token.expose());
        let request = Request::get("/me").header(COOKIE, SESSION);
        let response = site.oneshot(request.body(Body::empty())?).await?;
        assert_eq!(response.status(), 200);
        assert_eq!(notion.ledger().refreshes().len(), 1);
        Ok(())
    }
}
