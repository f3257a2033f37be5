//! Tests the example `connect` in headless Chromium.
//!
//! The site is `localhost` and the mock Notion server `127.0.0.1`. For a browser these are different sites, so `SameSite`
//! applies to the redirects between them. The mock server revokes a connection whose code is exchanged twice, so a
//! working connection proves that it was exchanged once.
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
#[path = "../programs/process.rs"]
mod process;
mod several;
mod stage;
mod visitor;
