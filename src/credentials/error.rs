use std::fmt;

/// What is wrong with the application's credentials: which field, where its value came from, and
/// what was expected. The value itself is never shown.
///
/// ```
/// use notion_auth::NotionAppCredentials;
///
/// let error = NotionAppCredentials::builder().version("latest").build().unwrap_err();
/// assert_eq!(error.to_string(), "version: expected a date as YYYY-MM-DD, such as 2026-03-11");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// The field, as it is named in [`NotionAppCredentials`](crate::NotionAppCredentials).
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The environment variable that the value came from, if it came from one.
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
