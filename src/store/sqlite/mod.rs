//! Credentials in a file, by SQLite.
//!
//! [`open`] creates the file and its schema, and refuses another application's; [`store`] is the contract, one
//! statement for each operation; [`identity`] notices that the file was deleted or replaced; [`failure`] says what
//! SQLite's errors mean and what to do.

mod failure;
mod identity;
mod open;
mod store;

pub use self::store::SqliteStore;
