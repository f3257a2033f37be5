//! The subject of a request, and other request extensions.

use std::{
    fmt,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    sync::{Arc, OnceLock},
};

use http::HeaderValue;

use crate::credentials::{AccessToken, InvalidToken};
#[cfg(feature = "encryption")]
use crate::keyring::{DigestKey, Keyring};

/// The application's name for a Notion connection, such as a customer's or workspace's ID. It selects the
/// credentials of a request.
///
/// Insert it into a request's extensions, from a source that the sender of the request does not control:
/// your session, never the query or a header. Clones are cheap. The text is hashed once, when the subject
/// is created, with SipHash under a random key of the process, so that clients cannot choose subjects that
/// collide.
///
/// `Debug`, and therefore the log, shows a digest instead of the text, which may be an e-mail address. Once
/// the process has built a provider with keys (feature `encryption`), the digest is keyed by the first of
/// them, and is the same in all processes with that key. Before that, it differs between processes.
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

/// Hashes subjects with SipHash under a key of this process.
static HASHER: OnceLock<DefaultHasher> = OnceLock::new();

impl Subject {
    /// Creates a subject from any text, including an empty one. Subjects are compared byte by byte.
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

    /// Creates a subject from several parts, such as tenant and user.
    ///
    /// Each part is preceded by its length in bytes, so that different lists of parts yield different
    /// subjects.
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

    /// Returns the prefix of all subjects whose first [parts](Self::from_parts) are these. Use it as the
    /// [`prefix`](crate::store::ListQuery) of a list, for example of all connections of one user.
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

    /// Returns the parts of a subject that [`from_parts`](Self::from_parts) made; `None` for any other text.
    ///
    /// ```
    /// use notion_auth::Subject;
    ///
    /// let subject = Subject::from_parts(["acme", "ann"]);
    /// assert_eq!(subject.parts(), Some(vec!["acme", "ann"]));
    /// assert_eq!(Subject::new("acme").parts(), None);
    /// ```
    #[must_use]
    pub fn parts(&self) -> Option<Vec<&str>> {
        let mut parts = Vec::new();
        let mut rest = self.as_str();
        while !rest.is_empty() {
            let (length, after) = rest.split_once(':')?;
            let length: usize = length.parse().ok()?;
            parts.push(after.get(..length)?);
            rest = after.get(length..)?.strip_prefix(',')?;
        }
        // Otherwise a length could also be written as `05`, and two subjects would have the same parts.
        (Self::prefix_of_parts(parts.iter().copied()) == self.as_str()).then_some(parts)
    }

    /// Returns the subject's text.
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

    /// Makes digests the same in all processes with this keyring. Only the first call in a process has an
    /// effect.
    #[cfg(feature = "encryption")]
    pub(crate) fn key_digests(keyring: &Keyring) {
        DIGEST_KEY.get_or_init(|| keyring.digest_key());
    }

    #[inline]
    pub(crate) fn seeded_hash(&self) -> u64 {
        self.hash
    }
}

/// Makes the hashes of subjects the same in each process, for benchmarks that count instructions.
///
/// Do not use it in a server, because clients that know the hashes can choose subjects that collide.
///
/// ```
/// use notion_auth::{Subject, testing};
///
/// testing::fix_subject_seed(1);
/// let ann = Subject::new("ann");
/// ```
///
/// # Panics
/// If this process has already created a subject or fixed the seed.
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

/// Request extension with the caller's own credentials for this request.
///
/// They take precedence over a [`Subject`] and the integration token. They are used unchanged and never
/// refreshed: a 401 is returned to the caller.
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
    /// Creates the extension from an access token.
    ///
    /// # Errors
    /// If the token is not a valid header value.
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

/// Request extension that selects the app's integration token if there are no stored credentials.
///
/// If the app has an OAuth client, a request without a subject, or whose subject has no credentials, is
/// refused, because a lost extension must not silently change the identity. This extension requests the
/// token explicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UseIntegrationToken;

impl UseIntegrationToken {
    /// Creates the extension.
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

/// Request extension, and mode of a layer: what to do if the credentials have expired or were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Refresh the credentials and continue.
    Refreshing,
    /// Return an error immediately. The store may be read, but the token endpoint is never called.
    FailFast,
}

/// Response extension with the credentials that were used, set by a layer that is configured to report them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialUsed {
    /// The stored credentials of the request's subject.
    Stored {
        /// The generation of the record (a counter of refreshes within one grant).
        generation: u64,
    },
    /// The request's [`ExplicitCredentials`].
    Explicit,
    /// The app's integration token.
    IntegrationToken,
}
