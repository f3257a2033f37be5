//! Tests the example `connect` in headless Chromium.
//!
//! The site is `localhost` and the mock of Notion is `127.0.0.1`. To a browser they are different sites, so `SameSite`
//! and fetch metadata apply. The mock ends a connection whose code is sent twice: a connection that still works was
//! exchanged once.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects and fails where it is not so"
)]

mod application;
mod callback;
mod connecting;
mod driver;
mod other_sites;
#[path = "../programs/process.rs"]
mod process;
mod several;
mod stage;
mod visitor;
