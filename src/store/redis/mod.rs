//! Credentials in Redis or Valkey.
//!
//! [`store`] is the contract, one script for each step; [`keys`] says what is kept where. [`url`] reads a URL,
//! [`connection`] is the one connection, [`health`] checks what the server must be set to, and [`failure`] says what
//! its errors mean.
//!
//! # One namespace, one hash slot
//!
//! A record is a hash. Redis lists no hashes in order, so a sorted set, the index, has the subjects of the namespace.
//! A script changes both in one step. Tombstones and nonces expire by themselves. The index's entry of an expired
//! tombstone stays until a purge; lists pass over it.
//!
//! The scripts are sent whole, by `EVAL` over RESP2: some managed servers refuse `SCRIPT LOAD` and `HELLO`.

mod connection;
mod failure;
mod health;
mod keys;
mod store;
mod url;

pub use self::store::RedisStore;
