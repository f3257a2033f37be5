//! Too many requests: waited out, sent again, and nothing else sent twice.

use std::time::Duration;

use http::{Request, StatusCode, header::CONTENT_TYPE};
use notion_auth::{
    BoxError, NotionAuthLayer, RetryRateLimited, Subject,
    testing::notion::{Call, Fault},
};
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt as _};

use crate::support::{Body, World};

/// One request of Ann's through the policy, outside of the layer: the answer, how long it took on
/// paused time, in whole seconds, and how many requests reached Notion.
struct Sent {
    result: Result<StatusCode, BoxError>,
    seconds: u64,
    calls: usize,
}

async fn send(policy: RetryRateLimited, faults: impl IntoIterator<Item = Fault>) -> Sent {
    let world = World::new();
    world.connect("ann").await;
    world.notion.script(Call::Api, faults);
    let client = ServiceBuilder::new().retry(policy).service(world.client());
    let begun = Instant::now();
    let response = client.oneshot(world.get("ann")).await;
    Sent {
        result: response.map(|response| response.status()),
        seconds: begun.elapsed().as_secs(),
        calls: world.notion.ledger().api_calls().len(),
    }
}

impl Sent {
    #[track_caller]
    fn assert(&self, status: u16, calls: usize, seconds: u64) {
        let answered = self.result.as_ref().expect("an answer").as_u16();
        let is = (answered, self.calls, self.seconds);
        assert_eq!(is, (status, calls, seconds), "status, calls, seconds");
    }
}

fn limited(retry_after: u64) -> Fault {
    let retry_after = Some(retry_after);
    Fault::RateLimited { retry_after }
}

#[tokio::test(start_paused = true)]
async fn a_limited_request_waits_as_long_as_it_is_told_and_is_sent_again() {
    let sent = send(RetryRateLimited::new(), [limited(7)]).await;
    sent.assert(200, 2, 7);
    let sent = send(RetryRateLimited::new(), [limited(7), limited(3)]).await;
    sent.assert(200, 3, 10);
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_waited_out_too() {
    let sent = send(RetryRateLimited::new(), [Fault::StatusBefore(529)]).await;
    sent.assert(200, 2, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_word_the_pauses_double() {
    let unsaid = || Fault::RateLimited { retry_after: None };
    let faults = [unsaid(), unsaid(), unsaid()];
    let sent = send(RetryRateLimited::new().retries(3), faults).await;
    sent.assert(200, 4, 1 + 2 + 4);
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_goes_to_the_caller() {
    let always = || (0..9).map(|_| limited(1));
    let sent = send(RetryRateLimited::new(), always()).await;
    sent.assert(429, 3, 2);
    let sent = send(RetryRateLimited::new().retries(0), always()).await;
    sent.assert(429, 1, 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_wait_for_too_long_gets_the_answer_at_once() {
    let sent = send(RetryRateLimited::new(), [limited(61)]).await;
    sent.assert(429, 1, 0);
    let sent = send(RetryRateLimited::new(), [limited(60)]).await;
    sent.assert(200, 2, 60);
    let short = RetryRateLimited::new().longest_pause(Duration::from_secs(5));
    let sent = send(short, [limited(6)]).await;
    sent.assert(429, 1, 0);
    let day = 24 * 60 * 60;
    let sent = send(RetryRateLimited::new(), [limited(day)]).await;
    sent.assert(429, 1, 0);
    // More is a mistake, and not a reason to be gone for longer.
    for mistake in [day + 1, u64::MAX] {
        let sent = send(RetryRateLimited::new(), [limited(mistake)]).await;
        sent.assert(200, 2, 60);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_sent_again() {
    for status in [400, 403, 404, 409, 500, 502, 503, 504] {
        let sent = send(RetryRateLimited::new(), [Fault::StatusBefore(status)]).await;
        sent.assert(status, 1, 0);
    }
    let sent = send(RetryRateLimited::new(), [Fault::DropBefore]).await;
    assert!(sent.result.is_err());
    assert_eq!((sent.calls, sent.seconds), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn each_try_is_the_same_subject_s_with_the_credentials_of_its_moment() {
    let world = World::new();
    let first = world.connect("ann").await;
    world.connect("ben").await;
    world.notion.script(Call::Api, [limited(30)]);
    let client = ServiceBuilder::new()
        .retry(RetryRateLimited::new())
        .service(world.client());
    let request = Request::post(format!("{}/v1/search", world.notion.base_url()))
        .header(CONTENT_TYPE, "application/json")
        .extension(Subject::new("ann"))
        .body(Body::from(r#"{"query":"a"}"#))
        .unwrap();
    let sent = tokio::spawn(client.oneshot(request));
    // While it waits, the token that it was sent with is replaced.
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.provider.refresh(&"ann".into()).await.unwrap();
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);

    let second = world.provider.acquire(&"ann".into()).await.unwrap();
    let calls = world.notion.ledger().api_calls().to_vec();
    let tokens: Vec<_> = calls.iter().map(|call| call.token.as_deref()).collect();
    let expected = [first.access_token.expose(), second.expose_token()].map(Some);
    assert_eq!(tokens, expected);
    assert_ne!(expected[0], expected[1]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_pauses_takes_no_place_in_a_limit_within() {
    let world = World::new();
    world.connect("ann").await;
    world.notion.script(Call::Api, [limited(30)]);
    let client = ServiceBuilder::new()
        .retry(RetryRateLimited::new())
        .layer(NotionAuthLayer::refreshing(world.provider.clone()))
        .concurrency_limit(1)
        .service(world.notion.service());
    let begun = Instant::now();
    let pausing = tokio::spawn(client.clone().oneshot(world.get("ann")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = client.oneshot(world.get("ann")).await.unwrap();
    assert_eq!(
        (other.status().as_u16(), begun.elapsed().as_secs()),
        (200, 1)
    );
    assert_eq!(pausing.await.unwrap().unwrap().status(), 200);
    assert_eq!(begun.elapsed().as_secs(), 30);
}
