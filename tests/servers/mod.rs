//! Servers that a test starts for itself, from what is installed: PostgreSQL, Redis, and PgBouncer in
//! front of PostgreSQL. [`postgres`], [`redis`] and [`pgbouncer`] say how each is started and asked.
//!
//! A [`server`] has a port and a fresh [`directory`] of its own. It can be stopped, as by who
//! maintains it, or killed, as by a crash, and started again where it was, with what it stored. It is
//! gone when its handle is dropped; and when the whole process ends, however it ends, a *keeper*
//! outlives the process for a moment: it ends the server and removes the directory. So a server that
//! tests share may lie in a static, which is never dropped.
//!
//! All this blocks the thread: nothing else happens in a test of one thread until the server is there,
//! or gone.
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
