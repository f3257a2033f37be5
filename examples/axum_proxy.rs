//! A proxy to Notion's API on axum. Its callers have keys of the proxy, and never see a Notion token.
//!
//! `cargo run --example axum_proxy` needs no account, because it uses a mock Notion server on this machine. It sends a
//! few requests through the proxy.

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{FromRef, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use notion_auth::{
    BoxError, Connection, HttpsClient, NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject,
    https_client, integrations::axum::HandlerError, testing::MockNotion,
};
use tower::{Layer, ServiceExt};

#[derive(Clone)]
struct Proxy {
    provider: NotionAuthProvider,
    /// One client for all callers. Bodies are read whole, so that a refused request can be sent again.
    notion: NotionAuth<HttpsClient<Full<Bytes>>>,
}

/// The extractor `Connection` needs the provider.
impl FromRef<Proxy> for NotionAuthProvider {
    fn from_ref(proxy: &Proxy) -> Self {
        proxy.provider.clone()
    }
}

fn router(proxy: Proxy) -> Router {
    Router::new()
        .route("/workspace", get(workspace))
        // Not TRACE, because its response repeats the token.
        .route(
            "/v1/{*path}",
            get(forward).post(forward).patch(forward).delete(forward),
        )
        .with_state(proxy)
        .layer(middleware::from_fn(session))
}

/// Authenticates the caller, and inserts its subject.
async fn session(mut request: Request, next: Next) -> Response {
    let key = request.headers().get(header::AUTHORIZATION);
    let caller = match key.and_then(|key| key.to_str().ok()) {
        // In production, read keys from a vault, and compare them in constant time.
        Some("Bearer key-of-ann") => "ann",
        Some("Bearer key-of-ben") => "ben",
        _ => return (StatusCode::UNAUTHORIZED, "no such key").into_response(),
    };
    request.extensions_mut().insert(Subject::new(caller));
    next.run(request).await
}

/// The extractor answers requests of callers without a connection.
async fn workspace(connection: Connection) -> String {
    connection.status.workspace_name.unwrap_or_default()
}

/// Returns whether the path is forwarded. Calls below `oauth`, in any spelling, are the app's own and are not.
fn is_forwarded(path: &str) -> bool {
    const RESOURCES: [&str; 5] = ["blocks", "data_sources", "pages", "search", "users"];
    let resource = path.split('/').nth(2).unwrap_or_default();
    let climbs = ["..", "%2e", "%25"];
    let path = path.to_ascii_lowercase();
    RESOURCES.contains(&resource) && !climbs.iter().any(|it| path.contains(it))
}

async fn forward(
    State(proxy): State<Proxy>,
    Extension(subject): Extension<Subject>,
    request: Request,
) -> Result<Response, HandlerError> {
    let (head, body) = request.into_parts();
    if !is_forwarded(head.uri.path()) {
        return Ok((StatusCode::NOT_FOUND, "not here").into_response());
    }
    let Ok(body) = axum::body::to_bytes(body, 512 * 1024).await else {
        return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    };
    let mut outgoing = Request::new(Full::new(body));
    *outgoing.method_mut() = head.method;
    // Without a host, which over HTTP/2 is this proxy's. The layer completes it with the API's origin.
    let path = head.uri.path_and_query().cloned();
    *outgoing.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    // Only these, and not cookies, the caller's key or hop-by-hop headers.
    let names = ["accept", "content-type", "notion-version"];
    *outgoing.headers_mut() = only(&head.headers, &names);
    outgoing.extensions_mut().insert(subject);
    let answer = proxy.notion.oneshot(outgoing).await?;
    let (mut head, body) = answer.into_parts();
    let names = ["content-type", "retry-after", "x-notion-request-id"];
    head.headers = only(&head.headers, &names);
    Ok(Response::from_parts(head, Body::new(body)))
}

fn only(headers: &HeaderMap, names: &[&'static str]) -> HeaderMap {
    let kept = |name: &&'static str| Some((name.parse().ok()?, headers.get(*name)?.clone()));
    names.iter().filter_map(kept).collect()
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

/// Sends a request of one of the proxy's callers.
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
