//! The gateway as its users run it: a process, with `MockNotion` behind it.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects and fails where it is not so"
)]

mod ask;
mod callers;
mod clients;
mod commands;
mod crash;
mod database;
#[cfg(feature = "demo")]
mod demo;
mod encryption_keys;
mod fed;
mod forwarding;
mod gate;
mod health;
mod keys;
mod links;
mod logs;
mod methods;
mod operation;
mod passed;
#[path = "../../../tests/programs/process.rs"]
mod process;
mod program;
mod proxies;
mod proxy;
mod public_url;
mod recorder;
mod replicas;
mod resent;
mod restart;
mod rotate;
#[path = "../../../tests/servers/mod.rs"]
mod servers;
mod settings;
mod shutdown;
mod streams;
mod tenants;
mod tls;
mod unreached;
mod visitors;
mod wait;
mod wire;
