//! How a refresh token that can be spent once is spent: the protocol of `DESIGN.md`, with several
//! processes, crashes, and faults of the store and of the call.
//!
//! A *cluster* is some providers that share one store, which stand for processes; each can die or be
//! suspended at any named point of a refresh, each has clocks of its own, and between it and the store,
//! and between it and Notion, stands a place where things go wrong.

mod cluster;
mod history;
mod life;
mod oracle;
mod outages;
mod property;
mod races;
mod record;
mod store;
mod table;
#[cfg(feature = "https")]
mod transport;
mod wire;
