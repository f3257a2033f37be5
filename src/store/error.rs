use std::fmt;

use crate::error::{AuthError, BoxError};

/// A store could not do what it was asked.
///
/// It says nothing about whether the operation was done.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    store: &'static str,
    message: String,
    source: Option<BoxError>,
}

/// What is the matter with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, or does not answer: try again.
    Unavailable,
    /// It is not set up as it must be: the operator must act.
    Misconfigured,
    /// It holds something that it cannot have written. If that is one record, the others can be used.
    Corrupt,
    /// It cannot keep this subject or this record, as one that is too long. All others can be used.
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

    /// The named store (`"sqlite"`) cannot be reached, or does not answer. The message is in lower
    /// case and says what to do, if there is something to do.
    pub fn unavailable(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Unavailable, store, message)
    }

    /// The named store is not set up as it must be.
    pub fn misconfigured(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Misconfigured, store, message)
    }

    /// The named store holds something that it cannot have written.
    pub fn corrupt(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Corrupt, store, message)
    }

    /// The named store cannot keep this subject or this record.
    pub fn rejected(store: &'static str, message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Rejected, store, message)
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What is the matter.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl StoreError {
    /// Whether it is about one record or subject, and not about the store.
    pub(crate) fn is_of_one_record(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Corrupt | StoreErrorKind::Rejected
        )
    }

    /// What it means for those who wanted credentials.
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
