//! Whose credentials a request uses, and what else it may carry in its extensions.

use std::{
    fmt,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    sync::{Arc, OnceLock},
};

use http::HeaderValue;

use crate::credentials::{AccessToken, InvalidToken};
#[cfg(feature = "encryption")]
use crate::keyring::{DigestKey, Keyring};

/// Whose credentials a request uses: the name by which the host application knows a connection,
/// such as a customer's or a workspace's id.
///
/// Put it into a request's extensions, from a place that the request's sender does not control (the
/// host's session, never the query or a header). Cloning counts a reference; the text is hashed
/// once, when the subject is made, with SipHash under a key drawn per process, so that nobody can
/// choose subjects that collide.
///
/// `Debug`, and so the log, shows a digest and not the text, which may be somebody's e-mail address. Once the process has
/// built a provider with keys (feature `encryption`), the digest is keyed by the first of them, so that it is the same in
/// all processes with that key; before, it is another one in each process.
///
/// ```
/// use notion_auth::Subject;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Subject::new("workspace-123"));
/// ```
#[derive(Clone)]
pub struct Subject {
    hash: u64,
    text: Arc<str>,
}

#[cfg(feature = "encryption")]
static DIGEST_KEY: OnceLock<DigestKey> = OnceLock::new();

/// Hashes subjects: SipHash under this process's key.
static HASHER: OnceLock<DefaultHasher> = OnceLock::new();

impl Subject {
    /// A subject of this name. Any text will do, also an empty one; it is compared byte by byte.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let drawn = || RandomState::new().build_hasher();
        let mut hasher = HASHER.get_or_init(drawn).clone();
        text.hash(&mut hasher);
        Self {
            hash: hasher.finish(),
            text,
        }
    }

    /// A subject named by several parts, such as tenant and user, encoded so that no two lists of
    /// parts give the same subject: each part is preceded by its length in bytes.
    ///
    /// ```
    /// use notion_auth::Subject;
    ///
    /// assert_eq!(Subject::from_parts(["acme", "ann"]).as_str(), "4:acme,3:ann,");
    /// assert_ne!(Subject::from_parts(["a", "bc"]), Subject::from_parts(["ab", "c"]));
    /// ```
    pub fn from_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(Self::prefix_of_parts(parts))
    }

    /// What all subjects begin with whose first [parts](Self::from_parts) are these: the
    /// [`prefix`](crate::store::ListQuery) that lists, say, all connections of one user.
    ///
    /// ```
    /// use notion_auth::Subject;
    ///
    /// let prefix = Subject::prefix_of_parts(["acme", "ann"]);
    /// assert!(Subject::from_parts(["acme", "ann", "second"]).as_str().starts_with(&prefix));
    /// assert!(!Subject::from_parts(["acme", "anna"]).as_str().starts_with(&prefix));
    /// ```
    #[must_use]
    pub fn prefix_of_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
        use fmt::Write as _;

        let mut text = String::new();
        for part in parts {
            // Netstrings. Writing to a `String` never fails.
            let _ = write!(text, "{}:{part},", part.len());
        }
        text
    }

    /// The text it was made of.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[cfg(not(feature = "encryption"))]
    fn digest(&self) -> u64 {
        self.hash
    }

    #[cfg(feature = "encryption")]
    fn digest(&self) -> u64 {
        DIGEST_KEY
            .get()
            .map_or(self.hash, |key| key.digest(&self.text))
    }

    /// Makes digests the same in all processes with this keyring. The first call in a process counts.
    #[cfg(feature = "encryption")]
    pub(crate) fn key_digests(keyring: &Keyring) {
        DIGEST_KEY.get_or_init(|| keyring.digest_key());
    }

    #[inline]
    pub(crate) fn seeded_hash(&self) -> u64 {
        self.hash
    }
}

/// Lets subjects have the same hashes in each process, so that what a look-up takes can be counted
/// exactly. Not for a program that serves anybody: who knows the hashes can choose subjects that
/// collide.
///
/// ```
/// use notion_auth::{Subject, testing};
///
/// testing::fix_subject_seed(1);
/// let ann = Subject::new("ann");
/// ```
///
/// # Panics
/// When this process has made a subject, or fixed the seed, before.
///
/// ```should_panic
/// # use notion_auth::{Subject, testing};
/// let ann = Subject::new("ann");
/// testing::fix_subject_seed(1);
/// ```
#[cfg(feature = "testing")]
pub fn fix_subject_seed(seed: u64) {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    assert!(
        HASHER.set(hasher).is_ok(),
        "the seed of subjects must be fixed once, and before the first subject is made"
    );
}

impl PartialEq for Subject {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Eq for Subject {}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject(#{:016x})", self.digest())
    }
}

impl From<&str> for Subject {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// A request extension: credentials of the caller's own for this one request.
///
/// They come before a [`Subject`] and before the integration token, are used as they are, and are
/// never refreshed: a 401 goes back to the caller.
///
/// ```
/// use notion_auth::{AccessToken, ExplicitCredentials};
///
/// let token = AccessToken::new("ntn_example");
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(ExplicitCredentials::new(&token)?);
/// # Ok::<(), notion_auth::InvalidToken>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExplicitCredentials {
    authorization: HeaderValue,
}

impl ExplicitCredentials {
    /// Credentials that consist of this access token.
    ///
    /// # Errors
    /// When a header cannot carry the token.
    pub fn new(token: &AccessToken) -> Result<Self, InvalidToken> {
        token.to_header_value().map(Self::from_authorization)
    }

    pub(crate) fn from_authorization(authorization: HeaderValue) -> Self {
        Self { authorization }
    }

    pub(crate) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }
}

/// A request extension: without stored credentials, this request uses the app's integration token.
///
/// An app that has an OAuth client refuses a request without a subject, and one whose subject has
/// no credentials, because a lost extension must not switch identities silently. This says that it
/// is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UseIntegrationToken;

impl UseIntegrationToken {
    /// The extension.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Default for UseIntegrationToken {
    fn default() -> Self {
        Self::new()
    }
}

/// A request extension, and the mode of a layer: what to do when the credentials have expired or
/// were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Refresh them and go on.
    Refreshing,
    /// Answer with an error at once. The store may be read, the token endpoint is never called.
    FailFast,
}

/// Response extension with the credentials that were used, set by a layer that is configured to report them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialUsed {
    /// The stored credentials of the request's subject.
    Stored {
        /// The generation of the record (a counter of refreshes within one grant) they came from.
        generation: u64,
    },
    /// The request's [`ExplicitCredentials`].
    Explicit,
    /// The app's integration token.
    IntegrationToken,
}
