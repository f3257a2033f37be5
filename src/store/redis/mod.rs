//! Credential store in Redis or Valkey.
//!
//! - [`store`]: implements the contract with one script per step
//! - [`keys`]: the layout of keys
//! - [`url`]: parses the connection URL
//! - [`connection`]: the connection, which is replaced when it fails
//! - [`health`]: checks the server's settings
//! - [`failure`]: converts errors
//!
//! # One namespace, one hash slot
//!
//! A record is a hash. Redis cannot list hashes in order, so a sorted set, the index, contains the subjects
//! of the namespace. A script changes both in one step. Tombstones and nonces expire by themselves. The
//! index entry of an expired tombstone stays until a purge, and lists skip it.
//!
//! Scripts are sent as source, by `EVAL` over RESP2, because some managed servers refuse `SCRIPT LOAD` and
//! `HELLO`.

mod connection;
mod failure;
mod health;
mod keys;
mod store;
mod url;

pub use self::store::RedisStore;
