//! Credentials in a file, by SQLite.
//!
//! [`open`] makes the file and its schema, and refuses one that is not this crate's; [`store`] is the
//! contract, one statement for each operation; [`failure`] says what SQLite's errors mean and what to do
//! about them.

mod failure;
mod open;
mod store;

pub use self::store::SqliteStore;
