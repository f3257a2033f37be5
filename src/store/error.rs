use std::fmt;

use crate::error::{AuthError, BoxError};

/// Error of a store operation.
///
/// Whether the operation was done is unknown, unless the operation's contract says otherwise.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    store: &'static str,
    message: String,
    source: Option<BoxError>,
}

/// Kind of a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached or does not answer. Try again.
    Unavailable,
    /// The store is not configured as required. The operator must act.
    Misconfigured,
    /// The store contains data that it cannot have written. If that is one record, the others can be used.
    Corrupt,
    /// The store cannot keep this subject or this record, such as one that is too long. All others can be used.
    Rejected,
}

impl StoreError {
    pub(super) fn new(
        kind: StoreErrorKind,
        store: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            store,
            message: message.into(),
            source: None,
        }
    }

    /// Creates an error: the store with this name (such as `"sqlite"`) cannot be reached or does not
    /// answer. The message starts in lower case and says what to do, if possible.
    pub fn unavailable(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Unavailable, store, message)
    }

    /// Creates an error: the store with this name is not configured as required.
    pub fn misconfigured(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Misconfigured, store, message)
    }

    /// Creates an error: the store with this name contains data that it cannot have written.
    pub fn corrupt(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Corrupt, store, message)
    }

    /// Reports that the named store cannot keep this subject or this record.
    pub fn rejected(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Rejected, store, message)
    }

    /// Adds the cause as the error's source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind of error.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl StoreError {
    /// Whether the error concerns one record or subject, and not the store.
    pub(crate) fn is_of_one_record(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Corrupt | StoreErrorKind::Rejected
        )
    }

    /// Converts the error to that of a request for credentials.
    pub(crate) fn into_auth_error(self) -> AuthError {
        AuthError::store_failed(self.kind == StoreErrorKind::Unavailable, self)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} store: {}", self.store, self.message)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
