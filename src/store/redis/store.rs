use std::fmt;

use redis::aio::ConnectionManager;

use super::{connect::connect, durability::Accepted, keys::Keys, link::Link};
#[cfg(doc)]
use crate::store::CredentialStore;
use crate::store::StoreError;

pub(super) const NAME: &str = "redis";

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
/// Redis is a cache unless it is told otherwise, and a refresh token that was exchanged and then forgotten
/// is a connection that is lost. [`health`](CredentialStore::health) refuses a server that is not set so,
/// and says what is wrong:
///
/// | setting | must be | otherwise |
/// |---|---|---|
/// | `appendonly` | `yes` | a restart loses what came after the last snapshot |
/// | `appendfsync` | `always` | a crash of the machine loses, with `everysec`, the last second |
/// | `no-appendfsync-on-rewrite` | `no` | the same, while the server rewrites its file |
/// | `maxmemory-policy` | `noeviction` | what is not used goes when memory is short |
///
/// Who can live with that, or has a managed server where it cannot be set or cannot be read, says so by
/// name: [`accept_setting`](Self::accept_setting).
///
/// # After a failover
///
/// Replicas follow later. A primary that dies may take the last changes with it, and with them a rotation
/// that it had acknowledged: that connection is then refused by Notion, and its user connects again. Where
/// this must not happen, keep credentials in PostgreSQL with a synchronous replica. A server that has
/// become a replica is neither read nor written. The clock is the primary's, so it should be set by small
/// steps, and the replicas' alike.
///
/// # What it keeps
///
/// In clear are, also with keys: namespace, subject, state, workspace name, bot id, times, claims. A
/// record is a hash, `notion-auth:record:{namespace/subject}`, that never expires; the mark of a used flow
/// is a string that does. Each script and each command touches one key, so that the server
/// may be a cluster behind a proxy, or one of a single node; the store itself speaks with one server.
///
/// The user needs, on these keys, `HGETALL`, `HMGET`, `HGET`, `HEXISTS`, `HSET`, `HDEL`, `DEL`, `EXISTS`, `TYPE`,
/// `SET`, `SADD`, `SMEMBERS`, `ZADD`, `ZREM` and `ZRANGEBYLEX`, and beside them `EVAL`, `EVALSHA`, `TIME`, `INFO`,
/// `CONFIG GET` and `HELLO`.
///
/// Dropping the future of an operation leaves it done or not done. Each command is waited for up to 4
/// seconds.
///
/// Clones are handles to the same connection.
#[derive(Clone)]
pub struct RedisStore {
    pub(super) link: Link,
    pub(super) keys: Keys,
    pub(super) accepted: Accepted,
}

impl RedisStore {
    /// Connects to a server at `redis://user:password@host:port/database`, `rediss://…` with TLS, or
    /// `unix:///path`.
    ///
    /// A connection that is lost is made again. The protocol is RESP3, whatever the URL says. Call it
    /// within a Tokio runtime.
    ///
    /// # TLS
    ///
    /// The authorities that count are the system's, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`. `#insecure`
    /// is refused. If the process has no default provider of cryptography for rustls yet, it is ring from then on.
    ///
    /// `redis://` is plain text. To another machine it needs `?sslmode=disable`, for a network that you trust. This
    /// machine is `localhost`, a loopback address or a Unix socket.
    ///
    /// The only other parameter is `protocol`; for `unix://` also `db`, `user` and `pass`. For anything else, give
    /// [`new`](Self::new) a connection. Its settings are not checked.
    ///
    /// # Errors
    /// When the URL is not valid, has an unknown parameter or one that is set twice, is plain text to another machine,
    /// the root certificates cannot be read, or the server cannot be reached within 4 seconds, is not trusted, or
    /// refuses the password. No error shows a parameter's value. What else may be wrong with the server,
    /// [`health`](CredentialStore::health) says.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, StoreError> {
        Ok(Self::new(connect(url.as_ref()).await?))
    }

    /// By a connection that the application has already, or that needs more than a URL says, such as a
    /// client's certificate. Its TLS is the application's. `redis` is [`notion_auth::redis`](crate::redis).
    ///
    /// Its response timeout counts as well as this store's own of 4 seconds; the default of the
    /// `redis` crate is half a second, which a slow disk may exceed.
    #[must_use]
    pub fn new(connection: ConnectionManager) -> Self {
        Self {
            link: Link::new(connection),
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

    /// Accepts what the server's setting of that name is, also if it cannot be read, and what may be lost
    /// by it.
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

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.keys.prefix)
            .field("accepted", &self.accepted.0)
            .finish_non_exhaustive()
    }
}
