//! What is counted on the fast path: hits, and 401s that Notion did not send.

use notion_auth::{AccessToken, ExplicitCredentials, NotionAuthLayer, Subject, testing};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::recorder::TestRecorder;
use crate::{
    support::{Body, World, get},
    unauthorized::{ANSWERS, Sender, header_map},
};

/// How many hits were recorded since this was last called.
fn told(recorder: &TestRecorder) -> u64 {
    recorder.take_count("notion_auth_hits_total")
}

#[tokio::test(start_paused = true)]
async fn hits_are_told_in_batches_and_none_is_lost() {
    let recorder = TestRecorder::default();
    let _metrics = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    world.connect("ann").await;
    let inner = service_fn(|_: http::Request<_>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(()))
    });
    let mut service = NotionAuthLayer::refreshing(world.provider.clone())
        .without_replay()
        .layer(inner);
    let mut send = async |times| {
        for _ in 0..times {
            let sent = service.ready().await.unwrap().call(world.get("ann"));
            sent.await.unwrap();
        }
    };

    send(63).await;
    assert_eq!(told(&recorder), 0);
    send(1).await;
    assert_eq!(told(&recorder), 64);

    // With the first request that is none.
    send(3).await;
    let nobody = world.provider.acquire(&Subject::new("nobody")).await;
    assert!(nobody.is_err());
    assert_eq!(told(&recorder), 3);

    // And when the provider goes, with all threads' hits.
    send(5).await;
    drop(service);
    drop(world);
    assert_eq!(told(&recorder), 5);
}

#[tokio::test(start_paused = true)]
async fn a_hit_that_is_counted_allocates_no_more_than_one_that_is_not() {
    let recorder = TestRecorder::default();
    let inner = service_fn(|request: http::Request<_>| {
        drop(request);
        std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(())))
    });
    let mut counts = Vec::new();
    for is_recorded in [false, true] {
        let _metrics = is_recorded.then(|| metrics::set_default_local_recorder(&recorder));
        let world = World::new();
        world.connect("ann").await;
        let mut service = NotionAuthLayer::refreshing(world.provider.clone())
            .without_replay()
            .layer(inner);
        let requests: Vec<_> = (0..200).map(|_| world.get("ann")).collect();
        let mut sent = Vec::with_capacity(requests.len());
        let hits = || sent.extend(requests.into_iter().map(|request| service.call(request)));
        counts.push(allocation_counter::measure(hits).count_total);
    }
    assert_eq!(told(&recorder), 200);
    assert_eq!(counts[0], counts[1]);
    // The header map grows, once for each request, as it would for two inserts.
    assert!(counts[0] <= 400, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_401_that_is_not_notions_is_counted_whatever_was_sent() {
    const NAME: &str = "notion_auth_foreign_unauthorized_total";

    let recorder = TestRecorder::default();
    let _metrics = metrics::set_default_local_recorder(&recorder);
    let explicit = ExplicitCredentials::new(&AccessToken::new("ntn_1")).unwrap();
    let fixed = testing::fixed_token("ntn_1", "https://api.notion.com").unwrap();
    for (headers, sender) in ANSWERS {
        let inner = service_fn(move |_: http::Request<Body>| async move {
            let mut response = http::Response::new(());
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
            *response.headers_mut() = header_map(headers);
            Ok::<_, std::convert::Infallible>(response)
        });
        let world = World::new();
        world.connect("ann").await;
        let layer = NotionAuthLayer::refreshing(world.provider.clone()).without_replay();
        let mut own = world.get("ann");
        own.extensions_mut().insert(explicit.clone());
        let hit = layer.layer(inner).oneshot(world.get("ann"));
        let with_own = layer.layer(inner).oneshot(own);
        let reporting = layer.clone().reporting_credentials().layer(inner);
        let reported = reporting.oneshot(world.get("ann"));
        let integration = NotionAuthLayer::refreshing(fixed.clone())
            .without_replay()
            .layer(inner);
        let integration = integration.oneshot(get("https://api.notion.com/"));
        let is_foreign = u64::from(sender == Sender::Foreign);
        hit.await.unwrap();
        assert_eq!(recorder.take_count(NAME), is_foreign, "{headers:?}");
        with_own.await.unwrap();
        assert_eq!(recorder.take_count(NAME), is_foreign, "{headers:?}");
        reported.await.unwrap();
        assert_eq!(recorder.take_count(NAME), is_foreign, "{headers:?}");
        integration.await.unwrap();
        assert_eq!(recorder.take_count(NAME), is_foreign, "{headers:?}");
    }
}
