//! Credential store in PostgreSQL, for processes on any number of hosts.
//!
//! - [`store`]: the type and its options
//! - [`url`]: validates the connection URL and the `PG…` variables
//! - [`operations`]: implements the contract with one statement per operation
//! - [`transaction`]: runs each operation in a short transaction
//! - [`connections`]: replaces connections that no longer lead to a primary, and finds out why there is
//!   none
//! - [`schema`]: creates and recognizes the tables
//! - [`health`]: checks that the server's settings make changes durable
//! - [`failure`]: converts errors, without the values that they may contain

mod connections;
mod failure;
mod health;
mod operations;
mod schema;
mod store;
mod transaction;
mod url;

pub use self::store::PostgresStore;
