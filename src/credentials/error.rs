use std::fmt;

/// Error of a field of the application's credentials.
///
/// It names the field, the variable that the value was read from, and the expected format. It never shows
/// the value.
///
/// ```
/// use notion_auth::NotionAppCredentials;
///
/// let error = NotionAppCredentials::builder().version("latest").build().unwrap_err();
/// assert_eq!(error.to_string(), "version: expected a date as YYYY-MM-DD, such as 2026-03-11");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCredentialsError {
    field: &'static str,
    variable: Option<&'static str>,
    problem: &'static str,
}

impl AppCredentialsError {
    pub(super) fn new(
        field: &'static str,
        variable: Option<&'static str>,
        problem: &'static str,
    ) -> Self {
        Self {
            field,
            variable,
            problem,
        }
    }

    /// Returns the name of the field in [`NotionAppCredentials`](crate::NotionAppCredentials).
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns the environment variable that the value was read from, if any.
    #[must_use]
    pub fn variable(&self) -> Option<&'static str> {
        self.variable
    }
}

impl fmt::Display for AppCredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable {
            Some(variable) => write!(f, "{} (from {variable}): {}", self.field, self.problem),
            None => write!(f, "{}: {}", self.field, self.problem),
        }
    }
}

impl std::error::Error for AppCredentialsError {}
