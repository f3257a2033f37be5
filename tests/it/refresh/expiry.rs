//! Refreshes that a token's expiry or age triggers.

use notion_auth::{
    Event, NotionUserCredentials, Subject,
    oauth::CallbackAnswer,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::time::{Instant, sleep};

use super::{observed_world, seconds, world};
use crate::support::{World, send, status};

/// Connects ann by an exchange, so that her credentials have the mock server's expiry.
async fn exchanged(world: &World) -> NotionUserCredentials {
    let ann = Subject::new("ann");
    let flow = world.provider.oauth();
    let authorization = flow.authorize(&ann).unwrap();
    let callback = world.notion.consent(authorization.url.as_str()).unwrap();
    let answer = CallbackAnswer::from_url(&callback).unwrap();
    let exchanged = flow.exchange(authorization.pending, &ann, answer).await;
    let credentials = exchanged.unwrap();
    let stored = world.provider.store_credentials(&ann, credentials.clone());
    stored.await.unwrap();
    credentials
}

#[tokio::test(start_paused = true)]
async fn expired_token_is_refreshed_before_the_request_is_sent() {
    let world = world(|notion| notion.expires_in(3600));
    let credentials = exchanged(&world).await;
    sleep(seconds(3600 - 9)).await;

    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    let ledger = world.notion.ledger();
    assert_eq!(ledger.refreshes().len(), 1);
    let old = ledger.api_calls_with(credentials.access_token.expose());
    assert!(old.is_empty(), "the expired token was sent: {old:?}");
}

#[tokio::test(start_paused = true)]
async fn token_in_the_refresh_window_is_refreshed_in_the_background() {
    let world = world(|notion| {
        let notion = notion.expires_in(3600).keep_old_access_tokens(true);
        notion.token_delay(seconds(3))
    });
    exchanged(&world).await;

    sleep(seconds(3600 - 400)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert!(world.notion.ledger().refreshes().is_empty(), "too early");

    sleep(seconds(200)).await;
    let before = Instant::now();
    for _ in 0..20 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
    }
    assert_eq!(before.elapsed(), seconds(0), "a request waited");

    sleep(seconds(10)).await;
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn failing_background_refresh_leaves_a_valid_token_in_use() {
    let world = world(|notion| notion.expires_in(3600).keep_old_access_tokens(true));
    exchanged(&world).await;
    let limited = Fault::RateLimited { retry_after: None };
    world.notion.always(Call::Refresh, Some(limited));

    sleep(seconds(3600 - 200)).await;
    for _ in 0..100 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        sleep(seconds(1)).await;
    }
    let tries = world.notion.ledger().refreshes().len();
    assert!((1..30).contains(&tries), "{tries} tries in 100 seconds");

    world.notion.always(Call::Refresh, None);
    sleep(seconds(80)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn lost_background_refresh_is_recovered_within_15_seconds() {
    let (world, events) = observed_world();
    let credentials = world.connect_expiring("ann", seconds(3600)).await;
    world.notion.script(Call::Refresh, [Fault::DropBefore]);
    sleep(seconds(3600 - 200)).await;
    // The first request reads the store again, the second one finds that a refresh is due.
    for _ in 0..2 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
    }
    sleep(seconds(1)).await;
    let is_failure = |event: &Event| matches!(event, Event::RefreshFailed { .. });
    assert_eq!(events.count(is_failure), 1);

    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    let start = Instant::now();
    while !send(world.client(), world.get("ann"))
        .await
        .is_ok_and(|answer| answer.status() == 200)
    {
        sleep(seconds(1)).await;
        let outage = start.elapsed();
        assert!(outage < seconds(15), "{outage:?}");
    }
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn token_of_unknown_expiry_is_refreshed_at_its_maximum_age() {
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.refresh_policy(crate::support::policy(|it| it.max_age = Some(seconds(600))))
    });
    world.connect("ann").await;
    for (pause, refreshes) in [(200, 0), (500, 1)] {
        sleep(seconds(pause)).await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        assert_eq!(world.notion.ledger().refreshes().len(), refreshes);
    }
}

#[tokio::test(start_paused = true)]
async fn token_of_unknown_expiry_is_used_until_it_is_refused() {
    let world = World::new();
    world.connect("ann").await;
    sleep(seconds(365 * 24 * 3600)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert!(world.notion.ledger().refreshes().is_empty());
}
