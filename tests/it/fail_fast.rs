//! A layer that never calls the token endpoint.

use std::time::Duration;

use http::Request;
use notion_auth::{BoxError, Mode, NotionAuthLayer, testing::MockNotion};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};

use crate::support::{Body, World, auth_error, status};

async fn send(world: &World, request: Request<Body>) -> Result<u16, BoxError> {
    let layer = NotionAuthLayer::fail_fast(world.provider.clone());
    let service = layer.layer(world.notion.service());
    Ok(service.oneshot(request).await?.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn fail_fast_uses_cached_and_stored_tokens() {
    let world = World::new();
    let other = world.another_provider();
    other
        .store_credentials(&"ann".into(), world.notion.connect())
        .await
        .unwrap();
    assert_eq!(send(&world, world.get("ann")).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn fail_fast_never_refreshes_a_refused_token() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());

    assert_eq!(send(&world, world.get("ann")).await.unwrap(), 401);
    let sent = world.notion.ledger().api_calls().len();
    for _ in 0..3 {
        let error = send(&world, world.get("ann")).await.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_expired(), "{error}");
        assert_eq!(error.status(), 401);
    }
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.notion.ledger().api_calls().len(), sent);
    assert!(world.notion.ledger().refreshes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn fail_fast_loads_tokens_refreshed_by_another_process() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    assert_eq!(send(&world, world.get("ann")).await.unwrap(), 401);

    world
        .another_provider()
        .refresh(&"ann".into())
        .await
        .unwrap();
    // At the revalidation age.
    sleep(Duration::from_secs(61)).await;
    assert_eq!(send(&world, world.get("ann")).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn fail_fast_sends_no_expired_token() {
    let world = World::new();
    let mut credentials = world.notion.connect();
    credentials.expires_at = Some(std::time::SystemTime::UNIX_EPOCH);
    world
        .provider
        .store_credentials(&"ann".into(), credentials)
        .await
        .unwrap();
    let error = send(&world, world.get("ann")).await.unwrap_err();
    assert!(auth_error(&error).is_expired());
    assert!(world.notion.ledger().api_calls().is_empty());
    assert!(world.notion.ledger().refreshes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn mode_of_a_request_has_precedence() {
    let world = World::with(MockNotion::in_process(), |builder| builder);
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());

    // Fails fast in a refreshing layer.
    let mut hasty = world.get("ann");
    hasty.extensions_mut().insert(Mode::FailFast);
    assert_eq!(status(world.client(), hasty).await, 401);
    sleep(Duration::from_secs(10)).await;
    assert!(world.notion.ledger().refreshes().is_empty());

    // Refreshes in a layer that fails fast.
    let mut patient = world.get("ann");
    patient.extensions_mut().insert(Mode::Refreshing);
    assert_eq!(send(&world, patient).await.unwrap(), 200);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}
