use std::{fmt, sync::Arc};

use crate::{Subject, random::random_bytes};

/// Which record: the namespace of the application, and the subject in it.
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

/// The name of one try to change a record: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId([u8; 16]);

impl AttemptId {
    /// A new name.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// A name read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The name as a store keeps it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttemptId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Which change of a record it was read after: 64 random bits, drawn anew by each change.
///
/// Not a counter: a record that was purged and made again must never look as it did before.
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
}

/// What is marked by [`once`](super::CredentialStore::once): a digest, so that the store learns
/// nothing of what was used.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OnceKey {
    namespace: Arc<str>,
    digest: [u8; 32],
}

impl OnceKey {
    /// The mark of this digest in `namespace`.
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

impl fmt::Debug for OnceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceKey")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
