//! Persistence: the contract of a store, the format of records, and the built-in stores.
//!
//! - [`CredentialStore`] is the contract. Its most important operation is compare-and-swap.
//! - `record` defines a record and its encoding, and `encryption` its payload.
//! - `rules` decides whether a record may change and to what, as pure functions of the record and the
//!   store's time. The same rules apply to every store.
//! - `records` implements the typed operations of the provider with these rules and the store's operations.
//!
//! A record's (lineage, generation) is its *fencing token*. A connect creates a new lineage, and each
//! refresh increments the generation. A change names the fencing token that it applies to, and is refused
//! if the record has another one.

#[cfg(any(feature = "postgres", feature = "redis"))]
mod connection_url;
mod contract;
mod encryption;
mod error;
mod memory;
mod payload;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
mod records;
#[cfg(feature = "redis")]
mod redis;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;

/// The attribute macro for implementations of [`CredentialStore`].
pub use async_trait::async_trait;

#[cfg(feature = "encryption")]
pub(crate) use self::encryption::EncryptionKeys;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
pub use self::{
    contract::{
        CredentialStore, Filter, ListQuery, Listed, Loaded, Nonce, RecordBytes, RecordKey,
        RecordState, Revision, StoredRecord, TOMBSTONE_AGE,
    },
    error::{StoreError, StoreErrorKind},
    memory::MemoryStore,
    record::{InvalidId, Lineage},
};
pub(crate) use self::{
    encryption::Encryption,
    record::{AttemptId, FencingToken, Issuer, Lease, Metadata, Record},
    records::{Found, Outage, Records, Replaced, Snapshot},
    rules::{
        Changed, Committed, LeaseRequest, Leased, NewConnection, NewGeneration, refusal_delay,
    },
};
