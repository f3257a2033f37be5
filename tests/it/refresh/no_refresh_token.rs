//! Credentials without a refresh token. See also `unauthorized::no_refresh_token`.

use http::Response;
use notion_auth::{
    BoxError, ReauthorizationReason, Subject,
    testing::notion::{Call, Fault, MockBody},
};
use tokio::time::sleep;

use super::{connect_revoked, request_error, seconds, world};
use crate::support::{World, auth_error, send};

/// Creates a mock server that grants no refresh tokens, and connects ann, whose access token is revoked.
async fn revoked_world() -> World {
    let world = world(|notion| notion.refresh_tokens(false));
    connect_revoked(&world, "ann").await;
    world
}

/// Returns whether the credentials need reauthorization. Otherwise the response must be a 401.
fn needs_reauthorization(answer: &Result<Response<MockBody>, BoxError>) -> bool {
    match answer {
        Ok(answer) => {
            assert_eq!(answer.status(), 401);
            false
        }
        Err(error) => {
            let reason = auth_error(error).needs_reauthorization();
            assert_eq!(reason, Some(ReauthorizationReason::NoRefreshToken));
            true
        }
    }
}

#[tokio::test(start_paused = true)]
async fn overlapping_refusals_lead_to_reauthorization() {
    let world = revoked_world().await;
    for _ in 0..30 {
        let delays = [1, 2].map(|delay| Fault::Delay(seconds(delay)));
        world.notion.script(Call::Api, delays);
        let (first, second) = tokio::join!(
            send(world.client(), world.get("ann")),
            send(world.client(), world.get("ann"))
        );
        if [first, second].iter().any(needs_reauthorization) {
            return;
        }
    }
    panic!("60 refusals have not led to reauthorization");
}

#[tokio::test(start_paused = true)]
async fn refusals_minutes_apart_lead_to_reauthorization() {
    let world = revoked_world().await;
    for _ in 0..10 {
        // Longer than the revalidation age: each request starts a read of the store.
        sleep(seconds(120)).await;
        let slow = Fault::Delay(seconds(1));
        world.notion.script(Call::Api, [slow]);
        if needs_reauthorization(&send(world.client(), world.get("ann")).await) {
            return;
        }
    }
    panic!("10 refusals have not led to reauthorization");
}

#[tokio::test(start_paused = true)]
async fn refusals_reported_for_requests_in_flight_count_once() {
    let world = revoked_world().await;
    let ann = Subject::new("ann");
    // Both are sent before either is refused.
    let first = world.provider.acquire(&ann).await.unwrap();
    let second = world.provider.acquire(&ann).await.unwrap();
    let next = world.provider.refused(&ann, &first).await.unwrap();
    let late = world.provider.refused(&ann, &second).await.unwrap();
    assert_eq!(late.generation(), next.generation());

    sleep(seconds(30)).await;
    let error = world.provider.refused(&ann, &next).await.unwrap_err();
    let reason = error.needs_reauthorization();
    assert_eq!(reason, Some(ReauthorizationReason::NoRefreshToken));
}

#[tokio::test(start_paused = true)]
async fn expiry_without_a_refresh_token_requires_reauthorization() {
    let world = world(|notion| notion.refresh_tokens(false));
    world.connect_expiring("ann", seconds(60)).await;
    sleep(seconds(60)).await;
    let error = request_error(&world).await;
    let reason = error.needs_reauthorization();
    assert_eq!(reason, Some(ReauthorizationReason::Expired));
    assert!(error.to_string().contains("connected again"), "{error}");
}
