//! The example `connect`, as a visitor's browser sees it: headless Chromium drives it.
//!
//! The site is `localhost` and the stand-in for Notion `127.0.0.1`: to a browser they are different
//! sites, and the way back from one to the other carries only what `SameSite` lets through. The
//! stand-in ends a connection whose code comes twice, so what still works was exchanged once.
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
