//! Slow, hanging and unavailable stores, and changes during a read.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use notion_auth::{
    Event, MemoryStore, NotionAuthProvider,
    store::{CredentialStore, ListQuery, StoreError, StoredRecord, async_trait},
    testing::{
        MockNotion, TestClock,
        notion::{Call, Fault},
    },
};
use tokio::time::{Instant, sleep};

use crate::{
    faulty_store::{FaultyStore, Hooks, Operation},
    secrets::Readable,
    support::{World, auth_error, record_json, record_key, record_of, send, status, write_record},
};

fn world_on(store: &FaultyStore, notion: MockNotion) -> World {
    World::with(notion, |builder| builder.store(store.clone()))
}

/// Events that the provider's observer received.
type Events = Arc<Mutex<Vec<Event>>>;

fn observed_on(store: &FaultyStore) -> (World, Events) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let world = World::with(MockNotion::in_process(), |builder| {
        builder
            .store(store.clone())
            .observer(move |event: &Event| sink.lock().unwrap().push(event.clone()))
    });
    (world, events)
}

/// Another provider with the same store and an empty cache.
fn another_on(store: &FaultyStore, world: &World) -> NotionAuthProvider {
    let builder = world.notion.provider_builder().unwrap();
    let builder = builder.store(store.clone()).clock(world.clock.clone());
    builder.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn delete_during_a_failing_background_refresh_is_kept() {
    let world = world_on(&FaultyStore::memory().private(), MockNotion::in_process());
    let credentials = world
        .connect_expiring("ann", Duration::from_secs(3600))
        .await;
    let slow_failure = Fault::after_delay(
        Duration::from_secs(5),
        Fault::RateLimited { retry_after: None },
    );
    world.notion.always(Call::Refresh, Some(slow_failure));
    sleep(Duration::from_secs(3600 - 200)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.notion.ledger().refreshes().len(), 1);

    let ann = "ann".into();
    world.provider.delete_credentials(&ann).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    assert!(auth_error(&error).is_not_connected(), "{error}");
    let ledger = world.notion.ledger();
    let calls = ledger.api_calls_with(credentials.access_token.expose());
    assert_eq!(calls.len(), 1, "the deleted token was sent again");
}

#[tokio::test(start_paused = true)]
async fn record_read_before_a_delete_is_not_cached_after_it() {
    let store = FaultyStore::memory().private();
    let world = world_on(&store, MockNotion::in_process());
    world.connect("ann").await;
    // Its store is replaced, so its cache stays as it is.
    let provider = another_on(&store, &world);
    store.hooks.set_read_delay(Duration::from_millis(100));
    let loading = tokio::spawn({
        let provider = provider.clone();
        async move { provider.acquire(&"ann".into()).await }
    });
    sleep(Duration::from_millis(50)).await;
    store.hooks.set_read_delay(Duration::ZERO);

    provider.delete_credentials(&"ann".into()).await.unwrap();
    // It does not matter whether this read returns the earlier record.
    let _ = loading.await.unwrap();
    sleep(Duration::from_secs(24 * 3600)).await;
    let error = provider.acquire(&"ann".into()).await.unwrap_err();
    assert!(error.is_not_connected(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn reconnect_during_a_load_is_not_reported_as_a_regression() {
    let store = FaultyStore::memory();
    let (world, events) = observed_on(&store);
    let old = world.connect("ann").await;
    let acquired = world.provider.acquire(&"ann".into()).await.unwrap();
    world.notion.revoke_access_token(old.access_token.expose());
    store.hooks.set_read_delay(Duration::from_millis(100));
    let renewing = tokio::spawn({
        let provider = world.provider.clone();
        async move { provider.refused(&"ann".into(), &acquired).await }
    });
    sleep(Duration::from_millis(50)).await;
    store.hooks.set_read_delay(Duration::ZERO);

    let new = world.connect("ann").await;
    let renewed = renewing.await.unwrap().unwrap();
    assert_eq!(renewed.expose(), new.access_token.expose());
    let events = events.lock().unwrap();
    let is_regression = |event: &Event| matches!(event, Event::StoreRegressed { .. });
    assert!(!events.iter().any(is_regression), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn background_refresh_in_doubt_does_not_read_the_store_for_each_request() {
    let store = FaultyStore::memory().private();
    let notion = MockNotion::builder()
        .keep_old_access_tokens(true)
        .in_process();
    let world = world_on(&store, notion);
    world
        .connect_expiring("ann", Duration::from_secs(3600))
        .await;
    world.notion.always(Call::Refresh, Some(Fault::DropBefore));
    sleep(Duration::from_secs(3600 - 235)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    sleep(Duration::from_secs(100)).await;

    let before = store.hooks.loads();
    for _ in 0..1000 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        sleep(Duration::from_millis(10)).await;
    }
    let loads = store.hooks.loads() - before;
    assert!(loads < 20, "{loads} reads for 1000 requests in 10 seconds");
}

#[tokio::test(start_paused = true)]
async fn late_401_while_the_store_is_down_gets_the_newer_cached_token() {
    let store = FaultyStore::memory();
    let world = world_on(&store, MockNotion::in_process());
    let credentials = world.connect("ann").await;
    let refused = Fault::refuse(401, "unauthorized");
    let late = Fault::after_delay(Duration::from_secs(5), refused);
    world.notion.script(Call::Api, [late]);
    let late = tokio::spawn(status(world.client(), world.get("ann")));
    sleep(Duration::from_secs(1)).await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    assert_eq!(status(world.client(), world.get("ann")).await, 200);

    store.hooks.set_down(true);
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    assert_eq!(late.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn disconnect_by_another_process_is_noticed_during_a_back_off() {
    let store = FaultyStore::memory();
    let notion = MockNotion::builder()
        .keep_old_access_tokens(true)
        .in_process();
    let world = World::with(notion, |builder| {
        builder
            .store(store.clone())
            .refresh_policy(crate::support::policy(|it| {
                it.window = Duration::from_secs(1800)
            }))
    });
    let elsewhere = another_on(&store, &world);
    world
        .connect_expiring("ann", Duration::from_secs(3600))
        .await;
    world.notion.always(
        Call::Refresh,
        Some(Fault::RateLimited {
            retry_after: Some(1500),
        }),
    );
    sleep(Duration::from_secs(2300)).await;
    for _ in 0..5 {
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);

    elsewhere.delete_credentials(&"ann".into()).await.unwrap();
    let start = Instant::now();
    while send(world.client(), world.get("ann")).await.is_ok() {
        let noticed = start.elapsed();
        assert!(noticed < Duration::from_secs(75), "still used {noticed:?}");
        sleep(Duration::from_secs(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn hung_store_operation_does_not_block_its_subject() {
    let store = FaultyStore::memory().private();
    let world = world_on(&store, MockNotion::in_process());
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    store
        .hooks
        .set_read_delay(Duration::from_secs(30 * 24 * 3600));
    let error = send(world.client(), world.get("ann")).await.unwrap_err();
    assert!(auth_error(&error).is_transient(), "{error}");

    // The store works again, but that call never returns.
    store.hooks.set_read_delay(Duration::ZERO);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    world
        .provider
        .shutdown(Duration::from_secs(1))
        .await
        .expect("nothing hangs on");
}

#[tokio::test(start_paused = true)]
async fn provider_operations_end_if_the_store_hangs() {
    let store = FaultyStore::memory().private();
    let world = world_on(&store, MockNotion::in_process());
    world.connect("ann").await;
    store
        .hooks
        .set_read_delay(Duration::from_secs(30 * 24 * 3600));
    let ann = "ann".into();
    let start = Instant::now();
    let errors = [
        world.provider.status(&ann).await.map(drop).unwrap_err(),
        world.provider.load_credentials(&ann).await.unwrap_err(),
        world.provider.delete_credentials(&ann).await.unwrap_err(),
        world.provider.disconnect(&ann).await.unwrap_err(),
        world.provider.health().await.unwrap_err(),
        world.provider.purge_expired().await.unwrap_err(),
        world
            .provider
            .list(&ListQuery::default())
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_transient(), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(120));
}

async fn restore(store: &FaultyStore, backup: &StoredRecord) {
    let restored = record_of(&record_json(backup));
    write_record(store, &record_key("ann"), &restored).await;
}

#[tokio::test(start_paused = true)]
async fn restored_backup_is_reported_and_its_refresh_token_is_not_spent() {
    let store = FaultyStore::memory();
    let (world, events) = observed_on(&store);
    world.connect("ann").await;
    let key = record_key("ann");
    let stored = async || store.load(&key).await.unwrap().record.unwrap();
    let backup = stored().await;
    world.provider.refresh(&"ann".into()).await.unwrap();
    let acquired = world.provider.acquire(&"ann".into()).await.unwrap();
    world.notion.revoke_access_token(acquired.expose());
    sleep(Duration::from_secs(61)).await;

    let current = stored().await;
    restore(&store, &backup).await;
    for _ in 0..3 {
        let error = send(world.client(), world.get("ann")).await.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("backup"), "{error}");
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    let subject = notion_auth::Subject::new("ann");
    let regressed = Event::StoreRegressed {
        subject,
        stored: 1,
        seen: 2,
    };
    assert!(events.lock().unwrap().contains(&regressed));

    // The current record is restored.
    restore(&store, &current).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn reconnect_after_a_restored_backup_is_used_by_all_processes() {
    let store = FaultyStore::memory();
    let (world, _) = observed_on(&store);
    let ann = "ann".into();
    world.connect("ann").await;
    for _ in 0..4 {
        world.provider.refresh(&ann).await.unwrap();
    }
    let peer = another_on(&store, &world);
    assert_eq!(peer.acquire(&ann).await.unwrap().generation(), 5);
    // The restored store contains none of it.
    let restored = MemoryStore::with_clock(world.clock.clone());
    store.replace(restored);
    sleep(Duration::from_secs(61)).await;

    let new = world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
    sleep(Duration::from_secs(61)).await;
    // A peer that still has the earlier credentials reads the store in the background and has the new ones
    // afterwards.
    drop(peer.acquire(&ann).await);
    sleep(Duration::from_secs(2)).await;
    let acquired = peer.acquire(&ann).await.unwrap();
    assert_eq!(acquired.expose(), new.access_token.expose());
}

#[tokio::test(start_paused = true)]
async fn reconnect_after_its_tombstone_was_purged_is_used() {
    let world = World::new();
    world.connect("ann").await;
    world.provider.disconnect(&"ann".into()).await.unwrap();
    sleep(Duration::from_secs(25 * 3600)).await;
    assert_eq!(world.provider.purge_expired().await.unwrap(), 1);
    world.connect("ann").await;
    assert_eq!(status(world.client(), world.get("ann")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn second_delete_prevents_caching_of_earlier_reads() {
    let store = FaultyStore::memory().private();
    let world = world_on(&store, MockNotion::in_process());
    world.connect("ann").await;
    let provider = another_on(&store, &world);
    store.hooks.set_read_delay(Duration::from_secs(4));
    let loading = tokio::spawn({
        let provider = provider.clone();
        async move { provider.acquire(&"ann".into()).await }
    });
    sleep(Duration::from_secs(1)).await;
    store.hooks.set_read_delay(Duration::ZERO);
    for _ in 0..2 {
        provider.delete_credentials(&"ann".into()).await.unwrap();
    }
    let _ = loading.await.unwrap();
    let error = provider.acquire(&"ann".into()).await.unwrap_err();
    assert!(error.is_not_connected(), "{error}");
}

/// Two subjects whose records can't be kept or read.
struct TwoFail;

#[async_trait]
impl Hooks for TwoFail {
    async fn before(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        let Operation::Load(key) = operation else {
            return Ok(());
        };
        match key.subject().as_str() {
            "long" => Err(StoreError::rejected("faulty", "too long")),
            "damaged" => Err(StoreError::corrupt("faulty", "damaged")),
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_one_subject_are_not_logged_as_an_outage() {
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    let store = FaultyStore::new(MemoryStore::with_clock(TestClock::new()), TwoFail);
    let world = World::with(MockNotion::in_process(), |builder| builder.store(store));
    world.connect("ann").await;
    for _ in 0..3 {
        for subject in ["long", "damaged"] {
            let error = world.provider.status(&subject.into()).await.unwrap_err();
            assert!(!error.is_transient(), "{error}");
            world.provider.acquire(&subject.into()).await.unwrap_err();
        }
        sleep(Duration::from_secs(2)).await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        world.provider.status(&"ann".into()).await.unwrap();
    }
    let log = readable.text();
    assert!(!log.contains("the credential store"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn outage_is_logged_once_with_its_cause_and_once_when_it_ends() {
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    let store = FaultyStore::memory();
    let world = world_on(&store, MockNotion::in_process());
    world.connect("ann").await;
    let ann = "ann".into();
    for _ in 0..2 {
        store.hooks.set_down(true);
        for _ in 0..5 {
            world.provider.status(&ann).await.unwrap_err();
            sleep(Duration::from_secs(1)).await;
        }
        store.hooks.set_down(false);
        for _ in 0..5 {
            world.provider.status(&ann).await.unwrap();
        }
    }
    let log = readable.text();
    assert_eq!(
        log.matches("the credential store fails").count(),
        2,
        "{log}"
    );
    assert_eq!(log.matches("faulty store: down").count(), 2, "{log}");
    let again = log.matches("the credential store works again").count();
    assert_eq!(again, 2, "{log}");
}
