//! One refresh for concurrent requests, in one process and in several.

use http::StatusCode;
use notion_auth::{CloneBody, NotionAuthLayer, https_client, testing::MockNotion};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

use super::{connect_revoked, seconds, world};
use crate::support::{get, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_requests_with_a_revoked_token_cause_one_refresh() {
    let notion = MockNotion::start().await.unwrap();
    let provider = notion.provider_builder().unwrap().build().unwrap();
    let credentials = notion.connect();
    let bot = credentials.bot_id().unwrap().to_owned();
    let ann = "ann".into();
    let stored = provider.store_credentials(&ann, credentials.clone());
    stored.await.unwrap();
    let session = provider.session(ann.clone()).wrap(https_client());
    notion.revoke_access_token(credentials.access_token.expose());
    // These 401s arrive after the refresh.
    notion.hold_back_401s(100);

    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let request = get(&format!("{}/v1/users/me", notion.base_url()));
        let session = session.clone();
        requests.spawn(async move { session.oneshot(request).await.unwrap().status() });
    }
    let answers = requests.join_all().await;

    assert!(answers.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(notion.ledger().refreshes().len(), 1);
    let stored = provider.load_credentials(&ann).await.unwrap().unwrap();
    let (access, refresh) = notion.ledger().living_pair(&bot).unwrap();
    assert_eq!(stored.access_token.expose(), access);
    assert_eq!(stored.refresh_token.unwrap().expose(), refresh);
}

#[tokio::test(start_paused = true)]
async fn providers_that_share_a_store_refresh_once() {
    let world = world(|notion| notion.token_delay(seconds(2)));
    connect_revoked(&world, "ann").await;

    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let layer = NotionAuthLayer::refreshing(world.another_provider()).replaying(CloneBody);
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
