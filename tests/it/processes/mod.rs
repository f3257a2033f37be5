//! Real processes over one shared store: nothing is lost when they are killed, suspended, or cut off.
//!
//! A test here plays Notion ([`MockNotion`](notion_auth::testing::MockNotion) with strict single use and
//! family revocation) and starts [`replica`]s of itself, which send requests for many subjects when told
//! to. [`cluster`] starts, kills and suspends them, at the named points of a refresh or at any moment;
//! [`run`] is the course of a test, [`blows`] what is done to whom, and [`oracle`] holds the server's ledger
//! and what the replicas told against what is promised.
//!
//! How long it runs: `PROCESS_KILLS` (the blows of each store's run, 12 by default), `PROCESS_TASKS` (tasks for each
//! subject and process, 20 by default), `PROCESS_SEED`.

mod blows;
mod cluster;
mod oracle;
mod replica;
mod run;
mod setup;
mod stores;
