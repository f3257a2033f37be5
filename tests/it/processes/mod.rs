//! Real processes over one shared store: nothing is lost when they are killed, suspended, or cut off.
//!
//! A test runs the mock server ([`MockNotion`](notion_auth::testing::MockNotion) with strict single use and family
//! revocation) and starts [`replica`]s of itself, which send requests for many subjects on command. [`cluster`] starts,
//! kills and suspends them, at the failpoints of a refresh or at any moment. [`run`] is the course of a test,
//! [`disruptions`] what happens to which replica. [`oracle`] compares the server's ledger and the replicas' reports with
//! the invariants of `DESIGN.md`.
//!
//! How long it runs: `PROCESS_KILLS` (the disruptions of each store's run, 12 by default), `PROCESS_TASKS` (tasks for each
//! subject and process, 20 by default), `PROCESS_SEED`.

mod cluster;
mod disruptions;
mod oracle;
mod replica;
mod run;
mod setup;
mod stores;
