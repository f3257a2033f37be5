//! Whether a connection works, as Notion sees it.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use notion_auth::{
    provider::{ConnectionCheck, Verdict},
    store::RecordState,
    testing::notion::{Call, Fault},
};

use crate::support::{World, status};

async fn check(world: &World, subject: &str) -> ConnectionCheck {
    world.provider.check(&subject.into()).await
}

fn name(check: &ConnectionCheck) -> String {
    match &check.verdict {
        Verdict::Unknown(_) => "Unknown".to_owned(),
        verdict => format!("{verdict:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn check_says_what_notion_says_and_spends_nothing() {
    let world = World::new();
    assert_eq!(name(&check(&world, "ann").await), "NotConnected");

    let credentials = world.connect("ann").await;
    let good = check(&world, "ann").await;
    assert_eq!(name(&good), "Good");
    assert!(good.can_refresh);
    assert_eq!(good.expires_at, credentials.expires_at);

    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    assert_eq!(name(&check(&world, "ann").await), "Refused");
    assert!(world.notion.ledger().refreshes().is_empty());
    world.assert_nothing_lost("ann").await;

    world.provider.disconnect(&"ann".into()).await.unwrap();
    assert_eq!(name(&check(&world, "ann").await), "NotConnected");
}

#[tokio::test(start_paused = true)]
async fn check_of_a_connection_that_has_ended_asks_nothing() {
    let world = World::new();
    let credentials = world.connect_expiring("ann", Duration::from_secs(1)).await;
    world.notion.revoke_grant(credentials.access_token.expose());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.provider.acquire(&"ann".into()).await.is_err());
    let calls = world.notion.ledger().presentations().len();
    assert_eq!(
        name(&check(&world, "ann").await),
        "NeedsReauthorization(Revoked)"
    );
    assert_eq!(world.notion.ledger().presentations().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn refused_check_lets_the_next_request_refresh_and_ends_nothing() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let client = world.client();
    assert_eq!(
        status(client.clone(), world.get("ann")).await,
        StatusCode::OK
    );
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    for _ in 0..3 {
        assert_eq!(name(&check(&world, "ann").await), "Refused");
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
    let calls = world.notion.ledger().api_calls().len();
    assert_eq!(status(client, world.get("ann")).await, StatusCode::OK);
    // The refused token was not sent again.
    assert_eq!(world.notion.ledger().api_calls().len(), calls + 1);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    assert_eq!(name(&check(&world, "ann").await), "Good");
}

#[tokio::test(start_paused = true)]
async fn refused_check_without_a_refresh_token_ends_nothing() {
    let world = World::new();
    let mut credentials = world.notion.connect();
    credentials.refresh_token = None;
    world
        .provider
        .store_credentials(&"ann".into(), credentials.clone())
        .await
        .unwrap();
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    for _ in 0..5 {
        let check = check(&world, "ann").await;
        assert_eq!(name(&check), "Refused");
        assert!(!check.can_refresh);
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
    // The first 401 that a request gets is the first one that counts.
    let status = status(world.client(), world.get("ann")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let stored = world.provider.status(&"ann".into()).await.unwrap().unwrap();
    assert_eq!(stored.state, RecordState::Active);
}

#[tokio::test(start_paused = true)]
async fn check_that_gets_no_answer_is_unknown_with_the_reason() {
    let world = World::new();
    world.connect("ann").await;
    for fault in [
        Fault::StatusBefore(503),
        Fault::Html,
        Fault::DropBefore,
        Fault::Truncated,
    ] {
        world.notion.script(Call::Introspect, [fault.clone()]);
        let check = check(&world, "ann").await;
        let Verdict::Unknown(error) = &check.verdict else {
            panic!("{fault:?}: {check:?}");
        };
        assert!(error.is_transient(), "{error:?}");
        assert!(std::error::Error::source(error).is_some());
    }
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn check_is_repeated_once_if_the_credentials_move() {
    let world = World::new();
    world.connect("ann").await;
    let world = Arc::new(world);
    let slow = Fault::DelayAfter(Duration::from_secs(2));
    world.notion.script(Call::Introspect, [slow]);
    let checking = tokio::spawn({
        let world = Arc::clone(&world);
        async move { check(&world, "ann").await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.provider.refresh(&"ann".into()).await.unwrap();
    assert_eq!(name(&checking.await.unwrap()), "Good");
    let mut asked = world.notion.ledger().presentations();
    asked.retain(|it| it.endpoint == Call::Introspect);
    assert_eq!(asked.len(), 2);
}
