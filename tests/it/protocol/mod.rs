//! The refresh protocol, with several processes, crashes, and faults of the store and of the call. `I1` to `I8` are
//! the invariants of `DESIGN.md`; [`oracle`] checks all of them but I7.
//!
//! A *cluster* is some providers that share one store, which stand for processes. Each can die or be suspended at any
//! failpoint of a refresh, and has clocks of its own. Between it and the store, and between it and Notion, calls fail,
//! hang or lose their answers.

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
