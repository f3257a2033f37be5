//! Credentials in PostgreSQL, for processes on any number of hosts.
//!
//! - [`store`]: the type and its options; [`url`]: the connection URL and the variables `PG…`, checked
//! - [`operations`]: the contract, one statement for each operation
//! - [`transaction`]: each operation is a short transaction of its own
//! - [`connections`]: connections that no longer lead to a primary are not used again, and why none came
//! - [`schema`]: the tables, how they are made, and by what they are recognized; [`health`]: whether the server
//!   keeps what it was given
//! - [`failure`]: errors, without the values that they may show

mod connections;
mod failure;
mod health;
mod operations;
mod schema;
mod store;
mod transaction;
mod url;

pub use self::store::PostgresStore;
