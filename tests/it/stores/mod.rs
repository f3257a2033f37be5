//! The stores that outlive a process: each keeps the contract, and says what is wrong with its database.

#[cfg(feature = "sqlite")]
mod sqlite;
mod two;
