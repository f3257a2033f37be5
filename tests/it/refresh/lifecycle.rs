//! Shutdown, a missing runtime, and settings of the longest duration.

use std::{error::Error, pin::pin, task::Poll, time::Duration};

use notion_auth::{
    provider::{RefreshPolicy, RefreshTimings},
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::time::sleep;

use super::{connect_revoked, request_error, seconds, world};
use crate::support::{World, policy, poll, status};

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_refreshes_in_flight_and_prevents_new_ones() {
    let world = world(|notion| notion.token_delay(seconds(4)));
    let credentials = connect_revoked(&world, "ann").await;
    let request = tokio::spawn(status(world.client(), world.get("ann")));
    sleep(seconds(1)).await;

    let too_short = world.provider.shutdown(seconds(1)).await;
    assert!(too_short.is_err());
    let shutdown = world.provider.shutdown(seconds(10)).await;
    shutdown.expect("the refresh ends in time");
    assert_eq!(request.await.unwrap(), 200);
    world.assert_nothing_lost("ann").await;

    let bot = credentials.bot_id().unwrap();
    let (access, _) = world.notion.ledger().living_pair(bot).unwrap();
    world.notion.revoke_access_token(&access);
    sleep(seconds(120)).await;
    assert!(request_error(&world).await.is_transient());
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_the_pause_after_an_attempt_in_doubt() {
    let world = World::new();
    connect_revoked(&world, "ann").await;
    let unavailable = Fault::StatusBefore(503);
    world.notion.always(Call::Refresh, Some(unavailable));
    // The pauses grow to minutes.
    for _ in 0..200 {
        request_error(&world).await;
        sleep(seconds(10)).await;
    }
    let shutdown = world.provider.shutdown(seconds(1)).await;
    shutdown.expect("no refresh is in flight");
}

#[tokio::test(start_paused = true)]
async fn missing_runtime_is_a_configuration_error() {
    let world = World::new();
    world.connect("ann").await;
    let provider = world.another_provider();
    let thread = std::thread::spawn(move || {
        let ann = "ann".into();
        let Poll::Ready(Err(acquire)) = poll(pin!(provider.acquire(&ann))) else {
            panic!("acquired without a runtime");
        };
        assert!(acquire.is_configuration(), "{acquire}");
        let Poll::Ready(Err(shutdown)) = poll(pin!(provider.shutdown(seconds(1)))) else {
            panic!("shut down without a runtime");
        };
        assert!(shutdown.is_configuration(), "{shutdown}");
    });
    thread.join().expect("no panic");
}

/// Asserts that credentials are loaded, cached and refreshed with this setting, now and after a year.
async fn works_with(change: impl FnOnce(&mut RefreshPolicy)) {
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.refresh_policy(policy(change))
    });
    world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    sleep(seconds(365 * 24 * 3600)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.provider.refresh(&"ann".into()).await.unwrap();
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

type Set = fn(&mut RefreshTimings);

#[test]
fn refresh_timings_that_break_the_protocol_are_refused() {
    let build = |set: Set| {
        let mut timings = RefreshTimings::default();
        set(&mut timings);
        let builder = MockNotion::in_process().provider_builder().unwrap();
        builder
            .refresh_policy(policy(|it| it.timings = timings))
            .build()
    };
    let refused: [(Set, &str, &str); 4] = [
        (|it| it.call = seconds(0), "call and save", ""),
        (|it| it.lease = seconds(20), "must be less than lease", ""),
        // An answer is read for so long that another process presents the same token.
        (
            |it| it.call = Duration::from_millis(11_250),
            "shorten call, or lengthen save_retries",
            "call is 11.25s, and with these values must be less than 11.25s",
        ),
        (
            |it| it.save_retries = seconds(0),
            "shorten call, or lengthen save_retries",
            "call is 10s, and with these values must be less than 3.75s",
        ),
    ];
    for (set, message, cause) in refused {
        let error = build(set).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.unwrap_or_default(), cause);
    }
    build(|it| it.call = seconds(11)).unwrap();
    build(|it| {
        it.call = seconds(20);
        it.lease = seconds(40);
        it.save_retries = seconds(150);
    })
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_duration_can_be_set_to_the_maximum() {
    let long = Duration::MAX;
    works_with(|it| it.revalidation_age = long).await;
    works_with(|it| it.stale_if_store_down = long).await;
    works_with(|it| it.max_age = Some(long)).await;
    works_with(|it| it.window = long).await;
    works_with(|it| it.leeway = long).await;
    works_with(|it| it.acquire_timeout = long).await;
}
