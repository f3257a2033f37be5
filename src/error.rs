//! The errors of requests and provider calls that occur before Notion's API answers.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::{
    credentials::{AppCredentialsError, InvalidToken, ReauthorizationReason},
    subject::Subject,
};

/// Message for a visitor of a site who is not signed in.
pub(crate) const NOT_SIGNED_IN: &str =
    "You are not signed in. Please sign in to this site, then try again.";

/// A boxed error, as Tower middleware uses it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The reason why a request has no credentials.
///
/// The type is opaque. Its predicates say how to react:
///
/// | predicate | action | as an HTTP response |
/// |---|---|---|
/// | [`is_transient`](Self::is_transient) | the caller tries again, after [`retry_after`](Self::retry_after) | 503 `service_unavailable`, `Retry-After` |
/// | [`is_not_connected`](Self::is_not_connected), [`needs_reauthorization`](Self::needs_reauthorization), [`is_expired`](Self::is_expired) | the user connects (again) | 401 `unauthorized` |
/// | [`is_destination`](Self::is_destination), [`is_configuration`](Self::is_configuration) | the developer or operator corrects the program or its configuration | 500 `internal_server_error` |
///
/// Cloning is cheap, because all requests that waited for one refresh share its failure. Neither the
/// message nor a source contains a token.
///
/// The layer's service fails with a [`BoxError`], in which [`AuthError::find`] finds this type. Errors of
/// the inner service pass through unchanged.
#[derive(Debug, Clone)]
pub struct AuthError {
    kind: Kind,
    subject: Option<Subject>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NoSubject,
    NotConnected,
    NeedsReauthorization(ReauthorizationReason),
    Expired,
    Transient(&'static str),
    AppRejected,
    Destination(&'static str),
    Configuration(&'static str),
    /// The source says which.
    AppCredentials,
    Store {
        is_unavailable: bool,
    },
    InvalidToken(InvalidToken),
}

impl AuthError {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            subject: None,
            retry_after: None,
            source: None,
        }
    }

    pub(crate) fn no_subject() -> Self {
        Self::new(Kind::NoSubject)
    }

    pub(crate) fn not_connected() -> Self {
        Self::new(Kind::NotConnected)
    }

    pub(crate) fn reauthorize(reason: ReauthorizationReason) -> Self {
        Self::new(Kind::NeedsReauthorization(reason))
    }

    pub(crate) fn expired() -> Self {
        Self::new(Kind::Expired)
    }

    pub(crate) fn transient(what: &'static str) -> Self {
        Self::new(Kind::Transient(what))
    }

    /// The store failed. Loads are not retried for a second.
    pub(crate) fn store_failed(is_unavailable: bool, error: impl Into<BoxError>) -> Self {
        Self::new(Kind::Store { is_unavailable })
            .with_retry_after(Duration::from_secs(1))
            .with_source(error)
    }

    pub(crate) fn app_rejected() -> Self {
        Self::new(Kind::AppRejected)
    }

    pub(crate) fn destination(what: &'static str) -> Self {
        Self::new(Kind::Destination(what))
    }

    pub(crate) fn configuration(what: &'static str) -> Self {
        Self::new(Kind::Configuration(what))
    }

    /// A stored record cannot be read by this process.
    pub(crate) fn unreadable(cause: impl Into<BoxError>) -> Self {
        Self::configuration("the stored credentials can't be read: see the source")
            .with_retry_after(Duration::from_secs(1))
            .with_source(cause)
    }

    pub(crate) fn with_subject(mut self, subject: &Subject) -> Self {
        self.subject = Some(subject.clone());
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Finds an `AuthError` in `error` or among its sources.
    #[must_use]
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|error| error.downcast_ref())
    }

    /// Whether the failure may go away by itself. The credentials are kept.
    ///
    /// The store or the token endpoint does not answer, a refresh takes longer than a request waits, or this
    /// process is shutting down.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            Kind::Transient(_)
                | Kind::Store {
                    is_unavailable: true
                }
        )
    }

    /// Whether the subject has no credentials, or the request has no subject.
    #[must_use]
    pub fn is_not_connected(&self) -> bool {
        matches!(self.kind, Kind::NotConnected | Kind::NoSubject)
    }

    /// The reason why the subject's user must connect again, if that is the failure.
    #[must_use]
    pub fn needs_reauthorization(&self) -> Option<ReauthorizationReason> {
        match self.kind {
            Kind::NeedsReauthorization(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether the access token was refused for good and there is no refresh token. The API's 401 is then
    /// returned as it is.
    pub(crate) fn is_end_of_access_token(&self) -> bool {
        self.kind == Kind::NeedsReauthorization(ReauthorizationReason::NoRefreshToken)
    }

    /// Whether the credentials have expired or were refused, and the request did not allow a refresh.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.kind == Kind::Expired
    }

    /// Whether the request's destination is one that gets no token.
    #[must_use]
    pub fn is_destination(&self) -> bool {
        matches!(self.kind, Kind::Destination(_))
    }

    /// Whether the credential store failed.
    pub(crate) fn is_of_the_store(&self) -> bool {
        matches!(self.kind, Kind::Store { .. })
    }

    pub(crate) fn is_app_rejected(&self) -> bool {
        self.kind == Kind::AppRejected
    }

    /// Whether the program is configured wrongly, Notion does not accept the app's client id and secret, or
    /// a stored token cannot be sent.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self.kind,
            Kind::Configuration(_)
                | Kind::AppCredentials
                | Kind::Store {
                    is_unavailable: false
                }
                | Kind::AppRejected
                | Kind::InvalidToken(_)
        )
    }

    /// The reason why the access token cannot be sent, if that is the failure. The credentials are kept.
    #[must_use]
    pub fn invalid_token(&self) -> Option<InvalidToken> {
        match self.kind {
            Kind::InvalidToken(reason) => Some(reason),
            _ => None,
        }
    }

    /// How long to wait before trying again, if known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The subject of the failed request, if it has one.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// The HTTP status of [`to_response`](Self::to_response).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            Kind::NoSubject
            | Kind::NotConnected
            | Kind::NeedsReauthorization(_)
            | Kind::Expired => StatusCode::UNAUTHORIZED,
            Kind::Transient(_)
            | Kind::Store {
                is_unavailable: true,
            } => StatusCode::SERVICE_UNAVAILABLE,
            Kind::AppRejected
            | Kind::Destination(_)
            | Kind::Configuration(_)
            | Kind::AppCredentials
            | Kind::Store { .. }
            | Kind::InvalidToken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Converts this error to an HTTP response in the error envelope of Notion's API, which Notion's
    /// official clients turn into their typed errors. Its message begins with `notion-auth:`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notion = notion_auth::testing::MockNotion::in_process();
    /// # let provider = notion.provider_builder()?.build()?;
    /// let error = provider.acquire(&"nobody".into()).await.unwrap_err();
    /// let response = error.to_response();
    /// assert_eq!(response.status(), 401);
    /// assert!(response.body().contains(r#""code":"unauthorized""#));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn to_response(&self) -> Response<String> {
        let status = self.status();
        let code = match status {
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
            _ => "internal_server_error",
        };
        let message = match self.kind {
            Kind::NoSubject => format!("notion-auth: {NOT_SIGNED_IN}"),
            _ => format!("notion-auth: {}", self.kind),
        };
        let body = serde_json::json!({
            "object": "error",
            "status": status.as_u16(),
            "code": code,
            "message": message,
        });
        let mut response = Response::new(body.to_string());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.is_transient() {
            let after = self.retry_after.unwrap_or_default();
            // `Retry-After` has whole seconds, and 0 would mean to retry immediately.
            let after = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(after.max(1)));
        }
        response
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSubject => f.write_str(
                "the request has no subject: insert a Subject into its extensions, or \
                 UseIntegrationToken to use the app's own token",
            ),
            Self::NotConnected => {
                f.write_str("no Notion workspace is connected for this subject: connect one")
            }
            Self::NeedsReauthorization(reason) => {
                write!(f, "Notion must be connected again: {reason}")
            }
            Self::Expired => f.write_str(
                "the credentials have expired or were refused, and this request does not refresh \
                 them",
            ),
            Self::AppRejected => f.write_str(
                "Notion does not accept the app's client id and client secret: check them",
            ),
            Self::AppCredentials => f.write_str("the app credentials can't be used"),
            Self::InvalidToken(reason) => write!(
                f,
                "the credentials cannot be used: {reason}; connect again, or, if there is a refresh token, refresh them"
            ),
            Self::Store { is_unavailable } => f.write_str(if *is_unavailable {
                "the credential store does not answer"
            } else {
                "the credential store cannot be used as it is: see the cause"
            }),
            Self::Transient(what) | Self::Destination(what) | Self::Configuration(what) => {
                f.write_str(what)
            }
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Kind::AppCredentials, Some(source)) = (&self.kind, &self.source) {
            return write!(f, "{}: {source}", self.kind);
        }
        match &self.subject {
            Some(subject) => write!(f, "{subject:?}: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl StdError for AuthError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Iterates over an error and its sources.
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

impl From<InvalidToken> for AuthError {
    fn from(error: InvalidToken) -> Self {
        Self::new(Kind::InvalidToken(error)).with_source(error)
    }
}

impl From<AppCredentialsError> for AuthError {
    fn from(error: AppCredentialsError) -> Self {
        Self::new(Kind::AppCredentials).with_source(error)
    }
}
