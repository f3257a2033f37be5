//! Credential store in a file, by SQLite.
//!
//! - [`open`]: creates the file and its schema, and refuses another application's database
//! - [`store`]: implements the contract with one statement per operation
//! - [`identity`]: detects that the file was deleted or replaced
//! - [`failure`]: converts errors of SQLite, with advice

mod failure;
mod identity;
mod open;
mod store;

pub use self::store::SqliteStore;
