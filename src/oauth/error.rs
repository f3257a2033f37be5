use std::{borrow::Cow, fmt, time::Duration};

use http::StatusCode;

use super::redact::redact;
use crate::error::BoxError;
#[cfg(feature = "https")]
use crate::https::{ConnectError, connect_error};

/// An error of the OAuth flow.
///
/// A code or a refresh token can be spent only once. A failed call therefore has one of three outcomes:
///
/// - [`is_not_sent`](Self::is_not_sent): nothing was spent, and the call can be repeated.
/// - A definite answer: [`refusal`](Self::refusal), [`is_rate_limited`](Self::is_rate_limited) or
///   [`is_configuration`](Self::is_configuration).
/// - [`is_ambiguous`](Self::is_ambiguous): the server may have processed the request.
///
/// Messages contain no token, code, `state` or secret.
#[derive(Debug)]
pub struct OAuthError {
    kind: Kind,
    source: Option<BoxError>,
}

#[derive(Debug)]
enum Kind {
    Configuration(&'static str),
    WrongEndpoint(Endpoint, StatusCode),
    /// The reason, redacted.
    NotSent(String),
    Ambiguous(Cow<'static, str>),
    RateLimited(Option<Duration>),
    Refused(Refusal),
    AuthorizationRefused(String),
    Callback(&'static str),
    WrongIssuer,
    MissingParameter(&'static str),
}

/// An OAuth endpoint of the authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Token,
    Revoke,
    Introspect,
}

impl Endpoint {
    /// Describes the configuration error of a URL that is not this endpoint's.
    fn problem(self) -> &'static str {
        match self {
            Self::Token => {
                "the token URL is not that of a token endpoint: check token_url (NOTION_TOKEN_URL)"
            }
            Self::Revoke => {
                "the revocation URL is not that of a revocation endpoint: check revoke_url of the \
                 provider's builder, or token_url (NOTION_TOKEN_URL), which it is derived from"
            }
            Self::Introspect => {
                "the introspection URL is not that of an introspection endpoint: check \
                 introspect_url of the provider's builder, or token_url (NOTION_TOKEN_URL), which \
                 it is derived from"
            }
        }
    }
}

/// An OAuth error response of the authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The error code, such as `invalid_grant` (RFC 6749 section 5.2).
    pub code: String,
    /// The server's `error_description`, with everything that looks like a token redacted.
    pub description: Option<String>,
    /// Notion's request ID.
    pub request_id: Option<String>,
}

impl OAuthError {
    fn new(kind: Kind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn with_source(mut self, source: BoxError) -> Self {
        self.source = Some(source);
        self
    }

    pub(crate) fn configuration(problem: &'static str) -> Self {
        Self::new(Kind::Configuration(problem))
    }

    pub(super) fn not_sent(reason: String, cause: BoxError) -> Self {
        Self::new(Kind::NotSent(reason)).with_source(cause)
    }

    pub(super) fn wrong_endpoint(endpoint: Endpoint, status: StatusCode) -> Self {
        Self::new(Kind::WrongEndpoint(endpoint, status))
    }

    pub(super) fn ambiguous(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Ambiguous(what.into()))
    }

    pub(super) fn rate_limited(retry_after: Option<Duration>) -> Self {
        Self::new(Kind::RateLimited(retry_after))
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::new(Kind::Refused(refusal))
    }

    pub(super) fn authorization_refused(error: &str, secrets: &[&str]) -> Self {
        Self::new(Kind::AuthorizationRefused(redact(error, secrets)))
    }

    pub(super) fn duplicate_parameter() -> Self {
        Self::new(Kind::Callback(
            "the callback has a duplicate parameter: refused, start again",
        ))
    }

    pub(super) fn wrong_issuer() -> Self {
        Self::new(Kind::WrongIssuer)
    }

    pub(super) fn missing_parameter(name: &'static str) -> Self {
        Self::new(Kind::MissingParameter(name))
    }

    pub(super) fn state_mismatch() -> Self {
        Self::new(Kind::Callback(
            "the callback belongs to another flow (its state is not the one that was sent): start \
             again in the same browser",
        ))
    }

    pub(super) fn subject_mismatch() -> Self {
        Self::new(Kind::Callback(
            "the flow was started for another subject: start again as the subject that is signed in",
        ))
    }

    pub(super) fn flow_expired() -> Self {
        Self::new(Kind::Callback(
            "the flow was started more than 10 minutes ago: start again",
        ))
    }

    /// Whether the configuration is wrong. Nothing was spent.
    ///
    /// Either the app credentials lack a value that the call needs, or the URL is not the endpoint's: it
    /// answered with a redirect, 404 or 405.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        self.configuration_problem().is_some()
    }

    pub(crate) fn configuration_problem(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Configuration(problem) => Some(problem),
            Kind::WrongEndpoint(endpoint, _) => Some(endpoint.problem()),
            _ => None,
        }
    }

    /// Whether the error is that of a call, including one that was not sent.
    pub(crate) fn is_of_a_call(&self) -> bool {
        !matches!(self.kind, Kind::Configuration(_))
    }

    /// Whether no byte of the request was sent, so that nothing was spent.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        matches!(self.kind, Kind::NotSent(_))
    }

    /// Whether the request was sent and its effect is unknown: no response was received, it was a server
    /// error (5xx), or it could not be used.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.kind, Kind::Ambiguous(_))
    }

    /// Whether the server limits the rate of requests. It did not process this one.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(self.kind, Kind::RateLimited(_))
    }

    /// Whether the user denied access on Notion's page.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(&self.kind, Kind::AuthorizationRefused(code) if code == "access_denied")
    }

    /// Whether Notion redirected the browser back with an error, including a denial by the user.
    #[cfg(feature = "routes")]
    pub(crate) fn is_authorization_refused(&self) -> bool {
        matches!(self.kind, Kind::AuthorizationRefused(_))
    }

    /// The callback is another authorization server's: its `iss` is not the origin of the authorization URL (RFC 9207).
    #[must_use]
    pub fn is_wrong_issuer(&self) -> bool {
        matches!(self.kind, Kind::WrongIssuer)
    }

    /// The parameter that a callback lacks.
    #[cfg(feature = "routes")]
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match self.kind {
            Kind::MissingParameter(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the server's error response, if that is the failure.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.kind {
            Kind::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the server does not accept the app's client id and secret.
    pub(crate) fn is_about_the_app(&self) -> bool {
        let code = self.refusal().map(|refusal| refusal.code.as_str());
        matches!(code, Some("invalid_client" | "unauthorized_client"))
    }

    /// Whether the refresh token is no longer valid, or never was.
    pub(crate) fn is_invalid_grant(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code == "invalid_grant")
    }

    /// Describes the failed refresh to the requests that wait for it.
    pub(crate) fn not_refreshed(&self) -> &'static str {
        #[cfg(feature = "https")]
        if let Some(reason) = self.connect_error().and_then(ConnectError::not_refreshed) {
            return reason;
        }
        "the credentials could not be refreshed"
    }

    /// Returns the built-in transport's connection error, if that is the cause.
    #[cfg(feature = "https")]
    fn connect_error(&self) -> Option<&ConnectError> {
        connect_error(self.source.as_deref()?)
    }

    /// Returns how long the server asks to wait, at most one hour.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            Kind::RateLimited(retry_after) => retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Configuration(problem) | Kind::Callback(problem) => f.write_str(problem),
            Kind::NotSent(reason) => {
                #[cfg(feature = "https")]
                if let Some(error) = self.connect_error() {
                    return write!(f, "nothing was sent to the OAuth endpoint: {error}");
                }
                write!(
                    f,
                    "the OAuth endpoint was not reached, and nothing was sent: {reason}"
                )
            }
            Kind::WrongEndpoint(endpoint, status) => write!(
                f,
                "{}: it answered with {}status {}",
                endpoint.problem(),
                if status.is_redirection() {
                    "a redirect, "
                } else {
                    ""
                },
                status.as_u16()
            ),
            Kind::Ambiguous(what) => write!(
                f,
                "{what}; what the OAuth endpoint did with the request is not known"
            ),
            Kind::RateLimited(Some(after)) => write!(
                f,
                "the OAuth endpoint asks to wait for {} seconds",
                after.as_secs()
            ),
            Kind::RateLimited(None) => f.write_str("the OAuth endpoint asks to wait"),
            Kind::Refused(refusal) => {
                write!(
                    f,
                    "the OAuth endpoint refused: {} (status {})",
                    refusal.code, refusal.status
                )?;
                if let Some(description) = &refusal.description {
                    write!(f, ": {description}")?;
                }
                Ok(())
            }
            Kind::AuthorizationRefused(code) if code == "access_denied" => {
                f.write_str("the user did not allow the connection (access_denied)")
            }
            Kind::AuthorizationRefused(code) => {
                write!(f, "Notion did not make the connection: {code}")
            }
            Kind::WrongIssuer => f.write_str(
                "the callback's `iss` is not the origin of the authorization URL \
                 (NOTION_AUTHORIZATION_URL): refused, because it may be another authorization \
                 server's; start again",
            ),
            Kind::MissingParameter(name) => write!(
                f,
                "the callback has no {name}: it does not come from Notion, or lost a part on its \
                 way; start again"
            ),
        }
    }
}

impl std::error::Error for OAuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
