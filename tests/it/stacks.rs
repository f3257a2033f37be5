//! The layer in common stacks over real sockets: hyper-util's client and axum's router.

use axum::{
    Router,
    body::Body,
    error_handling::HandleErrorLayer,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use notion_auth::{
    AuthError, BoxError, HttpsClient, NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject,
    https_client, layer::EmptyBody, testing::MockNotion,
};
use tower::{Layer, ServiceBuilder, ServiceExt};

async fn connected() -> (MockNotion, NotionAuthProvider) {
    let notion = MockNotion::start().await.unwrap();
    let provider = notion.provider_builder().unwrap().build().unwrap();
    let ann = Subject::new("ann");
    let stored = provider.store_credentials(&ann, notion.connect());
    stored.await.unwrap();
    (notion, provider)
}

/// Serves a router on its own socket. Returns its address.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn get(url: String) -> (StatusCode, serde_json::Value) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.parse().unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn hyper_util_client_with_the_layer_calls_the_api() {
    let (notion, provider) = connected().await;
    let client = ServiceBuilder::new()
        .layer(NotionAuthLayer::refreshing(provider).without_replay())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    let mut request = http::Request::get(format!("{}/v1/users", notion.base_url()))
        .body(Empty::new())
        .unwrap();
    request.extensions_mut().insert(Subject::new("ann"));
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let call = &notion.ledger().api_calls()[0];
    assert_eq!(call.authorization_values, 1);
    assert_eq!(call.notion_version.as_deref(), Some("2026-03-11"));
}

type ProxyClient = NotionAuth<HttpsClient<Body>, EmptyBody>;

/// A proxying handler with a layered client, which is the usual way.
async fn proxy(
    State((client, api)): State<(ProxyClient, String)>,
    mut request: Request,
) -> Result<Response, Response> {
    let path = request.uri().path_and_query().unwrap().to_string();
    *request.uri_mut() = format!("{api}{path}").parse::<Uri>().unwrap();
    request.headers_mut().remove("host");
    request.extensions_mut().insert(Subject::new("ann"));
    match client.oneshot(request).await {
        Ok(response) => Ok(response.map(Body::new)),
        Err(error) => Err(respond(error).into_response()),
    }
}

fn respond(error: BoxError) -> Response<String> {
    match AuthError::find(&*error) {
        Some(error) => error.to_response(),
        None => panic!("{error}"),
    }
}

#[tokio::test]
async fn axum_handler_with_a_layered_client_proxies_during_a_refresh() {
    let (notion, provider) = connected().await;
    let client = NotionAuthLayer::refreshing(provider.clone())
        .replaying(EmptyBody)
        .layer(https_client());
    let router = Router::new()
        .route("/v1/{*rest}", any(proxy))
        .with_state((client, notion.base_url()));
    let server = serve(router).await;

    let (status, body) = get(format!("{server}/v1/users/me")).await;
    assert_eq!(status, 200, "{body}");
    let acquired = provider.acquire(&"ann".into()).await.unwrap();
    notion.revoke_access_token(acquired.expose());
    let (status, body) = get(format!("{server}/v1/users/me")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(notion.ledger().refreshes().len(), 1);

    provider.disconnect(&"ann".into()).await.unwrap();
    let (status, body) = get(format!("{server}/v1/users/me")).await;
    assert_eq!(status, 401);
    assert_eq!(body["code"], "unauthorized");
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .starts_with("notion-auth:")
    );
}

#[tokio::test]
async fn layer_in_a_route_service_with_handle_error_serves_a_router() {
    let (notion, provider) = connected().await;
    let api = notion.base_url();
    let upstream = https_client::<Body>();
    // The route's URIs have no host, because the inner service decides the destination.
    let upstream = tower::service_fn(move |mut request: Request| {
        let path = request.uri().path_and_query().unwrap().to_string();
        *request.uri_mut() = format!("{api}{path}").parse::<Uri>().unwrap();
        upstream.clone().oneshot(request)
    });
    let service = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|error: BoxError| async move {
            respond(error)
        }))
        .map_request(|mut request: Request| {
            // `Host` names this server, not the request's destination.
            request.headers_mut().remove("host");
            request.extensions_mut().insert(Subject::new("ann"));
            request
        })
        .layer(
            NotionAuthLayer::refreshing(provider.clone())
                .without_replay()
                .inner_decides_destination(),
        )
        .service(upstream);
    let server = serve(Router::new().route_service("/v1/users/me", service)).await;

    assert_eq!(get(format!("{server}/v1/users/me")).await.0, 200);
    provider.disconnect(&"ann".into()).await.unwrap();
    let (status, body) = get(format!("{server}/v1/users/me")).await;
    assert_eq!(
        (status, &body["status"]),
        (StatusCode::UNAUTHORIZED, &401.into())
    );
}
