//! axum integration: errors as responses, and the extractor of a subject's connection.

use axum::{
    Extension, Router,
    body::Body,
    extract::FromRef,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{Request, header::RETRY_AFTER};
use http_body_util::BodyExt as _;
use notion_auth::{
    AccessToken, AuthError, Keyring, NotionAuthProvider, NotionUserCredentials, Subject,
    integrations::axum::Connection,
    testing::notion::{Call, Fault},
};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{faulty_store::FaultyStore, support::World};

/// An application state that contains the provider.
#[derive(Clone)]
struct Site {
    provider: NotionAuthProvider,
}

impl FromRef<Site> for NotionAuthProvider {
    fn from_ref(site: &Site) -> Self {
        site.provider.clone()
    }
}

async fn workspace(connection: Connection) -> String {
    let subject = connection.subject.as_str();
    let workspace = connection.status.workspace_name.unwrap_or_default();
    format!("{subject}: {workspace}")
}

fn router(provider: &NotionAuthProvider) -> Router {
    let provider = provider.clone();
    Router::new()
        .route("/", get(workspace))
        .with_state(Site { provider })
}

/// Returns the router's response to a visitor whom a session layer has signed in.
async fn visit(world: &World, visitor: &str) -> Response {
    let session = Extension(Subject::new(visitor));
    let router = router(&world.provider).layer(session);
    router.oneshot(Request::<Body>::default()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Asserts that the body is an error in Notion's format whose message contains `remedy`, and returns the
/// message.
#[track_caller]
fn assert_says(body: &str, status: u16, code: &str, remedy: &str) {
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["object"], "error");
    assert_eq!(body["status"], status);
    assert_eq!(body["code"], code);
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with("notion-auth: "), "{message}");
    assert!(message.contains(remedy), "{message}");
}

#[tokio::test]
async fn handler_receives_the_connection_of_the_subject() {
    let world = World::new();
    let ann = world.connect("ann").await.workspace_name.unwrap();
    let ben = world.connect("ben").await.workspace_name.unwrap();
    assert_eq!(
        text(visit(&world, "ann").await).await,
        format!("ann: {ann}")
    );
    assert_eq!(
        text(visit(&world, "ben").await).await,
        format!("ben: {ben}")
    );
    assert_ne!(ann, ben);
}

#[tokio::test]
async fn provider_alone_is_a_valid_state() {
    let world = World::new();
    world.connect("ann").await;
    let router = Router::new()
        .route("/", get(workspace))
        .with_state(world.provider.clone())
        .layer(Extension(Subject::new("ann")));
    let response = router.oneshot(Request::<Body>::default()).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn subject_without_a_connection_gets_401_and_connect() {
    let world = World::new();
    let response = visit(&world, "ann").await;
    assert_eq!(response.status(), 401);
    assert_says(&text(response).await, 401, "unauthorized", "connect one");

    world.connect("ann").await;
    world.provider.disconnect(&"ann".into()).await.unwrap();
    let response = visit(&world, "ann").await;
    assert_eq!(response.status(), 401);
    assert_says(&text(response).await, 401, "unauthorized", "connect one");
}

#[tokio::test]
async fn ended_connection_gets_401_and_connect_again() {
    let world = World::new();
    world.connect("ann").await;
    let dead = Fault::refuse(400, "invalid_grant");
    world.notion.script(Call::Refresh, [dead]);
    world.provider.refresh(&"ann".into()).await.unwrap_err();
    let response = visit(&world, "ann").await;
    assert_eq!(response.status(), 401);
    let body = text(response).await;
    assert_says(&body, 401, "unauthorized", "must be connected again");
}

#[tokio::test]
async fn token_that_cannot_be_sent_is_a_500_with_the_reason() {
    let world = World::new();
    let credentials = NotionUserCredentials::new(AccessToken::new("two words"));
    let ann = Subject::new("ann");
    let stored = world.provider.store_credentials(&ann, credentials);
    stored.await.unwrap();
    let response = visit(&world, "ann").await;
    assert_eq!(response.status(), 500);
    let body = text(response).await;
    assert_says(&body, 500, "internal_server_error", "at position 4");
}

#[tokio::test]
async fn unavailable_store_is_a_503_with_retry_after() {
    let store = FaultyStore::memory();
    let world = World::with(notion_auth::testing::MockNotion::in_process(), |builder| {
        builder.store(store.clone()).plaintext_at_rest()
    });
    world.connect("ann").await;
    store.hooks.set_down(true);
    let response = visit(&world, "ann").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    let body = text(response).await;
    assert_says(&body, 503, "service_unavailable", "does not answer");
    store.hooks.set_down(false);
    assert_eq!(visit(&world, "ann").await.status(), 200);
}

#[tokio::test]
async fn request_without_a_subject_is_answered_like_the_routes() {
    let world = World::new();
    world.connect("ann").await;
    let request = Request::<Body>::default();
    let response = router(&world.provider).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 401);
    let body = text(response).await;
    let words = "You are not signed in. Please sign in to this site, then try again.";
    assert_says(&body, 401, "unauthorized", words);
    let provider = world.provider_with(|builder| builder.keys(Keyring::random()));
    let routes = provider.routes().build().unwrap();
    let request = Request::get("/notion/status").body(Body::default());
    let response = routes.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 401);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains(words));
}

#[tokio::test]
async fn error_is_the_same_response_as_without_axum() {
    let world = World::new();
    let error: AuthError = world.provider.acquire(&"ann".into()).await.unwrap_err();
    let (head, body) = error.to_response().into_parts();
    let response = error.into_response();
    assert_eq!(response.status(), head.status);
    assert_eq!(*response.headers(), head.headers);
    assert_eq!(text(response).await, body);
}
