//! Integration tests: each one checks a promise of this crate.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects and fails where it is not so"
)]

mod axum_stack;
mod cancellation;
mod check;
mod clients;
mod conformance;
mod connections;
mod credentials;
mod destination;
#[cfg(feature = "encryption")]
mod encryption;
mod fail_fast;
mod faulty_store;
mod glob;
mod guide;
mod headers;
#[cfg(feature = "https")]
mod https;
mod identity;
mod in_doubt;
mod memory_store;
mod mock_notion;
mod oauth;
#[cfg(feature = "metrics")]
mod observe;
mod own_process;
#[cfg(feature = "postgres")]
#[path = "../programs/process.rs"]
mod process;
#[cfg(all(
    feature = "encryption",
    feature = "https",
    any(feature = "postgres", feature = "redis", feature = "sqlite")
))]
mod processes;
mod programs;
mod progress;
mod protocol;
mod readiness;
mod refresh;
mod replay;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
mod retry_after;
mod routes;
mod secrets;
#[cfg(any(feature = "postgres", feature = "redis"))]
#[path = "../servers/mod.rs"]
mod servers;
mod size;
mod stacks;
mod start;
mod store_trouble;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod stores;
mod support;
#[cfg(any(
    feature = "https",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite"
))]
mod temporary;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod test_servers;
mod token_answers;
mod traits;
mod unauthorized;
