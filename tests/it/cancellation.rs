//! A refresh is independent of the requests that wait for it.

use std::time::Duration;

use notion_auth::{Subject, testing::MockNotion};
use tokio::time::sleep;
use tower::ServiceExt;

use crate::faulty_store::FaultyStore;
use crate::support::{World, poll, status};

#[tokio::test(start_paused = true)]
async fn request_dropped_after_any_poll_loses_no_credentials() {
    let mut cut = 0;
    loop {
        let notion = MockNotion::builder()
            .token_delay(Duration::from_millis(20))
            .in_process();
        let world = World::with(notion, |builder| builder);
        let credentials = world.connect("ann").await;
        world
            .notion
            .revoke_access_token(credentials.access_token.expose());

        let mut request = Box::pin(world.client().oneshot(world.get("ann")));
        let mut is_answered = false;
        for _ in 0..cut {
            is_answered = poll(request.as_mut()).is_ready();
            if is_answered {
                break;
            }
            // The task that the request waits for continues.
            sleep(Duration::from_millis(3)).await;
        }
        drop(request);

        sleep(Duration::from_secs(60)).await;
        world.assert_nothing_lost("ann").await;
        assert_eq!(status(world.client(), world.get("ann")).await, 200);
        assert_eq!(
            world.notion.ledger().refreshes().len(),
            1,
            "cut after {cut}"
        );
        if is_answered {
            break;
        }
        cut += 1;
    }
    assert!(
        cut > 4,
        "the request was answered after {cut} polls: nothing was cut"
    );
}

#[tokio::test(start_paused = true)]
async fn refresh_continues_after_a_request_gives_up() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(5))
        .in_process();
    let world = World::with(notion, |builder| {
        builder.refresh_policy(crate::support::policy(|it| {
            it.acquire_timeout = Duration::from_secs(2)
        }))
    });
    world.connect("ann").await;
    let subject = Subject::new("ann");

    let error = world.provider.refresh(&subject).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.retry_after().is_some());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(
        world.provider.acquire(&subject).await.unwrap().generation(),
        2
    );
    world.assert_nothing_lost("ann").await;
}

#[test]
fn runtime_shut_down_during_a_refresh_frees_the_task_entry() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    let first = runtime();
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(3600))
        .in_process();
    let world = first.block_on(async { World::with(notion, |builder| builder) });
    let subject = Subject::new("ann");
    first.block_on(async {
        world.connect("ann").await;
        let refresh = world.provider.refresh(&subject);
        let waited = tokio::time::timeout(Duration::from_millis(1), refresh).await;
        assert!(waited.is_err(), "the refresh takes an hour");
    });
    drop(first);

    // The lease stays in the store. The task entry is free, and the cached token is still valid.
    runtime().block_on(async {
        let acquired = world.provider.acquire(&subject).await.unwrap();
        assert_eq!(acquired.generation(), 1);
        let shutdown = world.provider.shutdown(Duration::from_secs(1)).await;
        shutdown.expect("no refresh is under way");
    });
}

#[test]
fn shut_down_runtime_is_an_error_and_no_panic() {
    let tasks = tokio::runtime::Runtime::new().expect("a runtime");
    let handle = tasks.handle().clone();
    let store = FaultyStore::memory();
    let world = World::with(MockNotion::in_process(), |builder| {
        builder.store(store.clone()).runtime(handle)
    });
    let subject = Subject::new("ann");
    tasks.block_on(world.connect("ann"));
    tasks.block_on(world.connect("ben"));
    drop(tasks);
    store.hooks.set_read_delay(Duration::from_millis(1));

    let caller = tokio::runtime::Runtime::new().expect("a runtime");
    caller.block_on(async {
        // The cached token can be sent.
        world.provider.acquire(&subject).await.unwrap();
        let errors = [
            world
                .provider
                .refresh(&subject)
                .await
                .map(drop)
                .unwrap_err(),
            world.provider.status(&subject).await.map(drop).unwrap_err(),
            world
                .provider
                .disconnect(&subject)
                .await
                .map(drop)
                .unwrap_err(),
            world.provider.health().await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_transient(), "{error}");
        }
        drop(world.provider.shutdown(Duration::from_secs(1)).await);
    });
}
