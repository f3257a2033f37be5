//! The contract that a store implements.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::error::StoreError;
use crate::{credentials::ReauthorizationReason, random::random_bytes, subject::Subject};

/// A store of credentials, shared by all processes that refresh them.
///
/// A store implements five methods: read a record, replace it if it is unchanged, consume a nonce, list
/// records, and remove expired ones. The refresh protocol is implemented by this crate, the same for every
/// store. The records' bytes are opaque to the store.
///
/// # Contract
/// 1. **Durable**: an operation that returned `Ok` survives a crash of the process and, if the store is
///    persistent, of the machine. An `Err` says nothing about whether the operation was done.
/// 2. **Atomic**: [`compare_and_swap`](Self::compare_and_swap) and [`consume_nonce`](Self::consume_nonce)
///    compare and write in one step, whatever other processes do at the same time.
/// 3. **Primary**: [`load`](Self::load) reads the copy that is written, never a lagging replica.
/// 4. **Unchanged**: values are read back byte for byte. Subjects are compared byte by byte, whatever the
///    database's collation is. Support subjects of 1,000 bytes and records of one megabyte.
/// 5. **Cancel safe**: when a future is dropped, its operation is done completely or not at all, and it
///    blocks no other operation. A store that blocks its thread, for example on a file, does so in
///    `tokio::task::spawn_blocking`.
/// 6. **One clock**: [`Loaded::now`] is one clock for all processes that share the store, with a precision
///    of a second or better. The clock may be adjusted.
///
/// An operation that takes more than 5 seconds (`RefreshTimings::save`) has failed, and its future is
/// dropped. `testing::store_conformance` tests a store. This is a complete store, a map behind a lock. A
/// database uses `UPDATE … WHERE revision = …` instead:
///
/// ```
/// use std::{collections::{BTreeMap, HashMap}, sync::Mutex, time::{Duration, SystemTime}};
/// use notion_auth::store::{
///     CredentialStore, ListQuery, Listed, Loaded, Nonce, RecordKey, Revision, StoreError, StoredRecord,
/// };
///
/// #[derive(Debug, Default)]
/// struct MapStore {
///     records: Mutex<BTreeMap<(String, String), StoredRecord>>,
///     nonces: Mutex<HashMap<Nonce, SystemTime>>,
/// }
///
/// fn place(key: &RecordKey) -> (String, String) {
///     (key.namespace().to_owned(), key.subject().as_str().to_owned())
/// }
///
/// #[notion_auth::store::async_trait]
/// impl CredentialStore for MapStore {
///     async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
///         let record = self.records.lock().unwrap().get(&place(key)).cloned();
///         Ok(Loaded { record, now: SystemTime::now() })
///     }
///
///     async fn compare_and_swap(
///         &self, key: &RecordKey, seen: Option<Revision>, new: &StoredRecord,
///     ) -> Result<bool, StoreError> {
///         let mut records = self.records.lock().unwrap();
///         let is_unchanged = records.get(&place(key)).map(|record| record.revision) == seen;
///         if is_unchanged {
///             records.insert(place(key), new.clone());
///         }
///         Ok(is_unchanged)
///     }
///
///     async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
///         let now = SystemTime::now();
///         let mut nonces = self.nonces.lock().unwrap();
///         let is_first = nonces.get(nonce).is_none_or(|end| *end <= now);
///         if is_first {
///             nonces.insert(nonce.clone(), now + lifetime);
///         }
///         Ok(is_first)
///     }
///
///     async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
///         let records = self.records.lock().unwrap();
///         let in_namespace = records.iter().filter(|((of, _), _)| of == namespace);
///         let listed = in_namespace.filter(|((_, subject), record)| query.admits(subject, record));
///         Ok(listed.take(query.limit).map(|((_, subject), record)| Listed {
///             subject: subject.as_str().into(),
///             record: record.clone(),
///         }).collect())
///     }
///
///     async fn purge_expired(&self) -> Result<u64, StoreError> {
///         let now = SystemTime::now();
///         let (mut records, mut nonces) = (self.records.lock().unwrap(), self.nonces.lock().unwrap());
///         let before = records.len() + nonces.len();
///         records.retain(|_, record| !record.is_expired(now));
///         nonces.retain(|_, end| *end > now);
///         Ok((before - records.len() - nonces.len()) as u64)
///     }
/// }
///
/// # #[tokio::main] async fn main() {
/// notion_auth::testing::store_conformance(MapStore::default()).await;
/// # }
/// ```
#[async_trait]
pub trait CredentialStore: fmt::Debug + Send + Sync + 'static {
    /// Reads the record and the store's clock.
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError>;

    /// Writes `new` if the record still has the revision `seen`, or if there is no record and `seen` is
    /// `None`. Returns whether it was written.
    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError>;

    /// Stores the nonce for `lifetime`. Returns `true` if it was not stored yet.
    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError>;

    /// Returns the records of the namespace that match the query, in byte order of their subjects.
    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError>;

    /// Removes [expired](StoredRecord::is_expired) records and nonces. Returns their number.
    async fn purge_expired(&self) -> Result<u64, StoreError>;

    /// Creates what the store needs and is missing, such as tables. Called at each start, also by several processes at
    /// once.
    ///
    /// Default: nothing.
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Checks that the store answers, and that its settings keep the contract.
    ///
    /// Default: always healthy.
    async fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns the store's name in errors and logs, such as `"sqlite"`.
    ///
    /// Default: `"custom"`.
    fn name(&self) -> &'static str {
        "custom"
    }

    /// Returns whether only this process writes to the store. The provider then trusts its cache without
    /// reading the store.
    ///
    /// Default: `false`.
    fn is_private(&self) -> bool {
        false
    }

    /// Returns whether records outlive the process. The provider then requires keys to encrypt them.
    ///
    /// Default: `true`.
    fn is_persistent(&self) -> bool {
        true
    }
}

/// Result of [`load`](CredentialStore::load).
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The record, if there is one.
    pub record: Option<StoredRecord>,
    /// The store's clock when the record was read, UTC.
    pub now: SystemTime,
}

/// A record as stored. All five values are written together and read back unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The revision, which is different after each change.
    pub revision: Revision,
    /// The record's state, for filters.
    pub state: RecordState,
    /// The connection's bot ID at Notion, for filters.
    pub bot_id: Option<String>,
    /// Time of the last change of credentials or state, UTC, for purging. Whole seconds are sufficient.
    pub updated_at: SystemTime,
    /// The encoded record.
    pub bytes: RecordBytes,
}

/// State of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordState {
    /// The credentials are usable.
    Active,
    /// The user must connect again.
    NeedsReauthorization(ReauthorizationReason),
    /// The subject was disconnected. The record is a tombstone.
    Disconnected,
    /// The record cannot be read by this process: it is damaged, of a newer version, or no key decrypts it.
    ///
    /// This state is never stored. It is determined when a record is read.
    Unreadable,
}

impl RecordState {
    const STORED: [Self; 6] = [
        Self::Active,
        Self::Disconnected,
        Self::NeedsReauthorization(ReauthorizationReason::Revoked),
        Self::NeedsReauthorization(ReauthorizationReason::RotationLost),
        Self::NeedsReauthorization(ReauthorizationReason::NoRefreshToken),
        Self::NeedsReauthorization(ReauthorizationReason::Expired),
    ];

    /// Returns the stored name of the state. It never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disconnected => "disconnected",
            Self::Unreadable => "unreadable",
            Self::NeedsReauthorization(reason) => match reason {
                ReauthorizationReason::Revoked => "revoked",
                ReauthorizationReason::RotationLost => "rotation_lost",
                ReauthorizationReason::NoRefreshToken => "no_refresh_token",
                ReauthorizationReason::Expired => "expired",
            },
        }
    }

    /// Returns the state with this [`code`](Self::code), or [`Unreadable`](Self::Unreadable) if this
    /// version does not know it.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let known = Self::STORED.into_iter().find(|state| state.code() == code);
        known.unwrap_or(Self::Unreadable)
    }
}

/// Retention of the tombstone of a disconnected subject: 24 hours.
pub const TOMBSTONE_AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl StoredRecord {
    /// Returns whether [`purge_expired`](CredentialStore::purge_expired) removes the record at `now`: it is
    /// a tombstone, and [`TOMBSTONE_AGE`] has passed since the disconnect.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.state == RecordState::Disconnected
            && now
                .duration_since(self.updated_at)
                .is_ok_and(|age| age >= TOMBSTONE_AGE)
    }
}

/// The bytes of a record: zeroed in memory on drop, and not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecordBytes(Zeroizing<Vec<u8>>);

impl RecordBytes {
    /// Wraps bytes that were read from a store.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn from_wiped(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to store.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RecordBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordBytes({} bytes)", self.0.len())
    }
}

/// Query for [`list`](CredentialStore::list).
///
/// ```
/// use notion_auth::{Subject, store::{Filter, ListQuery}};
///
/// // The connections of one user who may have several.
/// let query = ListQuery::default()
///     .prefix(Subject::prefix_of_parts(["acme", "ann"]))
///     .filter(Filter::Active)
///     .limit(20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListQuery {
    /// Prefix of the subjects. Default: empty, for all subjects.
    pub prefix: String,
    /// Only subjects after this one in byte order: the last subject of the previous page.
    pub after: Option<Subject>,
    /// Maximum number of records. Default: 100.
    pub limit: usize,
    /// The states to return. Default: all.
    pub filter: Filter,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            after: None,
            limit: 100,
            filter: Filter::All,
        }
    }
}

impl ListQuery {
    /// Sets [`prefix`](Self::prefix). For subjects made by [`Subject::from_parts`], use [`Subject::prefix_of_parts`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`after`](Self::after).
    #[must_use]
    pub fn after(mut self, after: impl Into<Option<Subject>>) -> Self {
        self.after = after.into();
        self
    }

    /// Sets [`limit`](Self::limit).
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets [`filter`](Self::filter).
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Returns whether the query matches this record, apart from the limit.
    #[must_use]
    pub fn admits(&self, subject: &str, record: &StoredRecord) -> bool {
        subject.starts_with(&self.prefix)
            && self
                .after
                .as_ref()
                .is_none_or(|after| subject > after.as_str())
            && self.filter.admits(record.state, record.bot_id.as_deref())
    }
}

/// Filter by state or bot for [`list`](CredentialStore::list).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Filter {
    /// All records, including tombstones.
    #[default]
    All,
    /// Connections that can be used, as far as is known without a request to Notion.
    Active,
    /// Connections whose users must connect again, as far as was noticed.
    NeedsReauthorization,
    /// Tombstones of disconnected subjects.
    Disconnected,
    /// Connections of this bot.
    Bot(String),
}

impl Filter {
    /// Returns whether the filter matches a record with this state and bot.
    #[must_use]
    pub fn admits(&self, state: RecordState, bot_id: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Active => state == RecordState::Active,
            Self::NeedsReauthorization => matches!(state, RecordState::NeedsReauthorization(_)),
            Self::Disconnected => state == RecordState::Disconnected,
            Self::Bot(bot) => bot_id == Some(bot),
        }
    }
}

/// A record returned by [`list`](CredentialStore::list).
#[derive(Debug, Clone)]
pub struct Listed {
    /// The record's subject.
    pub subject: Subject,
    /// The record.
    pub record: StoredRecord,
}

/// The key of a record: the application's namespace, and a subject in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RecordKey {
    namespace: Arc<str>,
    subject: Subject,
}

impl RecordKey {
    /// Creates the key of `subject` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, subject: Subject) -> Self {
        Self {
            namespace: namespace.into(),
            subject,
        }
    }

    /// Returns the namespace. Applications with different namespaces can share a store without seeing each
    /// other's records.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the subject.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// Revision of a record: 64 random bits, new for each change.
///
/// It is not a counter, because a record that was purged and created again must not look unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revision([u8; 8]);

impl Revision {
    pub(crate) fn random() -> Self {
        Self(random_bytes())
    }

    /// Decodes a revision that was read from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Returns the revision as bytes to store.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// Returns the revision as a signed number, for databases without unsigned ones.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        i64::from_be_bytes(self.0)
    }

    /// Decodes a revision from [`to_i64`](Self::to_i64).
    #[must_use]
    pub const fn from_i64(number: i64) -> Self {
        Self(number.to_be_bytes())
    }
}

/// A one-time value: a digest that can be consumed once in a namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce {
    namespace: Arc<str>,
    digest: [u8; 32],
}

impl Nonce {
    /// Creates the nonce with this digest in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, digest: [u8; 32]) -> Self {
        Self {
            namespace: namespace.into(),
            digest,
        }
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the digest.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonce")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
