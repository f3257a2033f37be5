//! A proxy to Notion's API on axum: its callers have keys of the proxy and never see a Notion token.
//!
//! `cargo run --example axum_proxy` needs no account: it starts a mock Notion server and the proxy on
//! this machine, sends a few requests through it, and ends.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{FromRef, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use notion_auth::{
    AuthError, BoxError, HttpsClient, NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject,
    https_client, integrations::axum::Connection, testing::MockNotion,
};
use tower::{Layer, ServiceExt};

#[derive(Clone)]
struct Proxy {
    provider: NotionAuthProvider,
    /// One client for everybody. The body is whole, so that a refused request can be sent again.
    notion: NotionAuth<HttpsClient<Full<Bytes>>>,
    api_url: String,
}

/// Lets the extractor `Connection` find the provider.
impl FromRef<Proxy> for NotionAuthProvider {
    fn from_ref(proxy: &Proxy) -> Self {
        proxy.provider.clone()
    }
}

fn router(proxy: Proxy) -> Router {
    Router::new()
        .route("/workspace", get(workspace))
        // Not TRACE, whose answer would show the token.
        .route(
            "/v1/{*path}",
            get(forward).post(forward).patch(forward).delete(forward),
        )
        .with_state(proxy)
        .layer(middleware::from_fn(session))
}

/// Knows the callers, and says whose credentials a request uses.
async fn session(mut request: Request, next: Next) -> Response {
    let key = request.headers().get(header::AUTHORIZATION);
    let caller = match key.and_then(|key| key.to_str().ok()) {
        Some("Bearer key-of-ann") => "ann", // in production: keys from a vault, compared in constant time
        Some("Bearer key-of-ben") => "ben",
        _ => return (StatusCode::UNAUTHORIZED, "no such key").into_response(),
    };
    request.extensions_mut().insert(Subject::new(caller));
    next.run(request).await
}

/// Not called for who is not connected: the extractor answers that, and says what to do.
async fn workspace(connection: Connection) -> String {
    connection.status.workspace_name.unwrap_or_default()
}

/// What of the API is forwarded. Not `oauth`, whose calls are the app's own, however it is spelled.
fn is_forwarded(path: &str) -> bool {
    const RESOURCES: [&str; 5] = ["blocks", "data_sources", "pages", "search", "users"];
    let resource = path.split('/').nth(2).unwrap_or_default();
    let climbs = ["..", "%2e", "%25"];
    let path = path.to_ascii_lowercase();
    RESOURCES.contains(&resource) && !climbs.iter().any(|it| path.contains(it))
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Result<Response, Response> {
    let (head, body) = request.into_parts();
    if !is_forwarded(head.uri.path()) {
        return Err((StatusCode::NOT_FOUND, "not here").into_response());
    }
    let body = axum::body::to_bytes(body, 512 * 1024).await;
    let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
    let path = head.uri.path_and_query().map_or("/", |it| it.as_str());
    let mut outgoing = Request::new(Full::new(body));
    *outgoing.method_mut() = head.method;
    *outgoing.uri_mut() = format!("{}{path}", proxy.api_url).parse().map_err(failed)?;
    // By name, so that neither cookies nor the caller's key nor headers of one hop go on.
    let names = ["accept", "content-type", "notion-version"];
    *outgoing.headers_mut() = only(&head.headers, &names);
    *outgoing.extensions_mut() = head.extensions; // the subject
    let answer = proxy.notion.oneshot(outgoing).await.map_err(failed)?;
    let (mut head, body) = answer.into_parts();
    let names = ["content-type", "retry-after", "x-notion-request-id"];
    head.headers = only(&head.headers, &names);
    Ok(Response::from_parts(head, Body::new(body)))
}

fn only(headers: &HeaderMap, names: &[&'static str]) -> HeaderMap {
    let kept = |name: &&'static str| Some((name.parse().ok()?, headers.get(*name)?.clone()));
    names.iter().filter_map(kept).collect()
}

/// What fails on this side looks like Notion's own errors, so that Notion's clients understand it.
fn failed(error: impl Into<BoxError>) -> Response {
    match AuthError::find(&*error.into()) {
        Some(error) => error.clone().into_response(),
        None => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let notion = MockNotion::start().await?;
    let provider = notion.provider_builder()?.build()?;
    let credentials = notion.connect();
    let ann = Subject::new("ann");
    provider
        .store_credentials(&ann, credentials.clone())
        .await?;
    let layer = NotionAuthLayer::refreshing(provider.clone());
    let router = router(Proxy {
        provider,
        notion: layer.layer(https_client()),
        api_url: notion.base_url(), // in production: https://api.notion.com
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    println!("The proxy listens on {url}; Ann has connected her workspace, Ben has not.");

    call(&url, "/workspace", "key-of-ann", 200).await?;
    call(&url, "/v1/users/me", "key-of-ann", 200).await?;
    notion.revoke_access_token(credentials.access_token.expose());
    println!("Notion ends her access token. She does not notice:");
    call(&url, "/v1/users/me", "key-of-ann", 200).await?;
    println!("   Refreshes: {}", notion.ledger().refreshes().len());
    call(&url, "/v1/users/me", "key-of-ben", 401).await?;
    for path in [
        "/v1/oauth/token",
        "/v1/%6fauth/token",
        "/v1/users/../oauth/token",
    ] {
        call(&url, path, "key-of-ann", 404).await?;
    }
    call(&url, "/v1/users/me", "no-key-at-all", 401).await
}

/// One of the proxy's callers.
async fn call(url: &str, path: &str, key: &str, expected: u16) -> Result<(), BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request =
        Request::get(format!("{url}{path}")).header("authorization", format!("Bearer {key}"));
    let response = client.request(request.body(Empty::new())?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    println!("{key}: GET {path} → {status}");
    println!("   {:.110}", String::from_utf8_lossy(&body));
    assert_eq!(status, expected);
    Ok(())
}
