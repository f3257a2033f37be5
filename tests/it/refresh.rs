//! The daily case: one refresh, whoever asks, and nothing lost.

use std::{
    future::Pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use notion_auth::{
    BoxError, Event, NotionAppCredentials, NotionAuthLayer, NotionUserCredentials,
    ReauthorizationReason, Subject, https_client,
    provider::{NotionAuthProviderBuilder, UnknownExpiry},
    store::{Filter, ListQuery, RecordState},
    testing::{
        MockNotion, fixed_token,
        notion::{Call, Fault, MockBody},
    },
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer, Service, ServiceExt};

use crate::support::{Body, World, auth_error, send, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_with_a_refused_token_spend_one_refresh_token() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_millis(50))
        .start()
        .await
        .unwrap();
    let provider = notion.provider_builder().unwrap().build().unwrap();
    let credentials = notion.connect();
    let bot = credentials.bot_id().unwrap().to_owned();
    let subject = Subject::new("ann");
    provider
        .store_credentials(&subject, credentials.clone())
        .await
        .unwrap();
    let session = provider.session(subject.clone()).wrap(https_client());
    notion.revoke_access_token(credentials.access_token.expose());
    // These 401s come when the new token is long in use.
    notion.hold_back_401s(100);

    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let request = crate::support::get(&format!("{}/v1/users/me", notion.base_url()));
        let session = session.clone();
        requests.spawn(async move { session.oneshot(request).await.unwrap().status() });
    }
    let answers = requests.join_all().await;

    assert!(answers.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(notion.ledger().refreshes().len(), 1);
    let stored = provider.load_credentials(&subject).await.unwrap().unwrap();
    let (access, refresh) = notion.ledger().living_pair(&bot).unwrap();
    assert_eq!(stored.access_token.expose(), access);
    assert_eq!(stored.refresh_token.unwrap().expose(), refresh);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_by_all_who_wait_and_followed_by_a_back_off() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    world.notion.always(
        Call::Refresh,
        Some(Fault::after_delay(
            Duration::from_secs(1),
            Fault::RateLimited {
                retry_after: Some(30),
            },
        )),
    );

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

    // During the back-off nobody asks Notion again, from memory or from the record.
    for _ in 0..10 {
        sleep(Duration::from_secs(2)).await;
        let error = send(world.client(), world.get("ann")).await.unwrap_err();
        assert!(auth_error(&error).is_transient());
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);

    world.notion.always(Call::Refresh, None);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_late_401_of_an_old_generation_refreshes_nothing() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    world.notion.hold_back_401s(1);
    let layer = NotionAuthLayer::refreshing(world.provider.clone());
    let unreplayed = layer.layer(world.notion.service());

    let straggler = tokio::spawn(unreplayed.oneshot(world.get("ann")));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);

    // Its token was refused, and it is told so; the new one is not touched.
    assert_eq!(straggler.await.unwrap().unwrap().status(), 401);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_401_does_not_touch_credentials_that_were_connected_meanwhile() {
    let world = World::new();
    let old = world.connect("ann").await;
    world.notion.revoke_access_token(old.access_token.expose());
    // Held back until a refresh of its family, which never comes.
    world.notion.script(
        Call::Api,
        [Fault::after_delay(Duration::from_secs(5), Fault::None)],
    );
    let late = tokio::spawn(send(world.client(), world.get("ann")));
    sleep(Duration::from_secs(1)).await;

    world.connect("ann").await;
    assert_eq!(late.await.unwrap().unwrap().status(), 200);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert!(world.notion.ledger().refreshes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_replay_the_401_goes_back_and_the_next_request_has_the_new_token() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let client = NotionAuthLayer::refreshing(world.provider.clone()).layer(world.notion.service());
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());

    let refused = client.clone().oneshot(world.get("ann")).await.unwrap();
    assert_eq!(refused.status(), 401);
    let next = client.clone().oneshot(world.get("ann")).await.unwrap();
    assert_eq!(next.status(), 200);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn account_that_is_always_refused_is_refreshed_ever_more_seldom() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let bot = credentials.bot_id().unwrap();
    world.notion.restrict_account(bot, true);
    let peer = world.another_provider();
    let start = Instant::now();
    let mut refreshed_at = Vec::new();
    while start.elapsed() < Duration::from_secs(3 * 3600) {
        // Through two processes in turn, which share the streak.
        let acquired = peer.acquire(&"ann".into()).await.unwrap();
        drop(peer.refused(&"ann".into(), &acquired).await);
        assert_eq!(status(world.client(), world.get("ann")).await, 401);
        if refreshed_at.len() < world.notion.ledger().refreshes().len() {
            refreshed_at.push(start.elapsed().as_secs());
        }
        sleep(Duration::from_secs(1)).await;
    }
    let pauses: Vec<u64> = refreshed_at.windows(2).map(|it| it[1] - it[0]).collect();
    let expected = [5, 10, 20, 40, 60, 60, 60, 60, 60, 3600, 3600];
    assert_eq!(pauses.len(), expected.len(), "{pauses:?}");
    for (pause, expected) in pauses.iter().zip(expected) {
        assert!((expected..expected + 3).contains(pause), "{pauses:?}");
    }
    world.assert_nothing_lost("ann").await;

    // Connected again, it works at once.
    world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn revocations_far_apart_cost_nothing() {
    let world = World::new();
    world.connect("ann").await;
    for round in 1..=5 {
        sleep(Duration::from_secs(80)).await;
        let acquired = world.provider.acquire(&"ann".into()).await.unwrap();
        world.notion.revoke_access_token(acquired.expose_token());
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        assert_eq!(world.notion.ledger().refreshes().len(), round);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_refreshed_before_the_request_is_sent() {
    let world = World::with(MockNotion::builder().expires_in(3600).in_process(), |b| b);
    let credentials = exchanged(&world, "ann").await;
    sleep(Duration::from_secs(3600 - 9)).await;

    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    let ledger = world.notion.ledger();
    assert_eq!(ledger.refreshes().len(), 1);
    let old = ledger.api_calls_with(credentials.access_token.expose());
    assert!(old.is_empty(), "the expired token was sent: {old:?}");
}

#[tokio::test(start_paused = true)]
async fn inside_the_refresh_window_the_token_is_used_and_refreshed_behind() {
    let notion = MockNotion::builder()
        .expires_in(3600)
        .keep_old_access_tokens(true)
        .token_delay(Duration::from_secs(3))
        .in_process();
    let world = World::with(notion, |b| b);
    exchanged(&world, "ann").await;
    let start = Instant::now();

    sleep(Duration::from_secs(3600 - 400)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert!(world.notion.ledger().refreshes().is_empty(), "too early");

    sleep(Duration::from_secs(200)).await;
    let before = Instant::now();
    for _ in 0..20 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "a request waited");

    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    assert!(start.elapsed() < Duration::from_secs(3600));
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_kept_when_its_refresh_fails() {
    let notion = MockNotion::builder()
        .expires_in(3600)
        .keep_old_access_tokens(true)
        .in_process();
    let world = World::with(notion, |b| b);
    exchanged(&world, "ann").await;
    world.notion.always(
        Call::Refresh,
        Some(Fault::RateLimited { retry_after: None }),
    );

    sleep(Duration::from_secs(3600 - 200)).await;
    for _ in 0..100 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        sleep(Duration::from_secs(1)).await;
    }
    let tries = world.notion.ledger().refreshes().len();
    assert!((1..30).contains(&tries), "{tries} tries in 100 seconds");

    world.notion.always(Call::Refresh, None);
    sleep(Duration::from_secs(80)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_maximum_age_stands_in_for_an_expiry_that_is_not_known() {
    let age = Duration::from_secs(600);
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.unknown_expiry(UnknownExpiry::MaxAge(age))
    });
    world.connect("ann").await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert!(world.notion.ledger().refreshes().is_empty());

    sleep(Duration::from_secs(500)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_an_expiry_is_trusted_until_it_is_refused() {
    let world = World::new();
    world.connect("ann").await;
    sleep(Duration::from_secs(365 * 24 * 3600)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert!(world.notion.ledger().refreshes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn invalid_grant_ends_the_connection_once_and_a_reconnect_mends_it() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.observer(move |event: &Event| sink.lock().unwrap().push(event.clone()))
    });
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_grant(credentials.refresh_token.as_ref().unwrap().expose());

    for _ in 0..3 {
        let error = send(world.client(), world.get("ann")).await.unwrap_err();
        let error = auth_error(&error);
        assert_eq!(
            error.needs_reauthorization(),
            Some(ReauthorizationReason::Revoked)
        );
        assert_eq!(error.to_response().status(), 401);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    let ends = |event: &Event| matches!(event, Event::NeedsReauthorization { .. });
    let count = events.lock().unwrap().iter().filter(|it| ends(it)).count();
    assert_eq!(count, 1);
    let listed = world
        .provider
        .list(&ListQuery::default().filter(Filter::NeedsReauthorization))
        .await
        .unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        listed[0].state,
        RecordState::NeedsReauthorization(ReauthorizationReason::Revoked)
    );

    world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn credentials_without_a_refresh_token_end_by_two_refusals_30_s_apart() {
    let world = World::with(
        MockNotion::builder().refresh_tokens(false).in_process(),
        |b| b,
    );
    let credentials = world.connect("ann").await;
    assert!(credentials.refresh_token.is_none());
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());

    // These 401s go back as they are.
    for _ in 0..29 {
        assert_eq!(status(world.client(), world.get("ann")).await, 401);
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(1)).await;
    // So does this one, and from then on it is known.
    assert_eq!(status(world.client(), world.get("ann")).await, 401);
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    assert_eq!(
        auth_error(&error).needs_reauthorization(),
        Some(ReauthorizationReason::NoRefreshToken)
    );
    assert!(world.notion.ledger().refreshes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn stragglers_do_not_count_as_the_second_chance() {
    let world = World::with(
        MockNotion::builder().refresh_tokens(false).in_process(),
        |b| b,
    );
    let credentials = world.connect("ann").await;
    world
        .notion
        .restrict_account(credentials.bot_id().unwrap(), true);
    let mut requests = JoinSet::new();
    for seconds in 1..20 {
        world
            .notion
            .script(Call::Api, [Fault::Delay(Duration::from_secs(seconds))]);
        requests.spawn(status(world.client(), world.get("ann")));
    }
    for status in requests.join_all().await {
        assert_eq!(status, 401);
    }
    world
        .notion
        .restrict_account(credentials.bot_id().unwrap(), false);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_stops_refreshes_for_the_whole_app_and_harms_nobody() {
    let world = World::new();
    for subject in ["ann", "ben"] {
        let credentials = world.connect(subject).await;
        world
            .notion
            .revoke_access_token(credentials.access_token.expose());
    }
    world
        .notion
        .always(Call::Refresh, Some(Fault::refuse(401, "invalid_client")));

    for subject in ["ann", "ben", "ann"] {
        let error = send(world.client(), world.get(subject)).await.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_configuration(), "{error}");
        assert_eq!(error.to_response().status(), 500);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);

    world.notion.always(Call::Refresh, None);
    sleep(Duration::from_secs(61)).await;
    for subject in ["ann", "ben"] {
        assert_eq!(status(world.client(), world.get(subject)).await, 200);
        world.assert_nothing_lost(subject).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_replayed_and_a_server_that_remembers_gives_the_pair_again() {
    let notion = MockNotion::builder()
        .grace(Duration::from_secs(60))
        .in_process();
    let world = World::with(notion, |b| b);
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    world.notion.script(Call::Refresh, [Fault::DropAfter]);

    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(world.notion.ledger().refreshes().len(), 2);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_never_left_is_tried_again_later() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    world
        .notion
        .script(Call::Refresh, [Fault::StatusBefore(503)]);

    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn providers_that_share_a_store_spend_one_refresh_token() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(2))
        .in_process();
    let world = World::with(notion, |b| b);
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());

    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let layer =
            NotionAuthLayer::refreshing(world.another_provider()).replaying(notion_auth::CloneBody);
        for _ in 0..20 {
            requests.spawn(status(
                layer.layer(world.notion.service()),
                world.get("ann"),
            ));
        }
    }
    for status in requests.join_all().await {
        assert_eq!(status, 200);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_elsewhere_is_seen_within_the_revalidation_age() {
    let world = World::new();
    world.connect("ann").await;
    let other = world.another_provider();
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    other.delete_credentials(&"ann".into()).await.unwrap();

    sleep(Duration::from_secs(61)).await;
    // This one still has the token, and sees to it behind.
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    sleep(Duration::from_secs(1)).await;
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    assert!(auth_error(&error).is_not_connected());
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_refreshes_and_starts_no_more() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(4))
        .in_process();
    let world = World::with(notion, |b| b);
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    let request = tokio::spawn(status(world.client(), world.get("ann")));
    sleep(Duration::from_secs(1)).await;

    assert!(
        world
            .provider
            .shutdown(Duration::from_secs(1))
            .await
            .is_err()
    );
    world
        .provider
        .shutdown(Duration::from_secs(10))
        .await
        .expect("the refresh ends in time");
    assert_eq!(request.await.unwrap(), 200);
    world.assert_nothing_lost("ann").await;

    let (access, _) = world
        .notion
        .ledger()
        .living_pair(credentials.bot_id().unwrap())
        .unwrap();
    world.notion.revoke_access_token(&access);
    sleep(Duration::from_secs(120)).await;
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    assert!(auth_error(&error).is_transient());
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn hosts_with_another_client_refuse_and_refresh_by_hand() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let subject = Subject::new("ann");
    let first = world.provider.acquire(&subject).await.unwrap();
    assert_eq!(first.expose_token(), credentials.access_token.expose());
    assert!(first.authorization().is_sensitive());

    let second = world.provider.refused(&subject, &first).await.unwrap();
    assert_eq!(second.generation(), 2);
    // Told again of the old one, it has the new one ready; told of the new one so soon, it declines.
    for refused in [&first, &second] {
        let again = world.provider.refused(&subject, refused).await.unwrap();
        assert_eq!(again.generation(), 2);
    }
    let third = world.provider.refresh(&subject).await.unwrap();
    assert_eq!(third.generation(), 3);
    assert_eq!(world.notion.ledger().refreshes().len(), 2);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_revokes_and_overrules_a_refresh_under_way() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(2))
        .in_process();
    let world = World::with(notion, |b| b);
    let credentials = world.connect("ann").await;
    let bot = credentials.bot_id().unwrap();
    let subject = Subject::new("ann");
    let refresh = tokio::spawn({
        let provider = world.provider.clone();
        let subject = subject.clone();
        async move { provider.refresh(&subject).await }
    });
    sleep(Duration::from_secs(1)).await;

    world.provider.disconnect(&subject).await.unwrap();
    let error = refresh.await.unwrap().unwrap_err();
    assert!(error.is_not_connected() || error.is_transient(), "{error}");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.notion.ledger().living_pair(bot), None);
    assert_eq!(world.provider.status(&subject).await.unwrap(), None);
    // Again, it does nothing.
    world.provider.disconnect(&subject).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_refresh_obtains_after_a_disconnect_is_revoked() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let bot = credentials.bot_id().unwrap();
    let subject = Subject::new("ann");
    // The server has rotated, and its answer is on the way for long.
    let late = Fault::DelayAfter(Duration::from_secs(5));
    world.notion.script(Call::Refresh, [late]);
    let refresh = tokio::spawn({
        let provider = world.provider.clone();
        let subject = subject.clone();
        async move { provider.refresh(&subject).await }
    });
    sleep(Duration::from_secs(1)).await;
    world.provider.disconnect(&subject).await.unwrap();
    assert!(world.notion.ledger().living_pair(bot).is_some());

    assert!(refresh.await.unwrap().unwrap_err().is_not_connected());
    assert_eq!(world.notion.ledger().living_pair(bot), None);
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_overrules_a_refresh_under_way() {
    let notion = MockNotion::builder()
        .reconnect_ends_older(false)
        .in_process();
    let world = World::with(notion, |b| b);
    world.connect("ann").await;
    let late = Fault::DelayAfter(Duration::from_secs(5));
    world.notion.script(Call::Refresh, [late]);
    let refresh = tokio::spawn({
        let provider = world.provider.clone();
        async move { provider.refresh(&"ann".into()).await }
    });
    sleep(Duration::from_secs(1)).await;
    let new = world.connect("ann").await;

    let acquired = refresh.await.unwrap().unwrap();
    assert_eq!(acquired.expose_token(), new.access_token.expose());
    assert_eq!(acquired.generation(), 1, "a new lineage");
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn no_runtime_is_an_error_and_not_a_panic() {
    let world = World::new();
    let provider = world.another_provider();
    world.connect("ann").await;
    let waker = Waker::noop();
    let error = std::thread::spawn(move || {
        let subject = Subject::new("ann");
        let mut acquire = Box::pin(provider.acquire(&subject));
        let mut context = Context::from_waker(waker);
        match acquire.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => outcome.unwrap_err(),
            Poll::Pending => panic!("it waits"),
        }
    })
    .join()
    .expect("no panic");
    assert!(error.is_configuration(), "{error}");
}

/// A transport that never gets ready, and counts how often it was to be used.
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
async fn a_connection_that_hangs_is_a_failure_and_is_not_tried_again_until_somebody_asks() {
    let transport = NeverReady::default();
    let uses = Arc::clone(&transport.uses);
    let events = Events::default();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.transport(transport).observer(events.observer())
    });
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    assert!(auth_error(&error).is_transient(), "{error}");

    sleep(Duration::from_secs(3600)).await;
    assert_eq!(uses.load(Ordering::Relaxed), 1, "tries in an hour");
    let is_failure = |event: &Event| matches!(event, Event::RefreshFailed { .. });
    assert_eq!(events.count(is_failure), 1);
}

#[tokio::test(start_paused = true)]
async fn no_server_makes_a_subject_wait_for_longer_than_an_hour() {
    let hour = Duration::from_secs(3600);
    for retry_after in [31_536_000, u64::MAX] {
        let world = World::new();
        let credentials = world.connect("ann").await;
        world
            .notion
            .revoke_access_token(credentials.access_token.expose());
        let retry_after = Some(retry_after);
        world
            .notion
            .script(Call::Refresh, [Fault::RateLimited { retry_after }]);
        let error = send(world.client(), world.get("ann")).await.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_transient(), "{error}");
        assert_eq!(error.retry_after(), Some(hour), "{retry_after:?}");

        sleep(hour).await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        world.assert_nothing_lost("ann").await;
    }
}

/// A world in which nobody has a refresh token, and ann's access token is refused.
async fn refused_for_good() -> World {
    let notion = MockNotion::builder().refresh_tokens(false).in_process();
    let world = World::with(notion, |b| b);
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    world
}

fn is_given_up(answer: &Result<Response<MockBody>, BoxError>) -> bool {
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
async fn a_refused_token_is_given_up_also_if_requests_always_overlap() {
    let world = refused_for_good().await;
    for _ in 0..30 {
        let seconds = [1, 2].map(|seconds| Fault::Delay(Duration::from_secs(seconds)));
        world.notion.script(Call::Api, seconds);
        let first = tokio::spawn(send(world.client(), world.get("ann")));
        let second = tokio::spawn(send(world.client(), world.get("ann")));
        let answers = [first.await.unwrap(), second.await.unwrap()];
        if answers.iter().any(is_given_up) {
            return;
        }
    }
    panic!("60 requests were refused, and the user is never told to connect again");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_given_up_also_if_requests_are_far_apart() {
    let world = refused_for_good().await;
    for _ in 0..10 {
        // Beyond the revalidation age: the store is read again behind each request.
        sleep(Duration::from_secs(120)).await;
        let slow = Fault::Delay(Duration::from_secs(1));
        world.notion.script(Call::Api, [slow]);
        if is_given_up(&send(world.client(), world.get("ann")).await) {
            return;
        }
    }
    panic!("10 requests were refused, and the user is never told to connect again");
}

#[tokio::test(start_paused = true)]
async fn stragglers_of_hosts_with_another_client_do_not_count_as_the_second_chance_either() {
    let world = refused_for_good().await;
    let subject = Subject::new("ann");
    // Both were sent before either was refused.
    let first = world.provider.acquire(&subject).await.unwrap();
    let second = world.provider.acquire(&subject).await.unwrap();
    let chance = world.provider.refused(&subject, &first).await.unwrap();
    let late = world.provider.refused(&subject, &second).await.unwrap();
    assert_eq!(late.generation(), chance.generation());

    sleep(Duration::from_secs(30)).await;
    let error = world.provider.refused(&subject, &chance).await.unwrap_err();
    assert_eq!(
        error.needs_reauthorization(),
        Some(ReauthorizationReason::NoRefreshToken)
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_without_a_refresh_token_says_that_the_user_must_connect_again() {
    let notion = MockNotion::builder().refresh_tokens(false).in_process();
    let world = World::with(notion, |b| b);
    world.connect_expiring("ann", Duration::from_secs(60)).await;
    sleep(Duration::from_secs(60)).await;
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    let error = auth_error(&error);
    assert_eq!(
        error.needs_reauthorization(),
        Some(ReauthorizationReason::Expired)
    );
    assert!(error.to_string().contains("connected again"), "{error}");
}

/// A provider with this setting loads, keeps and refreshes credentials, now and a year later.
async fn works_with(set: impl FnOnce(NotionAuthProviderBuilder) -> NotionAuthProviderBuilder) {
    let world = World::with(MockNotion::in_process(), set);
    world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    sleep(Duration::from_secs(365 * 24 * 3600)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.provider.refresh(&"ann".into()).await.unwrap();
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_there_is_can_be_set_everywhere() {
    let long = Duration::MAX;
    works_with(|builder| builder.revalidation_age(long)).await;
    works_with(|builder| builder.stale_if_store_down(long)).await;
    works_with(|builder| builder.unknown_expiry(UnknownExpiry::MaxAge(long))).await;
    works_with(|builder| builder.refresh_window(long)).await;
    works_with(|builder| builder.leeway(long)).await;
    works_with(|builder| builder.acquire_timeout(long)).await;
}

#[tokio::test(start_paused = true)]
async fn one_lost_answer_of_a_refresh_behind_costs_seconds_when_the_old_token_ends() {
    let events = Events::default();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.observer(events.observer())
    });
    let credentials = world
        .connect_expiring("ann", Duration::from_secs(3600))
        .await;
    world.notion.script(Call::Refresh, [Fault::DropBefore]);
    sleep(Duration::from_secs(3600 - 200)).await;
    // The first one reads the store again, the second one finds that a refresh is due.
    for _ in 0..2 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
    }
    sleep(Duration::from_secs(1)).await;
    let is_failure = |event: &Event| matches!(event, Event::RefreshFailed { .. });
    assert_eq!(events.count(is_failure), 1);

    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    let start = Instant::now();
    while !send(world.client(), world.get("ann"))
        .await
        .is_ok_and(|answer| answer.status() == 200)
    {
        sleep(Duration::from_secs(1)).await;
        let outage = start.elapsed();
        assert!(outage < Duration::from_secs(15), "{outage:?}");
    }
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn an_app_without_a_whole_client_is_not_told_as_refused_by_notion() {
    let world = World::new();
    let app = NotionAppCredentials::builder().client_id("only-an-id");
    let builder = world.notion.provider_builder().unwrap();
    let provider = builder.app(app.build().unwrap()).build().unwrap();
    let subject = Subject::new("ann");
    let stored = provider.store_credentials(&subject, world.notion.connect());
    stored.await.unwrap();

    let error = provider.refresh(&subject).await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    assert!(error.to_string().contains("NOTION_CLIENT_SECRET"));
    let answer = error.to_response();
    assert_eq!(answer.status(), 500);
    assert!(answer.body().contains("NOTION_CLIENT_SECRET"));
}

#[tokio::test(start_paused = true)]
async fn the_operator_is_told_of_a_refused_client_also_while_a_refresh_is_in_doubt() {
    let events = Events::default();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.observer(events.observer())
    });
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    world
        .notion
        .script(Call::Refresh, [Fault::StatusBefore(503)]);
    world
        .notion
        .always(Call::Refresh, Some(Fault::refuse(401, "invalid_client")));
    let _ = send(world.client(), world.get("ann")).await;
    sleep(Duration::from_secs(60)).await;
    assert!(events.count(|event| *event == Event::AppRejected) > 0);

    // Nothing was lost by it: as soon as the client is right again, the connection is.
    world.notion.always(Call::Refresh, None);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_pause_in_doubt() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    world
        .notion
        .always(Call::Refresh, Some(Fault::StatusBefore(503)));
    // By now the pauses are minutes long.
    for _ in 0..200 {
        send(world.client(), world.get("ann")).await.unwrap_err();
        sleep(Duration::from_secs(10)).await;
    }
    let shutdown = world.provider.shutdown(Duration::from_secs(1));
    shutdown.await.expect("only a pause is under way");
}

#[test]
fn shutting_down_without_a_runtime_is_an_error_and_not_a_panic() {
    let provider = fixed_token("ntn_test", "http://127.0.0.1:8080").unwrap();
    let mut shutdown = Box::pin(provider.shutdown(Duration::from_secs(1)));
    let mut context = Context::from_waker(Waker::noop());
    match shutdown.as_mut().poll(&mut context) {
        Poll::Ready(outcome) => assert!(outcome.unwrap_err().is_configuration()),
        Poll::Pending => panic!("it waits"),
    }
}

/// What an observer was told.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    fn observer(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let events = self.clone();
        move |event| events.0.lock().unwrap().push(event.clone())
    }

    fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|it| which(it)).count()
    }
}

/// Connects by an exchange, so that the mock's expiry is in the credentials.
async fn exchanged(world: &World, subject: &str) -> NotionUserCredentials {
    let subject = Subject::new(subject);
    let flow = world.provider.oauth();
    let authorization = flow.authorize(&subject).unwrap();
    let callback = world.notion.consent(authorization.url.as_str()).unwrap();
    let answer = notion_auth::oauth::CallbackAnswer::from_url(&callback).unwrap();
    let credentials = flow
        .exchange(authorization.pending, &subject, answer)
        .await
        .unwrap();
    world
        .provider
        .store_credentials(&subject, credentials.clone())
        .await
        .unwrap();
    credentials
}
