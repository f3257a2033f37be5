//! One refresh for concurrent requests, in one process and in several.

use notion_auth::NotionAuthLayer;
use tokio::task::JoinSet;
use tower::Layer;

use super::{connect_revoked, seconds, world};
use crate::support::status;

#[tokio::test(start_paused = true)]
async fn thousand_requests_with_a_revoked_token_cause_one_refresh() {
    let world = world(|notion| notion.token_delay(seconds(2)));
    let credentials = connect_revoked(&world, "ann").await;
    let bot = credentials.bot_id().unwrap();
    // These 401s arrive after the refresh.
    world.notion.hold_back_401s(100);
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        requests.spawn(status(world.client(), world.get("ann")));
    }
    for status in requests.join_all().await {
        assert_eq!(status, 200);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    let stored = world.provider.load_credentials(&"ann".into()).await;
    let stored = stored.unwrap().unwrap();
    let (access, refresh) = world.notion.ledger().living_pair(bot).unwrap();
    assert_eq!(stored.access_token.expose(), access);
    assert_eq!(stored.refresh_token.unwrap().expose(), refresh);
}

#[tokio::test(start_paused = true)]
async fn providers_that_share_a_store_refresh_once() {
    let world = world(|notion| notion.token_delay(seconds(2)));
    connect_revoked(&world, "ann").await;

    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let layer = NotionAuthLayer::refreshing(world.another_provider());
        for _ in 0..20 {
            let client = layer.layer(world.notion.service());
            requests.spawn(status(client, world.get("ann")));
        }
    }
    for status in requests.join_all().await {
        assert_eq!(status, 200);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    world.assert_nothing_lost("ann").await;
}
