use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use redis::{Client, cmd};

use super::{
    connection::{Connection, call, script},
    failure::{NAME, strange},
    health::{self, Accepted},
    keys::{Keys, Tag},
    url,
};
use crate::{
    store::{
        CredentialStore, Filter, ListQuery, Listed, Loaded, Nonce, RecordBytes, RecordKey,
        RecordState, Revision, StoreError, StoreErrorKind, StoredRecord, TOMBSTONE_AGE,
        record::{duration_to_micros, from_micros, to_micros},
    },
    subject::Subject,
};

/// Credential store in Redis 7 or newer, or Valkey, shared by processes and hosts.
///
/// ```no_run
/// use notion_auth::{Keyring, NotionAuthProvider, RedisStore};
///
/// # #[cfg(feature = "encryption")]
/// # async fn example() -> Result<(), notion_auth::BoxError> {
/// let provider = NotionAuthProvider::builder_from_env()?
///     .store(RedisStore::connect("redis://127.0.0.1").await?)
///     .keys(Keyring::from_env()?) // feature `encryption`; or `plaintext_at_rest()`
///     .start() // checks the server's settings
///     .await?;
/// # Ok(()) }
/// ```
///
/// # Required server settings
///
/// By default Redis is configured as a cache, and a connection is lost if its refresh token is lost.
/// [`health`](CredentialStore::health) refuses settings other than these, and names them:
///
/// | setting | must be | otherwise |
/// |---|---|---|
/// | `appendonly` | `yes` | a restart loses the changes since the last snapshot |
/// | `appendfsync` | `always` | a crash of the machine loses, with `everysec`, the last second |
/// | `no-appendfsync-on-rewrite` | `no` | the same, while the server rewrites its file |
/// | `maxmemory-policy` | `noeviction` | the server removes credentials when memory is short |
///
/// If you accept the loss, or a managed server does not let you read or change a setting, accept it with
/// [`accept_setting`](Self::accept_setting).
///
/// # Failures
///
/// A failed connection is replaced, including after a timeout or if the server has become a replica.
/// Connections are opened one at a time, and after a failure at most once per second. An operation fails
/// after at most 4 seconds.
///
/// Replication is asynchronous. If a primary fails, its last changes may be lost, including a rotation that
/// it had acknowledged. Notion then refuses that connection, and its user must connect again. If this is
/// not acceptable, use PostgreSQL with a synchronous replica. The store's clock is the primary's. Adjust
/// it, and those of the replicas, only in small steps.
///
/// # Stored data
///
/// A record is the hash `notion-auth:record:{namespace}:subject`. Namespace, subject, state, times, the
/// refresh lease, the bot ID, and the workspace's name and icon are always plaintext, also with keys. All
/// keys of a namespace are in one hash slot. The store uses one server by RESP2: a single server, a cluster
/// of one node, or a proxy. [`list`](CredentialStore::list) with a filter reads the states of all records
/// in its range.
///
/// # Permissions
///
/// On keys that begin with `notion-auth:`, the user needs `HGET`, `HMGET`, `HSET`, `DEL`, `EXISTS`,
/// `PERSIST`, `PEXPIRE`, `SET`, `ZADD`, `ZREM` and `ZRANGEBYLEX`. It also needs `EVAL`, `TIME`, `INFO`,
/// `PING`, `SCAN` and `CONFIG GET`.
///
/// Clones are handles of the same connection.
#[derive(Clone)]
pub struct RedisStore {
    connection: Arc<Connection>,
    keys: Keys,
    accepted: Accepted,
}

impl RedisStore {
    /// Connects to the server at `redis://user:password@host:port/database`, `rediss://…` with TLS, or
    /// `unix:///path`.
    ///
    /// Call it within a Tokio runtime.
    ///
    /// # TLS
    ///
    /// Trusted authorities are the system's, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`. `#insecure` is
    /// refused. If the process has no default crypto provider for rustls yet, this installs ring.
    ///
    /// `redis://` is plain text. To another machine it requires `?sslmode=disable`, for a network that you
    /// trust. This machine is `localhost`, a loopback address or a Unix socket.
    ///
    /// `unix://` has the parameters `db`, `user` and `pass`. There are no others. For other options, pass a
    /// client to [`new`](Self::new). Its settings are not checked.
    ///
    /// # Errors
    /// - The URL is not valid, has an unknown or repeated parameter, or is plain text to another machine.
    /// - The root certificates cannot be read, or the server's certificate is not trusted.
    /// - The server refuses the password.
    ///
    /// No error shows a parameter's value. It is not an error if the server does not answer within 2 seconds,
    /// because it may be starting. [`health`](CredentialStore::health) checks the server's settings.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, StoreError> {
        let store = Self::new(url::client(url.as_ref()).await?);
        match store.connection.establish().await {
            // It may be starting: `start` waits for it, and `health` reports it.
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {}
            established => established?,
        }
        Ok(store)
    }

    /// Uses a client created by the application, for example one with a client certificate
    /// (`redis::Client::build_with_tls`).
    ///
    /// The application is responsible for its TLS settings. `redis` is re-exported as
    /// [`notion_auth::integrations::redis`](crate::integrations::redis). The first operation connects. Only the client's address, TLS,
    /// user, password and database are used; the protocol is RESP2.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            connection: Arc::new(Connection::new(&client)),
            keys: Keys::default(),
            accepted: Accepted::default(),
        }
    }

    /// Sets the prefix of all keys, instead of `notion-auth:`. Stores with different prefixes do not see
    /// each other's records.
    ///
    /// # Errors
    /// If it is not 1 to 64 ASCII letters, digits, and `-_.:/`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Result<Self, StoreError> {
        self.keys = Keys::new(prefix.into())?;
        Ok(self)
    }

    /// Accepts any value of this server setting, even if it cannot be read.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), notion_auth::BoxError> {
    /// use notion_auth::RedisStore;
    ///
    /// let store = RedisStore::connect("redis://127.0.0.1")
    ///     .await?
    ///     .prefix("my-app:")?
    ///     .accept_setting("appendfsync")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If it is none of the settings above.
    pub fn accept_setting(mut self, name: &str) -> Result<Self, StoreError> {
        self.accepted.add(name)?;
        Ok(self)
    }
}

/// The fields of a record. The first two are those that a [`Filter`] needs.
const FIELDS: [&str; 5] = ["state", "bot", "revision", "updated_at", "bytes"];

/// The values of [`FIELDS`], or of the first of them.
type Fields = Vec<Option<Vec<u8>>>;

/// Maximum number of records that one command reads, so that the server is not blocked for long.
const CHUNK: usize = 100;

/// A hundred years, in milliseconds. Redis does not support `Duration::MAX`.
const LONGEST_LIFETIME: u128 = 100 * 365 * 24 * 60 * 60 * 1_000;

#[async_trait]
impl CredentialStore for RedisStore {
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let (now, mut rows) = self.read(&FIELDS, &[self.record_key(key)]).await?;
        let fields = rows.pop().ok_or_else(strange)?;
        let record = stored(fields);
        Ok(Loaded { record, now })
    }

    async fn compare_and_swap(
        &self,
        key: &RecordKey,
        seen: Option<Revision>,
        new: &StoredRecord,
    ) -> Result<bool, StoreError> {
        let index = self.keys.index(&Tag::of(key.namespace()));
        let seen = seen.map(|seen| seen.to_i64().to_string());
        let lifetime = match new.state {
            RecordState::Disconnected => TOMBSTONE_AGE.as_millis().to_string(),
            _ => String::new(),
        };
        // This field is always written, because `HDEL` would be a separate step that may be refused.
        let bot = match &new.bot_id {
            Some(bot) => format!("={bot}"),
            None => String::new(),
        };
        let mut call = call(script!("swap"), &[self.record_key(key), index]);
        call.arg(seen.unwrap_or_default())
            .arg(key.subject().as_str())
            .arg(lifetime)
            .arg(&[("state", new.state.code()), ("bot", &bot)])
            .arg(&[
                ("revision", new.revision.to_i64()),
                ("updated_at", to_micros(new.updated_at)),
            ])
            .arg("bytes")
            .arg(new.bytes.as_slice());
        self.connection.send(&call).await
    }

    async fn consume_nonce(&self, nonce: &Nonce, lifetime: Duration) -> Result<bool, StoreError> {
        let mut call = call(script!("consume"), &[self.keys.nonce(nonce)]);
        let lifetime = lifetime.as_millis().clamp(1, LONGEST_LIFETIME);
        call.arg(lifetime.to_string());
        self.connection.send(&call).await
    }

    async fn list(&self, namespace: &str, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        let tag = Tag::of(namespace);
        let (mut from, to) = bounds(query);
        let mut listed = Vec::new();
        while listed.len() < query.limit {
            let wanted = query.limit - listed.len();
            let count = match query.filter {
                Filter::All => wanted.min(CHUNK),
                _ => CHUNK,
            };
            let subjects = self.subjects(&tag, &from, &to, count).await?;
            let is_last = subjects.len() < count;
            if let Some(last) = subjects.last() {
                from = [b"(", last.as_bytes()].concat();
            }
            let found = self.records(&tag, subjects, &query.filter).await?;
            listed.extend(found.into_iter().take(wanted));
            if is_last {
                break;
            }
        }
        Ok(listed)
    }

    async fn purge_expired(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut cursor = 0;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor)
                .arg(&["MATCH", &self.keys.indexes()])
                .arg("COUNT")
                .arg(10 * CHUNK);
            let indexes: Vec<String>;
            (cursor, indexes) = self.connection.send::<(u64, _)>(&scan).await?;
            for tag in indexes.iter().filter_map(|it| self.keys.tag_of_index(it)) {
                removed += self.purge(&tag).await?;
            }
            if cursor == 0 {
                return Ok(removed);
            }
        }
    }

    async fn health(&self) -> Result<(), StoreError> {
        health::check(&self.connection, &self.keys, &self.accepted).await
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl RedisStore {
    fn record_key(&self, key: &RecordKey) -> String {
        let tag = Tag::of(key.namespace());
        self.keys.record(&tag, key.subject().as_str())
    }

    /// Reads fields of records, and the server's clock.
    async fn read(
        &self,
        fields: &[&str],
        records: &[String],
    ) -> Result<(SystemTime, Vec<Fields>), StoreError> {
        let mut call = call(script!("read"), records);
        call.arg(fields);
        let (seconds, micros, rows): (i64, i64, Vec<Fields>) = self.connection.send(&call).await?;
        if rows.len() != records.len() {
            return Err(strange());
        }
        let now = seconds.saturating_mul(1_000_000).saturating_add(micros);
        Ok((from_micros(now), rows))
    }

    /// Returns subjects of the index between two bounds of `ZRANGEBYLEX`.
    async fn subjects(
        &self,
        tag: &Tag,
        from: &[u8],
        to: &[u8],
        count: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut range = cmd("ZRANGEBYLEX");
        range.arg(self.keys.index(tag)).arg(from).arg(to);
        range.arg("LIMIT").arg(0).arg(count);
        self.connection.send(&range).await
    }

    /// Returns the records of these subjects that exist and match the filter.
    async fn records(
        &self,
        tag: &Tag,
        mut subjects: Vec<String>,
        filter: &Filter,
    ) -> Result<Vec<Listed>, StoreError> {
        let keys_of = |subjects: &[String]| -> Vec<String> {
            let keys = subjects.iter();
            keys.map(|subject| self.keys.record(tag, subject)).collect()
        };
        if *filter != Filter::All {
            let (_, rows) = self.read(&FIELDS[..2], &keys_of(&subjects)).await?;
            let mut rows = rows.into_iter();
            subjects.retain(|_| rows.next().is_some_and(|row| admits(filter, row)));
        }
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let (_, rows) = self.read(&FIELDS, &keys_of(&subjects)).await?;
        let mut listed = Vec::new();
        for (subject, fields) in subjects.into_iter().zip(rows) {
            // The record may have changed since its state was read.
            let record = stored(fields).filter(|it| filter.admits(it.state, it.bot_id.as_deref()));
            if let Some(record) = record {
                let subject = Subject::new(subject);
                listed.push(Listed { subject, record });
            }
        }
        Ok(listed)
    }

    async fn purge(&self, tag: &Tag) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut from = b"-".to_vec();
        loop {
            let subjects = self.subjects(tag, &from, b"+", CHUNK).await?;
            let Some(last) = subjects.last() else {
                return Ok(removed);
            };
            from = [b"(", last.as_bytes()].concat();
            let records = subjects.iter().map(|it| self.keys.record(tag, it));
            let keys: Vec<String> = [self.keys.index(tag)].into_iter().chain(records).collect();
            let mut call = call(script!("purge"), &keys);
            call.arg(duration_to_micros(TOMBSTONE_AGE)).arg(&subjects);
            removed += self.connection.send::<u64>(&call).await?;
        }
    }
}

/// Returns the bounds for `ZRANGEBYLEX` of the subjects that a query selects.
fn bounds(query: &ListQuery) -> (Vec<u8>, Vec<u8>) {
    let prefix = query.prefix.as_bytes();
    let after = query.after.as_ref().map(Subject::as_str);
    // Start at the later of the two.
    let from = match after {
        Some(after) if after.as_bytes() >= prefix => [b"(", after.as_bytes()].concat(),
        _ => [b"[", prefix].concat(),
    };
    let to = match prefix.split_last() {
        // The end is after all subjects with this prefix. UTF-8 contains no byte 255.
        Some((last, rest)) => [b"(", rest, &[last + 1]].concat(),
        None => b"+".to_vec(),
    };
    (from, to)
}

fn admits(filter: &Filter, fields: Fields) -> bool {
    let mut fields = fields.into_iter().flatten().map(String::from_utf8);
    match (fields.next(), fields.next()) {
        (Some(Ok(state)), Some(Ok(bot))) => {
            filter.admits(RecordState::from_code(&state), bot.strip_prefix('='))
        }
        _ => false,
    }
}

/// Builds the record from its fields. Returns `None` if it has none of them, because the record is then
/// absent.
///
/// A hash that was edited by hand may lack some. It cannot be decoded, but it can be listed, replaced and
/// deleted.
fn stored(fields: Fields) -> Option<StoredRecord> {
    if fields.iter().all(Option::is_none) {
        return None;
    }
    let mut fields = fields.into_iter();
    let mut field = || fields.next().flatten();
    let text = |field: Option<Vec<u8>>| String::from_utf8(field.unwrap_or_default());
    let text = |field| text(field).unwrap_or_default();
    let (state, bot) = (text(field()), text(field()));
    let (revision, updated_at) = (text(field()), text(field()));
    Some(StoredRecord {
        // The swap script treats a missing revision in the same way.
        revision: Revision::from_i64(revision.parse().unwrap_or_default()),
        state: RecordState::from_code(&state),
        bot_id: bot.strip_prefix('=').map(str::to_owned),
        updated_at: from_micros(updated_at.parse().unwrap_or_default()),
        bytes: RecordBytes::new(field().unwrap_or_default()),
    })
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.keys.prefix)
            .field("accepted", &self.accepted.0)
            .finish_non_exhaustive()
    }
}
