//! What a store implements.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::error::StoreError;
use crate::{credentials::ReauthorizationReason, random::random_bytes, subject::Subject};

/// A place that keeps credentials, shared by all processes that refresh them.
///
/// A store implements five methods: it reads a record, replaces it if it is unchanged, consumes a nonce,
/// lists, and removes what has expired. What the records mean is decided by this crate, the same for every
/// store: the bytes are opaque to it.
///
/// # Contract
/// 1. **Durable**: an operation that returned `Ok` survives a crash of the process and, if the store is
///    persistent, of the machine. An `Err` says nothing about whether the operation was done.
/// 2. **Atomic**: [`compare_and_swap`](Self::compare_and_swap) compares and writes in one step, whatever other
///    processes do at that moment. So does [`consume_nonce`](Self::consume_nonce).
/// 3. **Primary**: [`load`](Self::load) reads the copy that is written, never a lagging replica.
/// 4. **Unchanged**: what was written is read back byte for byte. Subjects are told apart byte by byte too, whatever a
///    database's collation is. Keep room for subjects of 1,000 bytes and records of a megabyte.
/// 5. **Cancel safe**: when a future is dropped, its operation is done whole or not at all, and blocks no other. A store
///    that blocks its thread, as on a file, does so in `tokio::task::spawn_blocking`.
/// 6. **One clock**: [`Loaded::now`] is one clock for all processes that share the store, precise to a second
///    or better. It may be set.
///
/// An operation that takes more than 5 seconds (`RefreshTimings::save`) has failed; its future is dropped.
/// `testing::store_conformance` tests a store. Here is a whole store, on a map behind a lock; a
/// database does the same with `UPDATE … WHERE revision = …`:
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

    /// Writes `new` if the record still has the revision `seen` (`None`: if there is no record), and returns
    /// whether it did.
    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError>;

    /// Remembers the nonce for `lifetime`, and returns whether it was not remembered before.
    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError>;

    /// Returns the records of the namespace that the query asks for, in the byte order of their subjects.
    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError>;

    /// Removes [expired](StoredRecord::is_expired) records and nonces, and returns how many.
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

    /// The store's name in errors and logs, such as `"sqlite"`.
    ///
    /// Default: `"custom"`.
    fn name(&self) -> &'static str {
        "custom"
    }

    /// Whether only this process writes to the store. Then cached credentials are not compared with it.
    ///
    /// Default: `false`.
    fn is_private(&self) -> bool {
        false
    }

    /// Whether records outlive the process. Then the provider wants keys to encrypt them with.
    ///
    /// Default: `true`.
    fn is_persistent(&self) -> bool {
        true
    }
}

/// What [`load`](CredentialStore::load) returns.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The record, if there is one.
    pub record: Option<StoredRecord>,
    /// The store's clock when the record was read, UTC.
    pub now: SystemTime,
}

/// A record as a store keeps it. All five values are written together and read back unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Which change made the record what it is.
    pub revision: Revision,
    /// The record's state, to search by.
    pub state: RecordState,
    /// The bot by which Notion knows the connection, to search by.
    pub bot_id: Option<String>,
    /// When the credentials or the state changed last, UTC, to purge by. Whole seconds are enough.
    pub updated_at: SystemTime,
    /// The record itself.
    pub bytes: RecordBytes,
}

/// Whether a connection can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordState {
    /// The credentials can be used.
    Active,
    /// The user must connect again.
    NeedsReauthorization(ReauthorizationReason),
    /// The connection was ended. The record is a tombstone.
    Disconnected,
    /// The record can't be read here: it is damaged, of a newer version, or no key decrypts it.
    ///
    /// Never stored; it is what this process makes of the record.
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

    /// The word by which the state is stored. It never changes.
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

    /// The state of that [`code`](Self::code); [`Unreadable`](Self::Unreadable) if this version knows no such
    /// state.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let known = Self::STORED.into_iter().find(|state| state.code() == code);
        known.unwrap_or(Self::Unreadable)
    }
}

/// How long the tombstone of a disconnected subject is kept: 24 hours.
pub const TOMBSTONE_AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl StoredRecord {
    /// Whether [`purge_expired`](CredentialStore::purge_expired) removes the record at `now`: a tombstone that
    /// is [`TOMBSTONE_AGE`] old.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.state == RecordState::Disconnected
            && now
                .duration_since(self.updated_at)
                .is_ok_and(|age| age >= TOMBSTONE_AGE)
    }
}

/// The bytes of a record: wiped from memory when dropped, and not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecordBytes(Zeroizing<Vec<u8>>);

impl RecordBytes {
    /// Bytes read back from a store.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn from_wiped(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
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

/// Which records [`list`](CredentialStore::list) returns.
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
    /// What the subjects begin with. Default: empty, all subjects.
    pub prefix: String,
    /// Only subjects behind this one in byte order: the last one of the page before.
    pub after: Option<Subject>,
    /// Maximum number of records. Default: 100.
    pub limit: usize,
    /// Which states. Default: all.
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
    /// Sets [`prefix`](Self::prefix).
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

    /// Whether a record of this subject is asked for, whatever the limit.
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

/// Which states [`list`](CredentialStore::list) returns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Filter {
    /// All records, tombstones too.
    #[default]
    All,
    /// Connections that can be used.
    Active,
    /// Connections whose users must connect again.
    NeedsReauthorization,
    /// Tombstones of disconnected subjects.
    Disconnected,
    /// Connections of this bot.
    Bot(String),
}

impl Filter {
    /// Whether a record in this state, of this bot, is returned.
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

/// One record that [`list`](CredentialStore::list) returns.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Whose record it is.
    pub subject: Subject,
    /// The record.
    pub record: StoredRecord,
}

/// The key of a record: the application's namespace, and the subject in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RecordKey {
    namespace: Arc<str>,
    subject: Subject,
}

impl RecordKey {
    /// The record of `subject` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, subject: Subject) -> Self {
        Self {
            namespace: namespace.into(),
            subject,
        }
    }

    /// The namespace: applications with different ones share a store without seeing each other.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The subject.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// Which change made a record what it is: 64 random bits, drawn for each change.
///
/// Not a counter: a record that was purged and made again must never look unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revision([u8; 8]);

impl Revision {
    pub(crate) fn random() -> Self {
        Self(random_bytes())
    }

    /// A revision read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The revision as a store keeps it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// The revision as a signed number, for databases that have no unsigned one.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        i64::from_be_bytes(self.0)
    }

    /// The revision of that [number](Self::to_i64).
    #[must_use]
    pub const fn from_i64(number: i64) -> Self {
        Self(number.to_be_bytes())
    }
}

/// A one-time value: the digest of what may be used once in a namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce {
    namespace: Arc<str>,
    digest: [u8; 32],
}

impl Nonce {
    /// The nonce of this digest in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, digest: [u8; 32]) -> Self {
        Self {
            namespace: namespace.into(),
            digest,
        }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The digest.
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
