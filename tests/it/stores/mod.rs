//! The persistent stores: each keeps the contract, and its errors describe problems of the database.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "encryption", any(feature = "postgres", feature = "redis")))]
mod recovery_time;
#[cfg(feature = "redis")]
mod redis;
#[cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod secrets;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod small_disk;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod tls;
