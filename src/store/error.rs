use std::fmt;

use crate::error::BoxError;

/// A store could not do what it was asked: it cannot be reached, is not set up as it must be, or
/// holds a record that it cannot read.
///
/// It says nothing about whether the operation was done.
#[derive(Debug)]
pub struct StoreError {
    store: &'static str,
    message: String,
    source: Option<BoxError>,
}

impl StoreError {
    /// An error of the named store (`"sqlite"`), in lower case, with what to do about it.
    pub fn new(store: &'static str, message: impl Into<String>) -> Self {
        Self {
            store,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
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
