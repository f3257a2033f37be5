//! The contract of a store, clause by clause.
//!
//! [`store_conformance`] runs them one after another, each in a namespace of its own, so that the store
//! may hold other things, and several may be tested at once:
//!
//! - `saves`: generations, the fence, what is read back, keys that must not collide
//! - `claims`: who may spend a refresh token, and for how long
//! - `endings`: release, condemn, reconnect, reseal
//! - `listing`, `marks`: what operators and flows need
//! - `races`: all of that when many do it at once, and when futures are dropped

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "it fails where the store is not as it must be"
)]

mod claims;
mod endings;
mod listing;
mod marks;
mod races;
mod saves;
mod subject;

use std::sync::Arc;

use self::subject::Tried;
use crate::store::CredentialStore;

/// Proves that a store keeps the contract of [`CredentialStore`], in a few seconds.
///
/// Time is the store's own, so this waits for real while leases of less than a second lapse; with paused
/// time and a store that follows it, it does not. It has one handle: for a store whose handles may be in
/// several processes, try one that takes several in turn.
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
/// When the store breaks a clause; the message says which.
pub async fn store_conformance(store: impl CredentialStore) {
    let store = Arc::new(store);
    store.health().await.expect("a store in use is healthy");
    saves::check(&Tried::new(&store)).await;
    claims::check(&Tried::new(&store)).await;
    endings::check(&Tried::new(&store)).await;
    marks::check(&Tried::new(&store)).await;
    listing::check(&Tried::new(&store)).await;
    races::check(&Tried::new(&store)).await;
}
