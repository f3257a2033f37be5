//! Integrations with other crates. Their major versions are part of this crate's API.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "reqwest")]
pub mod reqwest;

/// Client library of [`RedisStore`](crate::RedisStore).
#[cfg(feature = "redis")]
#[doc(no_inline)]
pub use ::redis;
/// Library of [`PostgresStore`](crate::PostgresStore) and [`SqliteStore`](crate::SqliteStore).
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[doc(no_inline)]
pub use sqlx;
