//! Where credentials are kept: the contract of a store, and the store in memory.
//!
//! A [`CredentialStore`] holds one [`Record`] for each namespace and subject. It does not know what
//! a credential is: the record's payload is bytes to it. What it must be able to do is one atomic and
//! durable step: replace a record if nobody has since it was read. Everything else is decided from the
//! record as it was read, by the same rules for every store, because Notion's refresh tokens can be
//! spent only once, and the processes that share a store agree through it and through nothing else.
//!
//! - A **generation** counts a record's accepted changes. Each [`save`](CredentialStore::save) names
//!   the generation it replaces and makes the next one. It never restarts, also not by a delete,
//!   which leaves a tombstone.
//! - A **claim** is the durable note "this attempt is about to spend the refresh token of this
//!   generation". Nobody calls the token endpoint without one. A claim lapses, but what its holder
//!   obtained can still be saved as long as the generation has not moved.
//! - An **attempt** is the name of one try to change a record. Asked again by the same attempt, an
//!   operation that was already done does nothing, and `save`, `condemn` and `claim` answer as they
//!   did, so that a caller whose answer was lost can simply ask again.
//!
//! Times are the store's own clock; nothing in the contract compares clocks of two machines.

mod code;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod columns;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod connection_url;
mod contract;
mod decide;
mod dynamic;
mod error;
mod key;
mod memory;
mod payload;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod sealer;
#[cfg(feature = "encryption")]
mod sealing_key;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;
mod unreadable;

use std::time::Duration;

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
#[cfg(feature = "encryption")]
pub(crate) use self::sealing_key::SealingKeys;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
pub use self::{
    contract::CredentialStore,
    error::{StoreError, StoreErrorKind},
    key::{AttemptId, OnceKey, RecordKey, Revision},
    memory::MemoryStore,
    payload::Payload,
    record::{
        Change, Claim, ClaimAnswer, Condemned, Expected, Filter, Labels, NewRecord, OnceAnswer,
        Record, RecordState, Released, Resealed, Saved, Summary,
    },
};
pub(crate) use self::{dynamic::DynStore, sealer::Sealer, unreadable::UnreadableRecord};

/// How long the tombstone of a disconnected subject is kept: 24 hours.
pub const TOMBSTONE_AGE: Duration = Duration::from_secs(24 * 60 * 60);
