//! The stores that outlive a process: each keeps the contract, and says what is wrong with its database.

#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
mod two;
