use std::{borrow::Cow, fmt, time::Duration};

use http::StatusCode;

use super::redact::redact;
use crate::error::BoxError;
#[cfg(feature = "https")]
use crate::https::{ConnectError, connect_error};

/// What went wrong in the OAuth flow.
///
/// A call has three outcomes, because a code or a refresh token can be spent only once:
/// [`is_not_sent`](Self::is_not_sent) (nothing was spent, try again), a definite answer
/// ([`refusal`](Self::refusal), [`is_rate_limited`](Self::is_rate_limited),
/// [`is_configuration`](Self::is_configuration)), and [`is_ambiguous`](Self::is_ambiguous) (the
/// server may have done it). The messages contain no token, code, state or secret.
#[derive(Debug)]
pub struct OAuthError {
    kind: Kind,
    source: Option<BoxError>,
}

#[derive(Debug)]
enum Kind {
    Configuration(&'static str),
    WrongEndpoint(Endpoint, StatusCode),
    /// Why, as far as it may be shown.
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
    /// What to do when the URL is not the endpoint's.
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

/// An authorization server's definite no.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The error code, such as `invalid_grant` (RFC 6749 section 5.2).
    pub code: String,
    /// The server's explanation, without anything that looks like a token.
    pub description: Option<String>,
    /// Notion's id of the request.
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
            "the flow was begun for another subject: start again as the one that is signed in now",
        ))
    }

    pub(super) fn flow_expired() -> Self {
        Self::new(Kind::Callback(
            "the flow was begun more than 10 minutes ago: start again",
        ))
    }

    /// This side is set up wrongly, and nothing was spent: the app credentials lack what the call
    /// needs, or the URL that was called is not the endpoint's (it answered with a redirect, 404 or
    /// 405).
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

    /// Whether the endpoint was called, or a call was tried.
    pub(crate) fn is_of_a_call(&self) -> bool {
        !matches!(self.kind, Kind::Configuration(_))
    }

    /// No byte of the request left this machine: nothing was spent.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        matches!(self.kind, Kind::NotSent(_))
    }

    /// The request was sent, and what the server did with it is not known: no answer came, it was
    /// an error of the server's own (5xx), or it could not be used.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.kind, Kind::Ambiguous(_))
    }

    /// The server asks for fewer requests; it did nothing.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(self.kind, Kind::RateLimited(_))
    }

    /// The user refused the connection on Notion's page.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(&self.kind, Kind::AuthorizationRefused(code) if code == "access_denied")
    }

    /// Notion's page sent the browser back with an error, a refusal by the user among them.
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

    /// The server's definite no, if that is what this is.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.kind {
            Kind::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The server does not accept the app's client id and secret.
    pub(crate) fn is_about_the_app(&self) -> bool {
        let code = self.refusal().map(|refusal| refusal.code.as_str());
        matches!(code, Some("invalid_client" | "unauthorized_client"))
    }

    /// The refresh token is no longer good, or never was.
    pub(crate) fn is_invalid_grant(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code == "invalid_grant")
    }

    /// What a waiting request is told of a refresh that failed so.
    pub(crate) fn not_refreshed(&self) -> &'static str {
        #[cfg(feature = "https")]
        if let Some(reason) = self.connect_error().and_then(ConnectError::not_refreshed) {
            return reason;
        }
        "the credentials could not be refreshed"
    }

    /// Why the built-in transport has no connection.
    #[cfg(feature = "https")]
    fn connect_error(&self) -> Option<&ConnectError> {
        connect_error(self.source.as_deref()?)
    }

    /// How long the server asks to wait; an hour, if it asks for more.
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
