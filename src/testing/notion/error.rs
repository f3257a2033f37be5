use std::{error::Error, fmt};

/// Error of the mock service that stands for a broken connection.
#[derive(Debug)]
pub struct MockError(Kind);

#[derive(Debug)]
enum Kind {
    Dropped,
    Truncated,
    Request(Box<dyn Error + Send + Sync>),
}

impl MockError {
    pub(super) fn dropped() -> Self {
        Self(Kind::Dropped)
    }

    pub(super) fn truncated() -> Self {
        Self(Kind::Truncated)
    }

    pub(super) fn request(cause: Box<dyn Error + Send + Sync>) -> Self {
        Self(Kind::Request(cause))
    }
}

impl fmt::Display for MockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Dropped => "the mock server closed the connection without an answer",
            Kind::Truncated => "the mock server closed the connection in the middle of its answer",
            Kind::Request(_) => "the mock server could not read the request's body",
        })
    }
}

impl Error for MockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Request(cause) => Some(cause.as_ref()),
            Kind::Dropped | Kind::Truncated => None,
        }
    }
}
