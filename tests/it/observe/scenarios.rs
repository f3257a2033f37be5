//! All outcomes of a request and of a refresh.

use std::time::Duration;

use notion_auth::{
    AuthError, BoxError, Mode, Subject,
    oauth::NotSent,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::time::timeout;
use tower::service_fn;

use crate::{
    faulty_store::FaultyStore,
    support::{Body, World, auth_error, send, status},
};

pub(super) async fn run_all() {
    joined_refreshed_replayed_and_hit().await;
    loaded_and_adopted().await;
    ambiguous_then_replayed().await;
    ambiguous_until_a_shutdown().await;
    rotation_lost().await;
    not_sent().await;
    for fault in [
        Fault::refuse(400, "invalid_grant"),
        Fault::refuse(401, "invalid_client"),
        Fault::refuse(400, "invalid_request"),
        Fault::RateLimited { retry_after: None },
    ] {
        let world = World::new();
        world.notion.always(Call::Refresh, Some(fault));
        refused(&world).await;
    }
    store_unavailable().await;
    nobody_and_no_refresh_token().await;
    expired().await;
    timed_out_and_cancelled().await;
    foreign_unauthorized().await;
}

/// A request with a refused token that a refresh does not remedy.
async fn refused(world: &World) -> AuthError {
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    auth_error(&error).clone()
}

async fn joined_refreshed_replayed_and_hit() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    let (one, other) = tokio::join!(
        status(world.client(), world.get("ann")),
        status(world.client(), world.get("ann")),
    );
    assert_eq!((one.as_u16(), other.as_u16()), (200, 200));
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

async fn loaded_and_adopted() {
    let world = World::new();
    world.connect("ann").await;
    let ann = Subject::new("ann");
    let other = world.another_provider();
    let acquired = other.acquire(&ann).await.unwrap();
    world.provider.refresh(&ann).await.unwrap();
    let newer = other.refused(&ann, &acquired).await.unwrap();
    assert_eq!(newer.generation(), 2);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

async fn ambiguous_then_replayed() {
    let grace = Duration::from_secs(60);
    let world = World::with(MockNotion::builder().grace(grace).in_process(), |b| b);
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    world.notion.script(Call::Refresh, [Fault::DropAfter]);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

/// A shutdown ends the wait for the replay.
async fn ambiguous_until_a_shutdown() {
    let world = World::new();
    world.connect("ann").await;
    world.notion.script(Call::Refresh, [Fault::DropBefore]);
    let refreshed = world.provider.refresh(&"ann".into()).await;
    assert!(refreshed.unwrap_err().is_transient());
    let ended = world.provider.shutdown(Duration::from_secs(1)).await;
    ended.unwrap();
}

async fn rotation_lost() {
    let world = World::new();
    world.notion.script(Call::Refresh, [Fault::DropAfter]);
    let error = refused(&world).await;
    assert!(error.needs_reauthorization().is_some(), "{error}");
}

async fn not_sent() {
    let unreachable = service_fn(|_| async {
        Err::<http::Response<Body>, BoxError>(NotSent::new("down").into())
    });
    let world = World::with(MockNotion::in_process(), |it| it.transport(unreachable));
    assert!(refused(&world).await.is_transient());
}

async fn store_unavailable() {
    let store = FaultyStore::memory();
    let world = World::with(MockNotion::in_process(), |it| it.store(store.clone()));
    store.hooks.set_down(true);
    let error = world.provider.acquire(&"ann".into()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

async fn nobody_and_no_refresh_token() {
    let world = World::new();
    let error = world.provider.acquire(&"nobody".into()).await.unwrap_err();
    assert!(error.is_not_connected(), "{error}");

    let mut credentials = world.notion.connect();
    credentials.refresh_token = None;
    let ann = Subject::new("ann");
    let stored = world.provider.store_credentials(&ann, credentials).await;
    stored.unwrap();
    let error = world.provider.refresh(&ann).await.unwrap_err();
    assert!(error.needs_reauthorization().is_some(), "{error}");
}

async fn expired() {
    let world = World::new();
    world.connect_expiring("ann", Duration::ZERO).await;
    let mut request = world.get("ann");
    request.extensions_mut().insert(Mode::FailFast);
    let error = send(world.client(), request).await.unwrap_err();
    assert!(auth_error(&error).is_expired(), "{error}");
}

async fn timed_out_and_cancelled() {
    let world = World::with(MockNotion::in_process(), |it| {
        it.refresh_policy(crate::support::policy(|it| {
            it.acquire_timeout = Duration::from_secs(2)
        }))
    });
    world.connect_expiring("ann", Duration::ZERO).await;
    let slow = Fault::Delay(Duration::from_secs(5));
    world.notion.script(Call::Refresh, [slow]);
    let ann = Subject::new("ann");
    let acquire = || world.provider.acquire(&ann);
    assert!(timeout(Duration::from_secs(1), acquire()).await.is_err());
    let error = acquire().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

async fn foreign_unauthorized() {
    let world = World::new();
    world.connect("ann").await;
    world.notion.script(Call::Api, [Fault::ProxySignIn]);
    assert_eq!(status(world.client(), world.get("ann")).await, 401);
}
