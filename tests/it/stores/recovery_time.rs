//! How long requests fail after a store is back. BENCHMARKS.md has the figures.

use std::time::Duration;

use notion_auth::{
    Keyring, NotionAuthProvider, Subject, provider::NotionAuthProviderBuilder,
    store::CredentialStore, testing::MockNotion,
};
use tokio::{
    task::{JoinSet, block_in_place},
    time::{Instant, sleep},
};

const ROUNDS: usize = 5;

/// Takes a store down, for so long, and brings it back. Prints how long after that the first request succeeded, and
/// asserts that it was in time.
pub(super) async fn measure(
    what: &str,
    store: impl CredentialStore + Clone,
    mut down: impl FnMut(),
    lasts: Duration,
    mut up: impl FnMut(),
    aim: Duration,
) {
    let notion = MockNotion::in_process();
    let builder = || -> NotionAuthProviderBuilder {
        let builder = notion.provider_builder().unwrap().store(store.clone());
        builder.keys(Keyring::new([[7; 32]]).unwrap())
    };
    let (provider, other) = (builder().build().unwrap(), builder().build().unwrap());
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        // In the cache of another provider only.
        let subject = Subject::new(format!("subject-{round}"));
        let connected = other.store_credentials(&subject, notion.connect());
        connected.await.unwrap();
        block_in_place(&mut down);
        let first = tokio::spawn(first_success(provider.clone(), subject));
        sleep(lasts).await;
        block_in_place(&mut up);
        let back = Instant::now();
        let first = first.await.unwrap();
        times.push(first.saturating_duration_since(back));
    }
    times.sort_unstable();
    let (median, longest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    println!("recovery: {what}, down for {lasts:?}: median {median:.2?}, longest {longest:.2?}");
    assert!(longest <= aim, "{what}: {times:?}");
}

/// Sends a request every 20 ms, and returns when the first one had its token.
async fn first_success(provider: NotionAuthProvider, subject: Subject) -> Instant {
    let mut requests = JoinSet::new();
    loop {
        let (provider, subject) = (provider.clone(), subject.clone());
        requests.spawn(async move {
            let acquired = provider.acquire(&subject).await;
            acquired.is_ok().then(Instant::now)
        });
        let next = sleep(Duration::from_millis(20));
        tokio::pin!(next);
        loop {
            tokio::select! {
                () = &mut next => break,
                Some(answered) = requests.join_next() => {
                    if let Some(at) = answered.unwrap() {
                        return at;
                    }
                }
            }
        }
    }
}
