//! The contract of a store, rule by rule.

#![expect(clippy::panic, reason = "it fails where a store breaks the contract")]

mod lists;
mod nonces;
mod swaps;
mod trial;

use self::trial::Trial;
use crate::store::CredentialStore;

/// Checks that a store keeps the contract of [`CredentialStore`], in a few hundred operations.
///
/// It uses namespaces of its own, so the store may hold other records. It takes under 10 seconds if an operation takes
/// 5 milliseconds, and always ends: an operation that does not answer within 30 seconds breaks the contract. It waits
/// for nonces to expire by the store's own clock. It purges expired records, and leaves its own behind.
///
/// One handle says nothing of several processes: run it also on a store that passes its operations in turn to two handles
/// of one database.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use notion_auth::{MemoryStore, testing::{TestClock, store_conformance}};
///
/// store_conformance(MemoryStore::with_clock(TestClock::new())).await;
/// # }
/// ```
///
/// # Panics
/// When the store breaks the contract. The message names the rule and says what was expected.
pub async fn store_conformance(store: impl CredentialStore) {
    let trial = Trial::new(store);
    trial.check_health().await;
    swaps::check(&trial).await;
    nonces::check(&trial).await;
    lists::check(&trial).await;
}
