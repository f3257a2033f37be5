//! Refreshes that fail: the error, the pause before the next attempt, and what is kept.

use std::{
    future::Pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use notion_auth::{
    BoxError, Event, NotionAppCredentials, ReauthorizationReason, Subject,
    store::{Filter, ListQuery, RecordState},
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::{task::JoinSet, time::sleep};
use tower::Service;

use super::{Events, connect_revoked, observed_world, request_error, seconds, world};
use crate::support::{Body, World, auth_error, send, status};

#[tokio::test(start_paused = true)]
async fn failed_refresh_is_shared_by_its_waiters_and_backs_off() {
    let world = World::new();
    connect_revoked(&world, "ann").await;
    let retry_after = Some(30);
    let limited = Fault::after_delay(seconds(1), Fault::RateLimited { retry_after });
    world.notion.always(Call::Refresh, Some(limited));

    let mut requests = JoinSet::new();
    for _ in 0..100 {
        requests.spawn(send(world.client(), world.get("ann")));
    }
    for answer in requests.join_all().await {
        let error = answer.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_transient(), "{error}");
        assert!(error.retry_after().is_some());
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);

    // The back-off holds from memory and from the record.
    for _ in 0..10 {
        sleep(seconds(2)).await;
        assert!(request_error(&world).await.is_transient());
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);

    world.notion.always(Call::Refresh, None);
    sleep(seconds(15)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_the_next_refresh_by_at_most_an_hour() {
    let hour = seconds(3600);
    for retry_after in [31_536_000, u64::MAX].map(Some) {
        let world = World::new();
        connect_revoked(&world, "ann").await;
        let limited = Fault::RateLimited { retry_after };
        world.notion.script(Call::Refresh, [limited]);
        let error = request_error(&world).await;
        assert!(error.is_transient(), "{error}");
        assert_eq!(error.retry_after(), Some(hour), "{retry_after:?}");

        sleep(hour).await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        world.assert_nothing_lost("ann").await;
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_without_a_usable_answer_is_sent_again() {
    // After `DropAfter` the token is spent: the server must accept it again within the grace window.
    for fault in [Fault::DropAfter, Fault::StatusBefore(503)] {
        let world = world(|notion| notion.grace(seconds(60)));
        connect_revoked(&world, "ann").await;
        world.notion.script(Call::Refresh, [fault.clone()]);

        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        assert_eq!(world.notion.ledger().refreshes().len(), 2, "{fault:?}");
        world.assert_nothing_lost("ann").await;
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_grant_requires_reauthorization_until_a_reconnect() {
    let (world, events) = observed_world();
    let credentials = world.connect("ann").await;
    let refresh_token = credentials.refresh_token.as_ref().unwrap();
    world.notion.revoke_grant(refresh_token.expose());

    let revoked = ReauthorizationReason::Revoked;
    for _ in 0..3 {
        let error = request_error(&world).await;
        assert_eq!(error.needs_reauthorization(), Some(revoked));
        assert_eq!(error.to_response().status(), 401);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    let is_end = |event: &Event| matches!(event, Event::NeedsReauthorization { .. });
    assert_eq!(events.count(is_end), 1);
    let query = ListQuery::default().filter(Filter::NeedsReauthorization);
    let listed = world.provider.list(&query).await.unwrap();
    let states: Vec<_> = listed.iter().map(|it| it.state).collect();
    assert_eq!(states, [RecordState::NeedsReauthorization(revoked)]);

    world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn invalid_client_pauses_all_refreshes_and_ends_no_connection() {
    let world = World::new();
    for subject in ["ann", "ben"] {
        connect_revoked(&world, subject).await;
    }
    let invalid_client = Fault::refuse(401, "invalid_client");
    world.notion.always(Call::Refresh, Some(invalid_client));

    for subject in ["ann", "ben", "ann"] {
        let error = send(world.client(), world.get(subject)).await.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_configuration(), "{error}");
        assert_eq!(error.to_response().status(), 500);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);

    world.notion.always(Call::Refresh, None);
    sleep(seconds(61)).await;
    for subject in ["ann", "ben"] {
        assert_eq!(status(world.client(), world.get(subject)).await, 200);
        world.assert_nothing_lost(subject).await;
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_client_is_reported_while_an_attempt_is_in_doubt() {
    let (world, events) = observed_world();
    connect_revoked(&world, "ann").await;
    let unavailable = Fault::StatusBefore(503);
    world.notion.script(Call::Refresh, [unavailable]);
    let invalid_client = Fault::refuse(401, "invalid_client");
    world.notion.always(Call::Refresh, Some(invalid_client));
    let _ = send(world.client(), world.get("ann")).await;
    sleep(seconds(60)).await;
    assert!(events.count(|event| *event == Event::AppRejected) > 0);

    // The connection works again as soon as the client does.
    world.notion.always(Call::Refresh, None);
    sleep(seconds(600)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn incomplete_oauth_client_is_a_configuration_error() {
    let world = World::new();
    let app = NotionAppCredentials::builder().client_id("only-an-id");
    let builder = world.notion.provider_builder().unwrap();
    let provider = builder.app(app.build().unwrap()).build().unwrap();
    let ann = Subject::new("ann");
    let stored = provider.store_credentials(&ann, world.notion.connect());
    stored.await.unwrap();

    let error = provider.refresh(&ann).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    assert!(error.to_string().contains("NOTION_CLIENT_SECRET"));
    let answer = error.to_response();
    assert_eq!(answer.status(), 500);
    assert!(answer.body().contains("NOTION_CLIENT_SECRET"));
}

/// A transport that never becomes ready, and counts the attempts to use it.
#[derive(Default)]
struct NeverReady {
    uses: Arc<AtomicUsize>,
}

impl Clone for NeverReady {
    fn clone(&self) -> Self {
        self.uses.fetch_add(1, Ordering::Relaxed);
        Self {
            uses: Arc::clone(&self.uses),
        }
    }
}

impl Service<Request<Body>> for NeverReady {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pending<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        panic!("called without being ready")
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_transport_fails_and_is_not_used_without_a_request() {
    let transport = NeverReady::default();
    let uses = Arc::clone(&transport.uses);
    let events = Events::default();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.transport(transport).observer(events.observer())
    });
    connect_revoked(&world, "ann").await;
    let error = request_error(&world).await;
    assert!(error.is_transient(), "{error}");

    sleep(seconds(3600)).await;
    assert_eq!(uses.load(Ordering::Relaxed), 1, "tries in an hour");
    let is_failure = |event: &Event| matches!(event, Event::RefreshFailed { .. });
    assert_eq!(events.count(is_failure), 1);
}
