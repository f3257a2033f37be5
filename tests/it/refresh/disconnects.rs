//! Disconnects and reconnects while a refresh is in flight, or in another process.

use notion_auth::{
    NotionUserCredentials,
    testing::notion::{Call, Fault, Grant},
};
use tokio::time::sleep;

use super::{request_error, seconds, spawn_refresh, world};
use crate::support::{World, status};

#[tokio::test(start_paused = true)]
async fn disconnect_elsewhere_is_seen_within_the_revalidation_age() {
    let world = World::new();
    world.connect("ann").await;
    let other = world.another_provider();
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    other.delete_credentials(&"ann".into()).await.unwrap();

    sleep(seconds(61)).await;
    // This request still has the cached token, and starts a read of the store.
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    sleep(seconds(1)).await;
    assert!(request_error(&world).await.is_not_connected());
}

#[tokio::test(start_paused = true)]
async fn disconnect_revokes_the_grant_before_a_refresh_is_decided() {
    let world = world(|notion| notion.token_delay(seconds(2)));
    let credentials = world.connect("ann").await;
    let bot = credentials.bot_id().unwrap();
    let ann = "ann".into();
    let refresh = spawn_refresh(&world);
    sleep(seconds(1)).await;

    world.provider.disconnect(&ann).await.unwrap();
    let error = refresh.await.unwrap().unwrap_err();
    assert!(error.is_not_connected() || error.is_transient(), "{error}");
    sleep(seconds(60)).await;
    assert_eq!(world.notion.ledger().living_pair(bot), None);
    assert_eq!(world.provider.status(&ann).await.unwrap(), None);
    // A second disconnect does nothing.
    world.provider.disconnect(&ann).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn token_refreshed_after_a_disconnect_is_revoked() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let bot = credentials.bot_id().unwrap();
    // The server rotates at once, and answers late.
    let late = Fault::DelayAfter(seconds(5));
    world.notion.script(Call::Refresh, [late]);
    let refresh = spawn_refresh(&world);
    sleep(seconds(1)).await;
    world.provider.disconnect(&"ann".into()).await.unwrap();
    assert!(world.notion.ledger().living_pair(bot).is_some());

    assert!(refresh.await.unwrap().unwrap_err().is_not_connected());
    assert_eq!(world.notion.ledger().living_pair(bot), None);
}

#[tokio::test(start_paused = true)]
async fn reconnect_replaces_the_outcome_of_a_refresh_in_flight() {
    let world = world(|notion| notion.reconnect_ends_older(false));
    world.connect("ann").await;
    let late = Fault::DelayAfter(seconds(5));
    world.notion.script(Call::Refresh, [late]);
    let refresh = spawn_refresh(&world);
    sleep(seconds(1)).await;
    let new = world.connect("ann").await;

    let acquired = refresh.await.unwrap().unwrap();
    assert_eq!(acquired.expose(), new.access_token.expose());
    assert_eq!(acquired.generation(), 1, "a new lineage");
    world.assert_nothing_lost("ann").await;
}

fn credentials(grant: &Grant) -> NotionUserCredentials {
    serde_json::from_value(grant.answer.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn token_refreshed_after_a_reconnect_with_another_bot_is_revoked_unless_its_bot_is_connected()
{
    for is_shared in [false, true] {
        let world = world(|notion| notion.reconnect_ends_older(false));
        let mut subjects = vec!["ann"];
        subjects.extend(is_shared.then_some("ben"));
        let mut bot = String::new();
        for subject in subjects {
            let grant = world.notion.grant_for("Acme");
            bot = grant.bot_id().to_owned();
            let provider = &world.provider;
            provider
                .store_credentials(&subject.into(), credentials(&grant))
                .await
                .unwrap();
        }
        let late = Fault::DelayAfter(seconds(5));
        world.notion.script(Call::Refresh, [late]);
        let refresh = spawn_refresh(&world);
        sleep(seconds(1)).await;
        let new = world.connect("ann").await;
        assert_ne!(new.bot_id(), Some(&*bot));

        let acquired = refresh.await.unwrap().unwrap();
        assert_eq!(acquired.expose(), new.access_token.expose());
        sleep(seconds(60)).await;
        let ledger = world.notion.ledger();
        let revoked = ledger.presentations();
        let revoked = revoked.iter().any(|it| it.endpoint == Call::Revoke);
        assert_eq!(revoked, !is_shared);
        assert_eq!(ledger.living_pair(&bot).is_some(), is_shared);
    }
}
