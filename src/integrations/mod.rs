//! Integrations with other crates. Their major versions are part of this crate's API.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "reqwest")]
pub mod reqwest;

/// Client library of `RedisStore`.
#[cfg(feature = "redis")]
#[doc(no_inline)]
pub use ::redis;
/// Library of `PostgresStore` and `SqliteStore`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[doc(no_inline)]
pub use sqlx;
