//! Refreshes that a 401 triggers.

use http::StatusCode;
use notion_auth::{
    NotionAuthLayer, NotionAuthProvider, Subject,
    testing::notion::{Call, Fault},
};
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Layer, ServiceExt};

use super::{connect_revoked, seconds};
use crate::support::{World, send, status};

#[tokio::test(start_paused = true)]
async fn without_replay_the_401_is_returned_and_starts_a_refresh() {
    let world = World::new();
    connect_revoked(&world, "ann").await;
    let client = NotionAuthLayer::refreshing(world.provider.clone())
        .without_replay()
        .layer(world.notion.service());
    for expected in [401, 200] {
        let answer = client.clone().oneshot(world.get("ann")).await.unwrap();
        assert_eq!(answer.status(), expected);
    }
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn late_401_for_an_old_generation_does_not_refresh() {
    let world = World::new();
    connect_revoked(&world, "ann").await;
    world.notion.hold_back_401s(1);
    let layer = NotionAuthLayer::refreshing(world.provider.clone()).without_replay();
    let without_replay = layer.layer(world.notion.service());

    let late = tokio::spawn(without_replay.oneshot(world.get("ann")));
    sleep(seconds(1)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);

    assert_eq!(late.await.unwrap().unwrap().status(), 401);
    sleep(seconds(120)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn late_401_from_before_a_reconnect_does_not_refresh() {
    let world = World::new();
    connect_revoked(&world, "ann").await;
    let late = Fault::after_delay(seconds(5), Fault::None);
    world.notion.script(Call::Api, [late]);
    let late = tokio::spawn(send(world.client(), world.get("ann")));
    sleep(seconds(1)).await;

    world.connect("ann").await;
    assert_eq!(late.await.unwrap().unwrap().status(), 200);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert!(world.notion.ledger().refreshes().is_empty());
}

/// Sends a request for ann by a client of this provider.
async fn request_by(world: &World, provider: &NotionAuthProvider) -> StatusCode {
    let layer = NotionAuthLayer::refreshing(provider.clone());
    status(layer.layer(world.notion.service()), world.get("ann")).await
}

#[tokio::test(start_paused = true)]
async fn always_refused_account_is_refreshed_at_growing_intervals() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let bot = credentials.bot_id().unwrap();
    world.notion.restrict_account(bot, true);
    // Two processes, which share the streak.
    let peer = world.another_provider();
    let mut providers = [&world.provider, &peer];
    let refreshes = || world.notion.ledger().refreshes().len();

    assert_eq!(request_by(&world, &world.provider).await, 401);
    assert_eq!(refreshes(), 1, "the first refusal");
    let delays = [5, 10, 20, 40, 60, 60, 60, 60, 60, 3600, 3600];
    for (made, delay) in (1..).zip(delays) {
        let refreshed_at = Instant::now();
        sleep_until(refreshed_at + seconds(delay - 1)).await;
        // The first requests load the newest generation, and the second ones have it refused.
        for provider in [providers, providers].as_flattened() {
            assert_eq!(request_by(&world, provider).await, 401);
        }
        assert_eq!(refreshes(), made, "within {delay} s");

        sleep_until(refreshed_at + seconds(delay)).await;
        providers.reverse();
        assert_eq!(request_by(&world, providers[0]).await, 401);
        assert_eq!(refreshes(), made + 1, "after {delay} s");
    }
    world.assert_nothing_lost("ann").await;

    // A reconnected subject has no delay.
    world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn revocations_far_apart_are_refreshed_at_once() {
    let world = World::new();
    world.connect("ann").await;
    for round in 1..=5 {
        sleep(seconds(80)).await;
        let acquired = world.provider.acquire(&"ann".into()).await.unwrap();
        world.notion.revoke_access_token(acquired.expose_token());
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        assert_eq!(world.notion.ledger().refreshes().len(), round);
    }
}

#[tokio::test(start_paused = true)]
async fn custom_client_reports_refusals_and_refreshes_explicitly() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let ann = Subject::new("ann");
    let first = world.provider.acquire(&ann).await.unwrap();
    assert_eq!(first.expose_token(), credentials.access_token.expose());
    assert!(first.authorization().is_sensitive());

    let second = world.provider.refused(&ann, &first).await.unwrap();
    assert_eq!(second.generation(), 2);
    // The old token has a successor already, and the new one is too young to be refreshed.
    for refused in [&first, &second] {
        let again = world.provider.refused(&ann, refused).await.unwrap();
        assert_eq!(again.generation(), 2);
    }
    let third = world.provider.refresh(&ann).await.unwrap();
    assert_eq!(third.generation(), 3);
    assert_eq!(world.notion.ledger().refreshes().len(), 2);
    world.assert_nothing_lost("ann").await;
}
