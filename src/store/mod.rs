//! Persistence: the contract of a store, the records in it, and the stores.
//!
//! - [`CredentialStore`] is what a store implements: primitives, of which compare-and-swap matters most.
//! - `record` is a record and its one encoding, `encryption` its payload.
//! - `rules` decides who may change a record and what it becomes, as pure functions of the record and the store's
//!   time. The same rules hold over every store.
//! - `records` is the typed operations that the provider uses: rules over primitives.
//!
//! A record's (lineage, generation) is its *fencing token*. A connect draws a new lineage; each refresh adds one
//! to the generation. A change names the token that it is about, and is refused under another.

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

/// The macro that [`CredentialStore`]'s implementations need.
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
