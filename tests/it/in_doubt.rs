//! Refreshes in doubt: their pauses, and what ends them.

use std::{
    future::ready,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use notion_auth::{
    BoxError, NotionAuthProvider, Subject,
    oauth::NotSent,
    provider::Revocation,
    store::CredentialStore as _,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};
use tokio::time::{Instant, sleep};

use crate::{
    faulty_store::FaultyStore,
    support::{World, poll, record_json, record_key, send, status},
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Creates a world with a refused access token, in which no refresh gets a response.
async fn in_doubt(store: &FaultyStore) -> World {
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.store(store.clone())
    });
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    world.notion.always(Call::Refresh, Some(Fault::DropBefore));
    drop(send(world.client(), world.get("ann")).await);
    world
}

fn calls(world: &World) -> usize {
    world.notion.ledger().refreshes().len()
}

/// Creates a provider of another process with the same store.
fn elsewhere(world: &World, store: &FaultyStore) -> NotionAuthProvider {
    let builder = world.notion.provider_builder().unwrap();
    let builder = builder.store(store.clone()).clock(world.clock.clone());
    builder.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn failed_disconnect_does_not_shorten_later_pauses() {
    let store = FaultyStore::memory();
    let world = in_doubt(&store).await;
    for _ in 0..3 {
        store.hooks.set_down(true);
        let ann = Subject::new("ann");
        world.provider.disconnect(&ann).await.unwrap_err();
        store.hooks.set_down(false);
        sleep(seconds(1)).await;
    }
    let before = (calls(&world), store.hooks.loads());
    sleep(seconds(120)).await;
    let (made, loads) = (calls(&world) - before.0, store.hooks.loads() - before.1);
    assert!(made <= 12 && loads <= 60, "{made} calls, {loads} reads");
}

#[tokio::test(start_paused = true)]
async fn change_in_another_process_ends_a_long_pause_within_30_seconds() {
    let store = FaultyStore::memory();
    let world = in_doubt(&store).await;
    let ann = Subject::new("ann");
    // The lease shows when a pause of more than 2 minutes has started.
    let mut duration = 0;
    while duration < 150_000_000 {
        sleep(seconds(1)).await;
        let record = store.load(&record_key("ann")).await.unwrap().record;
        let lease = &record_json(&record.unwrap())["lease"];
        duration = lease["duration"].as_u64().unwrap_or_default();
    }
    let made = calls(&world);
    let new = world.notion.connect();
    let other = elsewhere(&world, &store);
    other.store_credentials(&ann, new).await.unwrap();
    world.notion.always(Call::Refresh, None);
    let began = Instant::now();
    while send(world.client(), world.get("ann")).await.is_err() {
        sleep(seconds(1)).await;
    }
    assert!(began.elapsed() <= seconds(32), "{:?}", began.elapsed());
    // At most the replay that started before the change.
    assert!(calls(&world) - made <= 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_provider_replays_no_more() {
    let store = FaultyStore::memory();
    let world = in_doubt(&store).await;
    let (notion, clock) = (world.notion.clone(), world.clock.clone());
    let made = calls(&world);
    drop(world);
    sleep(seconds(1800)).await;
    assert!(notion.ledger().refreshes().len() - made <= 1);

    // Another process takes over the refresh.
    notion.always(Call::Refresh, None);
    let builder = notion.provider_builder().unwrap();
    let provider = builder.store(store).clock(clock).build().unwrap();
    while provider.acquire(&"ann".into()).await.is_err() {
        sleep(seconds(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_provider_still_commits_a_new_pair() {
    let store = FaultyStore::memory();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.store(store.clone())
    });
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    let slow = Fault::DelayAfter(seconds(5));
    world.notion.script(Call::Refresh, [slow]);
    let waiting = tokio::spawn(status(world.client(), world.get("ann")));
    sleep(seconds(2)).await;
    store.hooks.set_down(true);
    waiting.abort();
    let (notion, clock) = (world.notion.clone(), world.clock.clone());
    drop(world);
    sleep(seconds(60)).await;
    store.hooks.set_down(false);
    sleep(seconds(5)).await;
    let builder = notion.provider_builder().unwrap();
    let provider = builder.store(store).clock(clock).build().unwrap();
    let acquired = provider.acquire(&"ann".into()).await.unwrap();
    assert_eq!(acquired.generation(), 2);
    assert_eq!(notion.ledger().refreshes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn revocation_of_a_disconnect_is_retried() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world.notion.script(Call::Revoke, [Fault::DropBefore]);
    let ended = world.provider.disconnect(&"ann".into()).await.unwrap();
    assert!(matches!(ended, Revocation::Done), "{ended:?}");
    let refresh = credentials.refresh_token.unwrap();
    let ledger = world.notion.ledger();
    assert!(!ledger.is_refresh_token_live(refresh.expose()));
}

#[tokio::test(start_paused = true)]
async fn dropped_disconnect_still_revokes() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let ann = Subject::new("ann");
    {
        let disconnect = world.provider.disconnect(&ann);
        assert!(poll(pin!(disconnect)).is_pending());
    }
    world.provider.shutdown(seconds(30)).await.unwrap();
    let refresh = credentials.refresh_token.unwrap();
    let ledger = world.notion.ledger();
    assert!(!ledger.is_refresh_token_live(refresh.expose()));
    assert!(world.provider.status(&ann).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn entry_older_than_twice_the_revalidation_age_waits_for_the_comparison() {
    let store = FaultyStore::memory();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.store(store.clone())
    });
    world.connect("ann").await;
    let ann = Subject::new("ann");
    elsewhere(&world, &store)
        .delete_credentials(&ann)
        .await
        .unwrap();
    sleep(seconds(119)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);

    world.connect("ben").await;
    let ben = Subject::new("ben");
    elsewhere(&world, &store)
        .delete_credentials(&ben)
        .await
        .unwrap();
    sleep(seconds(121)).await;
    send(world.client(), world.get("ben")).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn cached_tokens_are_used_for_five_minutes_without_the_store() {
    let store = FaultyStore::memory();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.store(store.clone())
    });
    world.connect("ann").await;
    store.hooks.set_down(true);
    for _ in 0..29 {
        sleep(seconds(10)).await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
    }
    sleep(seconds(11)).await;
    send(world.client(), world.get("ann")).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn valid_token_is_sent_while_its_refresh_is_in_doubt() {
    let store = FaultyStore::memory();
    let notion = MockNotion::builder().keep_old_access_tokens(true);
    let world = World::with(notion.in_process(), |builder| builder.store(store.clone()));
    world.connect("ann").await;
    let provider = world.provider.clone();
    world.notion.always(Call::Refresh, Some(Fault::DropBefore));
    let asked = tokio::spawn(async move { provider.refresh(&"ann".into()).await });
    for _ in 0..60 {
        sleep(seconds(10)).await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
    }
    asked.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn unreachable_token_endpoint_is_called_less_and_less_often() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let unreachable = tower::service_fn(move |_: Request<Full<Bytes>>| {
        counter.fetch_add(1, Ordering::Relaxed);
        ready(Err::<Response<Full<Bytes>>, BoxError>(
            NotSent::new("no route").into(),
        ))
    });
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.transport(unreachable)
    });
    let credentials = world.connect("ann").await;
    let token = credentials.access_token.expose();
    world.notion.revoke_access_token(token);
    for _ in 0..600 {
        drop(send(world.client(), world.get("ann")).await);
        sleep(seconds(1)).await;
    }
    let calls = calls.load(Ordering::Relaxed);
    // Pauses of up to 2 s, 4 s, 8 s and so on, up to 5 minutes.
    assert!((4..=20).contains(&calls), "{calls} calls in 10 minutes");
}

#[tokio::test(start_paused = true)]
async fn tombstone_without_a_response_revokes_replaced_tokens() {
    let store = FaultyStore::memory();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.store(store.clone())
    });
    let credentials = world.connect("ann").await;
    let ann = Subject::new("ann");
    store.hooks.lose_swaps();
    let error = world.provider.disconnect(&ann).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    sleep(seconds(60)).await;
    store.hooks.set_down(false);
    sleep(seconds(10)).await;
    let refresh = credentials.refresh_token.unwrap();
    let ledger = world.notion.ledger();
    assert!(!ledger.is_refresh_token_live(refresh.expose()));
    assert!(world.provider.status(&ann).await.unwrap().is_none());
}
