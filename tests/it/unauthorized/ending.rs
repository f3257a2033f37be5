//! What it takes to end credentials that have no refresh token.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use notion_auth::{
    Event, NotionAuthLayer, ReauthorizationReason,
    store::{Filter, ListQuery, RecordState},
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tower::{Layer, ServiceExt};

use super::{ANSWERS, Between, Headers, ID, JSON, Sender::Notion, TYPE};
use crate::{
    faulty_store::FaultyStore,
    support::{World, auth_error, send, status},
};

/// As Notion answers.
const NOTIONS: Headers = &[(ID, "1"), (TYPE, JSON)];

/// Credentials without a refresh token, and a server in between that refuses them.
struct Ending {
    world: World,
    between: Between,
    endings: Arc<Mutex<usize>>,
    start: Instant,
}

impl Ending {
    async fn new() -> Self {
        let endings = Arc::<Mutex<usize>>::default();
        let sink = Arc::clone(&endings);
        let notion = MockNotion::builder().refresh_tokens(false).in_process();
        let world = World::with(notion, |builder| {
            builder.observer(move |event: &Event| {
                let is_end = matches!(event, Event::NeedsReauthorization { .. });
                *sink.lock().unwrap() += usize::from(is_end);
            })
        });
        world.connect("ann").await;
        Self {
            world,
            between: Between::default(),
            endings,
            start: Instant::now(),
        }
    }

    async fn sleep_until(&self, seconds: f64) {
        sleep_until(self.start + Duration::from_secs_f64(seconds)).await;
    }

    /// Sends a request of ann's. Returns the status, or `None` if the user must connect again.
    fn send(&self) -> impl Future<Output = Option<StatusCode>> + Send + use<> {
        let client = NotionAuthLayer::refreshing(self.world.provider.clone())
            .layer(self.between.service(self.world.notion.service()));
        let sending = client.oneshot(self.world.get("ann"));
        async {
            match sending.await {
                Ok(response) => Some(response.status()),
                Err(error) => {
                    let reason = auth_error(&error).needs_reauthorization();
                    assert_eq!(reason, Some(ReauthorizationReason::NoRefreshToken));
                    None
                }
            }
        }
    }

    /// The same so long after the start, for a server in between that answers 401 with these headers.
    async fn refused_at(&self, seconds: f64, headers: Headers) -> Option<StatusCode> {
        self.sleep_until(seconds).await;
        self.between.answer(401, headers);
        self.send().await
    }

    #[track_caller]
    fn assert_ended(&self, expected: bool) {
        assert_eq!(*self.endings.lock().unwrap(), usize::from(expected));
    }

    /// Whether the stored credentials are those of a subject who must connect again.
    async fn is_stored_as_ended(&self) -> bool {
        let query = ListQuery::default().filter(Filter::NeedsReauthorization);
        let listed = self.world.provider.list(&query).await.unwrap();
        let no_token = ReauthorizationReason::NoRefreshToken;
        let reason = RecordState::NeedsReauthorization(no_token);
        assert!(listed.iter().all(|it| it.state == reason));
        !listed.is_empty()
    }
}

#[tokio::test(start_paused = true)]
async fn two_refusals_of_notions_end_credentials_after_30_seconds() {
    let ending = Ending::new().await;
    for seconds in 0..30 {
        let refused = ending.refused_at(f64::from(seconds), NOTIONS).await;
        assert_eq!(refused.unwrap(), 401);
    }
    assert_eq!(ending.refused_at(29.999, NOTIONS).await.unwrap(), 401);
    ending.assert_ended(false);
    assert!(!ending.is_stored_as_ended().await);

    // The last 401 passes through as well.
    assert_eq!(ending.refused_at(30.0, NOTIONS).await.unwrap(), 401);
    ending.assert_ended(true);
    assert!(ending.is_stored_as_ended().await);
    for seconds in [31.0, 62.0] {
        assert!(ending.refused_at(seconds, NOTIONS).await.is_none());
    }
    ending.assert_ended(true);
    assert_eq!(ending.between.answered(), 32);
    assert!(ending.world.notion.ledger().refreshes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refusals_more_than_an_hour_apart_do_not_end_credentials() {
    let ending = Ending::new().await;
    for hour in 0..48 {
        let seconds = f64::from(hour) * 3601.0;
        assert_eq!(ending.refused_at(seconds, NOTIONS).await.unwrap(), 401);
    }
    ending.assert_ended(false);
    // The last one is the first of two.
    let seconds = 47.0 * 3601.0 + 30.0;
    assert_eq!(ending.refused_at(seconds, NOTIONS).await.unwrap(), 401);
    ending.assert_ended(true);
}

#[tokio::test(start_paused = true)]
async fn refusals_without_notions_request_id_never_end_credentials() {
    for (headers, sender) in ANSWERS {
        let ending = Ending::new().await;
        let mut sent = 0;
        for number in 0..10 {
            sent += usize::from(
                ending
                    .refused_at(f64::from(number) * 40.0, headers)
                    .await
                    .is_some(),
            );
        }
        let expected = if sender == Notion { 2 } else { 10 };
        assert_eq!(sent, expected, "{headers:?}");
        assert_eq!(
            ending.is_stored_as_ended().await,
            sender == Notion,
            "{headers:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_others_in_between_neither_count_nor_start_again() {
    for (headers, sender) in ANSWERS {
        if sender == Notion {
            continue;
        }
        let ending = Ending::new().await;
        ending.refused_at(0.0, headers).await;
        ending.refused_at(31.0, NOTIONS).await;
        ending.refused_at(50.0, headers).await;
        ending.refused_at(62.0, headers).await;
        ending.assert_ended(false);
        assert_eq!(ending.refused_at(63.0, NOTIONS).await.unwrap(), 401);
        ending.assert_ended(true);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_since_before_the_first_refusal_do_not_end_credentials() {
    let ending = Ending::new().await;
    let world = &ending.world;
    let credentials = world
        .provider
        .load_credentials(&"ann".into())
        .await
        .unwrap();
    let bot = credentials.unwrap().bot_id().unwrap().to_owned();
    world.notion.restrict_account(&bot, true);
    let mut requests = JoinSet::new();
    for seconds in 1..100 {
        let late = Fault::Delay(Duration::from_secs(seconds));
        world.notion.script(Call::Api, [late]);
        requests.spawn(status(world.client(), world.get("ann")));
    }
    for status in requests.join_all().await {
        assert_eq!(status, 401);
    }
    ending.assert_ended(false);
    world.notion.restrict_account(&bot, false);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn refusals_at_the_same_moment_are_one_and_end_credentials_once() {
    let ending = Ending::new().await;
    ending.between.answer(401, NOTIONS);
    for (seconds, has_ended) in [(0.0, false), (30.0, true)] {
        ending.sleep_until(seconds).await;
        let mut requests = JoinSet::new();
        for _ in 0..50 {
            requests.spawn(ending.send());
        }
        for refused in requests.join_all().await {
            assert!(refused.is_none_or(|status| status == 401));
        }
        ending.assert_ended(has_ended);
    }
}

#[tokio::test(start_paused = true)]
async fn reconnect_starts_again() {
    let ending = Ending::new().await;
    ending.refused_at(0.0, NOTIONS).await;
    ending.sleep_until(20.0).await;
    ending.world.connect("ann").await;
    ending.refused_at(31.0, NOTIONS).await;
    ending.refused_at(60.0, NOTIONS).await;
    ending.assert_ended(false);
    ending.refused_at(61.0, NOTIONS).await;
    ending.assert_ended(true);
}

#[tokio::test(start_paused = true)]
async fn reconnect_in_another_process_is_used_at_the_next_refusal() {
    for seconds in [10.0, 31.0] {
        let ending = Ending::new().await;
        let world = &ending.world;
        ending.refused_at(0.0, NOTIONS).await;
        ending.sleep_until(seconds - 1.0).await;
        let old = world
            .provider
            .load_credentials(&"ann".into())
            .await
            .unwrap();
        let token = old.unwrap().access_token;
        world.notion.revoke_access_token(token.expose());
        let other = world.another_provider();
        let ann = "ann".into();
        let stored = other.store_credentials(&ann, world.notion.connect());
        stored.await.unwrap();
        ending.sleep_until(seconds).await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        ending.assert_ended(false);
    }
}

#[tokio::test(start_paused = true)]
async fn each_process_needs_its_own_two_refusals() {
    let ending = Ending::new().await;
    ending.refused_at(0.0, NOTIONS).await;
    let restarted = Ending {
        world: World {
            provider: ending.world.another_provider(),
            ..ending.world
        },
        ..ending
    };
    assert_eq!(restarted.refused_at(31.0, NOTIONS).await.unwrap(), 401);
    assert!(!restarted.is_stored_as_ended().await);
    assert_eq!(restarted.refused_at(61.0, NOTIONS).await.unwrap(), 401);
    assert!(restarted.is_stored_as_ended().await);
}

#[tokio::test(start_paused = true)]
async fn refusal_without_a_re_read_in_between_does_not_end_credentials() {
    let store = FaultyStore::memory();
    let notion = MockNotion::builder().refresh_tokens(false).in_process();
    let world = World::with(notion, |builder| builder.store(store.clone()));
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    let late = Fault::Delay(Duration::from_secs(60));
    world.notion.script(Call::Api, [late]);

    // Both are sent with the same entry. After the first refusal the store can't be read.
    let late = tokio::spawn(send(world.client(), world.get("ann")));
    sleep(Duration::from_secs(1)).await;
    store.hooks.set_down(true);
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    assert!(auth_error(&error).is_transient(), "{error}");
    sleep(Duration::from_secs(50)).await;
    store.hooks.set_down(false);
    assert_eq!(late.await.unwrap().unwrap().status(), 401);
    let query = ListQuery::default().filter(Filter::Active);
    let listed = world.provider.list(&query).await;
    assert_eq!(listed.unwrap().len(), 1);
}
