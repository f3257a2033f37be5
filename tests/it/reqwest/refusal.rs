//! Requests whose token is refused.

use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http_body_util::Full;
use notion_auth::{
    Mode, ReauthorizationReason,
    integrations::reqwest::NotionAuthMiddleware,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use reqwest::{Body, redirect::Policy};
use tokio::task::JoinSet;

use super::{Spy, World, ann, around, auth_error, connect, http};
use crate::unauthorized::{ANSWERS, Between, Sender};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_requests_with_a_refused_token_cause_one_refresh() {
    let notion = MockNotion::builder().token_delay(Duration::from_millis(50));
    let world = World::with(notion.start().await.unwrap()).await;
    let client = world.client();
    world.revoke();
    // These 401s arrive long after the new token is in use.
    world.notion.hold_back_401s(10);

    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let request = world.me(&client).with_extension(ann());
        requests.spawn(async move { request.send().await.unwrap().status() });
    }
    for status in requests.join_all().await {
        assert_eq!(status, 200);
    }
    assert_eq!(world.refreshes(), 1);
    let stored = world.provider.load_credentials(&ann()).await.unwrap();
    let bot = world.ann.bot_id().unwrap();
    let (access, _) = world.notion.ledger().living_pair(bot).unwrap();
    assert_eq!(stored.unwrap().access_token.expose(), access);
}

#[tokio::test]
async fn replay_is_the_whole_request_with_only_the_new_token() {
    let (world, spy) = (World::new().await, Spy::default());
    let client = spy.behind(world.middleware());
    world.revoke();
    let request = client.post(format!("{}/v1/search", world.notion.base_url()));
    let request = request.header("content-type", "application/json");
    let request = request.header("x-trace", "7").body("{}");
    let response = request.with_extension(ann()).send().await;
    assert_eq!(response.unwrap().status(), 200);

    let seen = spy.0.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].0[AUTHORIZATION], seen[1].0[AUTHORIZATION]);
    for (headers, body) in seen.iter() {
        assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
        assert!(headers[AUTHORIZATION].is_sensitive());
        assert_eq!(headers["x-trace"], "7");
        assert_eq!(body.as_deref(), Some(&b"{}"[..]));
    }
}

#[tokio::test]
async fn streaming_request_gets_the_401_and_the_next_the_new_token() {
    let world = World::new().await;
    let client = world.client();
    world.revoke();
    let search = || {
        let stream = Body::wrap(Full::new(Bytes::from_static(b"{}")));
        client
            .post(format!("{}/v1/search", world.notion.base_url()))
            .header("content-type", "application/json")
            .with_extension(ann())
            .body(stream)
            .send()
    };
    let refused = search().await.unwrap();
    assert_eq!(refused.status(), 401);
    let body = refused.text().await.unwrap();
    assert!(body.contains(r#""code":"unauthorized""#), "{body}");
    assert_eq!(search().await.unwrap().status(), 200);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn fail_fast_request_gets_the_401_and_the_next_one_an_error() {
    let world = World::new().await;
    let middleware = NotionAuthMiddleware::fail_fast(world.provider.clone());
    let client = around(http(Policy::none()), middleware);
    world.revoke();
    let request = || world.me(&client).with_extension(ann()).send();
    assert_eq!(request().await.unwrap().status(), 401);
    let error = request().await.unwrap_err();
    assert!(auth_error(&error).is_expired(), "{error:?}");
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn refused_refresh_is_an_auth_error() {
    let world = World::new().await;
    let client = world.client();
    let refresh_token = world.ann.refresh_token.as_ref().unwrap();
    world.notion.revoke_grant(refresh_token.expose());
    let error = world.me(&client).with_extension(ann()).send().await;
    let error = error.unwrap_err();
    let reason = auth_error(&error).needs_reauthorization();
    assert_eq!(reason, Some(ReauthorizationReason::Revoked));
}

#[tokio::test]
async fn only_a_401_of_notion_causes_a_refresh() {
    let between = Between::default();
    let api = between.serve().await;
    for (headers, sender) in ANSWERS {
        let notion = MockNotion::start().await.unwrap();
        let builder = notion.provider_builder().unwrap().api_url(&api);
        let provider = builder.build().unwrap();
        connect(&notion, &provider, "ann").await;
        let middleware = NotionAuthMiddleware::refreshing(provider);
        let client = around(http(Policy::none()), middleware);
        between.answer(401, headers);
        let before = between.answered();
        let request = client.get(format!("{api}/v1/users/me"));
        let response = request.with_extension(ann()).send().await.unwrap();
        assert_eq!(response.status(), 401);
        let refreshes = notion.ledger().refreshes().len();
        assert_eq!(
            refreshes,
            usize::from(sender != Sender::Foreign),
            "{headers:?}"
        );
        assert_eq!(between.answered() - before, 1 + refreshes, "{headers:?}");
    }
}

#[tokio::test]
async fn two_refusals_without_a_refresh_token_end_the_connection() {
    let notion = MockNotion::builder().refresh_tokens(false);
    let world = World::with(notion.start().await.unwrap()).await;
    let client = world.client();
    world.revoke();
    for seconds in [10, 20, 0] {
        let response = world.me(&client).with_extension(ann()).send().await;
        assert_eq!(response.unwrap().status(), 401);
        world.clock.advance(Duration::from_secs(seconds));
    }
    let error = world.me(&client).with_extension(ann()).send().await;
    let error = error.unwrap_err();
    let reason = auth_error(&error).needs_reauthorization();
    assert_eq!(reason, Some(ReauthorizationReason::NoRefreshToken));
}

#[tokio::test]
async fn second_refusal_is_returned_after_one_replay() {
    let (world, spy) = (World::new().await, Spy::default());
    let client = spy.behind(world.middleware());
    let refusal = Fault::refuse(401, "unauthorized");
    world.notion.always(Call::Api, Some(refusal));
    let response = world.me(&client).with_extension(ann()).send().await;
    assert_eq!(response.unwrap().status(), 401);
    assert_eq!(spy.0.lock().unwrap().len(), 2);
    assert_eq!(world.refreshes(), 1);
    // The new token is known to be refused, too.
    let request = world.me(&client).with_extension(ann());
    let error = request.with_extension(Mode::FailFast).send().await;
    assert!(auth_error(&error.unwrap_err()).is_expired());
}
