//! Only a 401 that can be Notion's leads to a refresh.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use notion_auth::{
    NotionAuthLayer, Subject, https_client,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};

use super::{ANSWERS, Between, ID, JSON, PAGE, Sender::Foreign, TYPE, header_map};
use crate::support::{Body, World, get, status};

async fn page(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test(start_paused = true)]
async fn only_a_401_that_can_be_notions_leads_to_a_refresh() {
    for (headers, sender) in ANSWERS {
        for is_replaying in [true, false] {
            let case = format!("{headers:?}, replaying: {is_replaying}");
            let (world, between) = (World::new(), Between::default());
            let stored = world.connect("ann").await;
            let service = between.service(world.notion.service());
            let layer = NotionAuthLayer::refreshing(world.provider.clone());
            let request = |request| {
                let (layer, service) = (layer.clone(), service.clone());
                async move {
                    if is_replaying {
                        layer.layer(service).oneshot(request).await.unwrap()
                    } else {
                        let layer = layer.without_replay();
                        layer.layer(service).oneshot(request).await.unwrap()
                    }
                }
            };

            between.answer(401, headers);
            let response = request(world.get("ann")).await;
            assert_eq!(response.status(), 401, "{case}");
            assert_eq!(response.headers(), &header_map(headers), "{case}");
            assert_eq!(page(response).await, PAGE, "{case}");
            let tries = 1 + usize::from(is_replaying && sender != Foreign);
            assert_eq!(between.answered(), tries, "{case}");
            sleep(Duration::from_secs(120)).await;

            between.answer(401, None);
            assert_eq!(request(world.get("ann")).await.status(), 200, "{case}");
            let refreshes = usize::from(sender != Foreign);
            assert_eq!(world.notion.ledger().refreshes().len(), refreshes, "{case}");
            let is_same = !world
                .notion
                .ledger()
                .api_calls_with(stored.access_token.expose())
                .is_empty();
            assert_eq!(is_same, sender == Foreign, "{case}");
            world.assert_nothing_lost("ann").await;
        }
    }
}

#[tokio::test]
async fn a_401_over_http_counts_by_the_same_rule() {
    let (notion, between) = (MockNotion::start().await.unwrap(), Between::default());
    let api = between.serve().await;
    for (headers, sender) in ANSWERS {
        let before = notion.ledger().refreshes().len();
        let builder = notion.provider_builder().unwrap().api_url(&api);
        let provider = builder.build().unwrap();
        let ann = Subject::new("ann");
        let stored = provider.store_credentials(&ann, notion.connect());
        stored.await.unwrap();
        let client = NotionAuthLayer::refreshing(provider).layer(https_client::<Body>());
        between.answer(401, headers);
        let mut request = get(&format!("{api}/v1/users/me"));
        request.extensions_mut().insert(ann);
        let response = client.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 401);
        let refreshes = notion.ledger().refreshes().len() - before;
        assert_eq!(refreshes, usize::from(sender != Foreign), "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_statuses_pass_through_whatever_their_headers() {
    for status in [200, 400, 402, 403, 404, 407, 429, 500] {
        for headers in [&[(ID, "1"), (TYPE, JSON)][..], &[]] {
            let (world, between) = (World::new(), Between::default());
            world.connect("ann").await;
            let layer = NotionAuthLayer::refreshing(world.provider.clone()).without_replay();
            let client = layer.layer(between.service(world.notion.service()));
            between.answer(status, headers);
            let response = client.clone().oneshot(world.get("ann")).await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(between.answered(), 1);
            sleep(Duration::from_secs(120)).await;
            between.answer(status, None);
            let response = client.oneshot(world.get("ann")).await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(world.notion.ledger().refreshes().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sign_in_page_spends_nothing_and_passes_through() {
    let world = World::new();
    world.connect("ann").await;
    world
        .notion
        .script(Call::Api, [Fault::ProxySignIn, Fault::ProxySignIn]);
    for expected in [401, 401, 200] {
        assert_eq!(status(world.client(), world.get("ann")).await, expected);
    }
    assert!(world.notion.ledger().refreshes().is_empty());
}
