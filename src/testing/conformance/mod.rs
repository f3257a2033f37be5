//! Conformance tests of the `CredentialStore` contract, rule by rule.

#![expect(clippy::panic, reason = "it fails where a store breaks the contract")]

mod lists;
mod nonces;
mod swaps;
mod trial;

use self::trial::Trial;
use crate::store::CredentialStore;

/// Checks that a store keeps the contract of [`CredentialStore`], in a few hundred operations.
///
/// It uses its own namespaces, so the store may contain other records. Its records are not removed at the
/// end: one of them has a megabyte, and the others are small. It purges expired records and tombstones of all
/// namespaces.
///
/// The check waits for nonces to expire by the store's clock. It takes less than 10 seconds if an operation
/// takes 5 milliseconds. An operation without an answer within 30 seconds breaks the contract.
///
/// To check the store with several processes, also run it on a wrapper that alternates between two handles
/// of the same database.
///
/// It cannot check that acknowledged writes survive a crash, that [`load`](CredentialStore::load) reads no lagging
/// replica, or that several machines share one clock.
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
/// If the store breaks the contract. The message names the rule and the expected behaviour.
pub async fn store_conformance(store: impl CredentialStore) {
    let trial = Trial::new(store);
    trial.check_health().await;
    swaps::check(&trial).await;
    nonces::check(&trial).await;
    lists::check(&trial).await;
}
