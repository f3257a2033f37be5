//! Servers that tests start from installed programs: PostgreSQL, Redis, and PgBouncer in front of
//! PostgreSQL. See [`postgres`], [`redis`] and [`pgbouncer`].
//!
//! A [`server`] has its own port and a new [`directory`]. A test can stop it, kill it, and start it again
//! with its stored data. It is removed when its handle is dropped. When the whole process ends, for any
//! reason, a *keeper* process stops the server and removes the directory. Tests can therefore share a
//! server in a static, which is never dropped.
//!
//! All functions block the thread. In a single-threaded test, nothing else runs until the server has
//! started or stopped.
#![allow(
    dead_code,
    reason = "the library's tests and the gateway's each use a part"
)]

pub(crate) mod authority;
pub(crate) mod directory;
mod installed;
pub(crate) mod pgbouncer;
pub(crate) mod port;
pub(crate) mod postgres;
mod process;
pub(crate) mod redis;
mod resp;
pub(crate) mod server;
mod user;
