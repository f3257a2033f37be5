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

/// Credentials in Redis 7 or newer, or Valkey, shared by processes and hosts.
///
/// ```no_run
/// use notion_auth::{Keyring, NotionAppCredentials, NotionAuthProvider, RedisStore};
///
/// # #[cfg(feature = "encryption")]
/// # async fn example() -> Result<(), notion_auth::BoxError> {
/// let provider = NotionAuthProvider::builder()
///     .app(NotionAppCredentials::from_env()?)
///     .store(RedisStore::connect("redis://127.0.0.1").await?)
///     .keys(Keyring::from_env()?) // feature `encryption`; or `plaintext_at_rest()`
///     .build()?;
/// provider.health().await?;
/// # Ok(()) }
/// ```
///
/// # What the server must be set to
///
/// By default Redis is a cache, and a refresh token that it forgets is a connection that is lost.
/// [`health`](CredentialStore::health) refuses other settings than these, and names them:
///
/// | setting | must be | otherwise |
/// |---|---|---|
/// | `appendonly` | `yes` | a restart loses what came after the last snapshot |
/// | `appendfsync` | `always` | a crash of the machine loses, with `everysec`, the last second |
/// | `no-appendfsync-on-rewrite` | `no` | the same, while the server rewrites its file |
/// | `maxmemory-policy` | `noeviction` | the server removes credentials when memory is short |
///
/// If you accept the loss, or a managed server does not let you set or read a setting, accept it by name:
/// [`accept_setting`](Self::accept_setting).
///
/// # Failures
///
/// A connection that fails is replaced by a new one, also after a time-out, or if the server at the address has
/// become a replica. New connections are made one at a time, after a failure at most once a second. An operation
/// fails after at most 4 seconds.
///
/// Replicas follow later. A primary that dies may take the last changes with it, and with them a rotation
/// that it had acknowledged: Notion then refuses that connection, and its user must connect again. Where
/// this must not happen, keep credentials in PostgreSQL with a synchronous replica. The store's clock is the
/// primary's, so set it by small steps, and the replicas' too.
///
/// # What it keeps
///
/// A record is the hash `notion-auth:record:{namespace}:subject`. In plaintext, also with keys, are namespace, subject,
/// state, times, the refresh lease, the bot id, and the workspace's name and icon. All keys of a namespace are in one
/// hash slot. The store speaks with one server, by RESP2: a server of its own, a cluster of one node, or a proxy.
/// [`list`](CredentialStore::list) with a filter reads the states of all records in its range.
///
/// On keys that begin with `notion-auth:`, the user needs `HGET`, `HMGET`, `HSET`, `DEL`, `EXISTS`, `PERSIST`,
/// `PEXPIRE`, `SET`, `ZADD`, `ZREM` and `ZRANGEBYLEX`. Besides, it needs `EVAL`, `TIME`, `INFO`, `PING`, `SCAN` and
/// `CONFIG GET`.
///
/// Clones are handles to the same connection.
#[derive(Clone)]
pub struct RedisStore {
    connection: Arc<Connection>,
    keys: Keys,
    accepted: Accepted,
}

impl RedisStore {
    /// Connects to a server at `redis://user:password@host:port/database`, `rediss://…` with TLS, or
    /// `unix:///path`.
    ///
    /// Within a Tokio runtime.
    ///
    /// # TLS
    ///
    /// The authorities that count are the system's, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`. `#insecure`
    /// is refused. If the process has no default provider of cryptography for rustls yet, it is ring from then on.
    ///
    /// `redis://` is plain text. To another machine it needs `?sslmode=disable`, for a network that you trust. This
    /// machine is `localhost`, a loopback address or a Unix socket.
    ///
    /// `unix://` has the parameters `db`, `user` and `pass`. There are no others. For anything else, give
    /// [`new`](Self::new) a client. Its settings are not checked.
    ///
    /// # Errors
    /// When the URL is not valid, has an unknown parameter or one that is set twice, is plain text to another machine,
    /// the root certificates cannot be read, or the server is not trusted or refuses the password. No error shows a
    /// parameter's value. A server that does not answer within 2 seconds is no error here: it may be starting.
    /// [`health`](CredentialStore::health) checks the server's settings.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, StoreError> {
        let store = Self::new(url::client(url.as_ref()).await?);
        match store.connection.establish().await {
            // It may be starting: `start` waits for it, and `health` reports it.
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {}
            established => established?,
        }
        Ok(store)
    }

    /// Uses a client that the application has made, such as one with a client's certificate
    /// (`redis::Client::build_with_tls`). Its TLS is the application's. `redis` is
    /// [`notion_auth::redis`](crate::redis).
    ///
    /// The first operation connects. The client's address, TLS, user, password and database count; the
    /// protocol is RESP2.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            connection: Arc::new(Connection::new(&client)),
            keys: Keys::default(),
            accepted: Accepted::default(),
        }
    }

    /// What all keys begin with, instead of `notion-auth:`. Stores with different prefixes do not see each
    /// other.
    ///
    /// # Errors
    /// When it is not 1 to 64 ASCII letters, digits, and `-_.:/`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Result<Self, StoreError> {
        self.keys = Keys::new(prefix.into())?;
        Ok(self)
    }

    /// Accepts the server's setting of that name as it is, also if it cannot be read.
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
    /// When it is none of the settings above.
    pub fn accept_setting(mut self, name: &str) -> Result<Self, StoreError> {
        self.accepted.add(name)?;
        Ok(self)
    }
}

/// The fields of a record. The first two are those that a [`Filter`] needs.
const FIELDS: [&str; 5] = ["state", "bot", "revision", "updated_at", "bytes"];

/// The values of [`FIELDS`], or of the first of them.
type Fields = Vec<Option<Vec<u8>>>;

/// Maximum number of records that one command reads, so that the server is never blocked for long.
const CHUNK: usize = 100;

/// A hundred years, in milliseconds. Redis has no room for `Duration::MAX`.
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
        // The value of a field that is always there, or `HDEL` would be another step that may be refused.
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

    /// Returns subjects of the index, between bounds as `ZRANGEBYLEX` takes them.
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

    /// Returns the records of those subjects that have one and are asked for.
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
            // It may have changed since its state was read.
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

/// The bounds of the subjects that a query is about, as `ZRANGEBYLEX` takes them.
fn bounds(query: &ListQuery) -> (Vec<u8>, Vec<u8>) {
    let prefix = query.prefix.as_bytes();
    let after = query.after.as_ref().map(Subject::as_str);
    // From whichever begins later.
    let from = match after {
        Some(after) if after.as_bytes() >= prefix => [b"(", after.as_bytes()].concat(),
        _ => [b"[", prefix].concat(),
    };
    let to = match prefix.split_last() {
        // Behind all that begin so. No byte of UTF-8 is 255.
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

/// The record that has these fields. `None` if it has none of them: then it is not there.
///
/// A hash that was changed by hand may lack some. Then it can't be decoded, but can be listed, replaced and deleted.
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
        // As the script that swaps has it.
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
