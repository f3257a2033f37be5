//! Waiting, but not forever.

use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// What comes without a message is asked for again and again.
pub(super) async fn eventually(holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "it never holds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it comes")
}

/// The same, for what has to be asked.
pub(super) async fn eventually_async(holds: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "it never holds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
