use std::fmt;

use http::StatusCode;

use crate::error::NOT_SIGNED_IN;

/// Why a route didn't do what the request asked for. Unless the variant says so, nothing was changed.
///
/// `Display` is the sentence that the user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlowProblem {
    /// There is no such route.
    NotFound,
    /// The route has another method. HEAD is never allowed, because link scanners use it.
    MethodNotAllowed,
    /// The query is longer than 4 KiB.
    QueryTooLong,
    /// The request has no [`Subject`](crate::Subject): the visitor is not signed in, or your session layer is not
    /// around the routes.
    NoSubject,
    /// A browser or a framework loads the address before the user opens it. No event is emitted.
    Prefetch,
    /// A page embeds the address, or a script fetches it. `authorize` and `callback` must be opened in a tab.
    NotOpened,
    /// `return_to` is neither a configured name nor a plain path of this site.
    InvalidReturnTarget,
    /// Redirect URI and return target together don't fit into a cookie of 1 KiB. There is room for about 550 bytes.
    FlowTooLarge,
    /// The request comes from another site, or doesn't say where it comes from.
    ///
    /// For `authorize`, browsers get [`PageKind::Confirm`](crate::routes::PageKind::Confirm) instead.
    CrossSite,
    /// The user did not allow the connection.
    Denied,
    /// Notion reported another error than a denial.
    AuthorizationFailed,
    /// The callback has a duplicate parameter.
    DuplicateParameter,
    /// The callback's `iss` is not the origin of the authorization URL (RFC 9207).
    WrongIssuer,
    /// The callback has no code.
    MissingCode,
    /// The callback has no state.
    MissingState,
    /// The browser has no cookie of the flow: it didn't start the flow, or the flow is completed.
    UnknownFlow,
    /// The flow was completed before.
    UsedFlow,
    /// The flow was started more than 10 minutes ago.
    ExpiredFlow,
    /// The flow was started for another subject than the one that is signed in now.
    ForeignFlow,
    /// Too many codes were exchanged in the last minute: 5 for the subject, or 60 for all visitors who are not signed
    /// in. The flow can still be completed.
    TooManyAttempts,
    /// The code could not be exchanged. The flow is used up.
    ExchangeFailed,
    /// The connection is stored, but its access token can't be sent.
    /// [`status`](crate::NotionAuthProvider::status) says why.
    InvalidToken,
    /// The connection is of another Notion user or workspace than before, which
    /// [`refuse_another_identity`](crate::routes::NotionOAuthServiceBuilder::refuse_another_identity) forbids. The new
    /// tokens were revoked, if Notion could be reached and their bot has no other connection.
    IdentityRefused,
    /// The function of [`name_subject`](crate::routes::NotionOAuthServiceBuilder::name_subject) returned no subject.
    /// The new tokens were revoked, if Notion could be reached and their bot has no other connection.
    NotAccepted,
    /// The store doesn't answer. At the callback, the flow may be used up and the connection may be stored. New tokens that
    /// are not stored may stay valid at Notion, because the store would show whether they can be revoked.
    StoreUnavailable,
    /// This side is set up wrongly. The log says how.
    Misconfigured,
}

impl FlowProblem {
    /// Returns the code for programs: the `error` of the JSON answer.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// Returns the status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as Status;

        const INCOMPLETE: &str = "The answer from Notion arrived incomplete or altered. Nothing was changed. \
                                  Please start again.";

        match self {
            Self::NotFound => (
                "not_found",
                Status::NOT_FOUND,
                "There is no page at this address.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                Status::METHOD_NOT_ALLOWED,
                "This address can't be opened like this.",
            ),
            Self::QueryTooLong => (
                "query_too_long",
                Status::URI_TOO_LONG,
                "The address of this page is too long.",
            ),
            Self::NoSubject => ("no_subject", Status::UNAUTHORIZED, NOT_SIGNED_IN),
            Self::Prefetch => (
                "prefetch",
                Status::SERVICE_UNAVAILABLE,
                "This page is not loaded in advance. Open it to continue.",
            ),
            Self::NotOpened => (
                "not_opened",
                Status::FORBIDDEN,
                "This address must be opened in a browser tab. It can't be embedded in a page or \
                 fetched by a script.",
            ),
            Self::InvalidReturnTarget => (
                "invalid_return_to",
                Status::BAD_REQUEST,
                "This link is broken: the page that it leads back to is not part of this site.",
            ),
            Self::FlowTooLarge => (
                "flow_too_large",
                Status::BAD_REQUEST,
                "The address of the page that you came from is too long. Please connect from \
                 another page of this site.",
            ),
            Self::CrossSite => (
                "cross_site",
                Status::FORBIDDEN,
                "This only works from a page of this site. Nothing was changed.",
            ),
            Self::Denied => (
                "access_denied",
                Status::FORBIDDEN,
                "You did not allow the connection. Nothing was changed.",
            ),
            Self::AuthorizationFailed => (
                "authorization_failed",
                Status::BAD_REQUEST,
                "Notion did not make the connection. Nothing was changed. Please start again.",
            ),
            Self::DuplicateParameter => ("duplicate_parameter", Status::BAD_REQUEST, INCOMPLETE),
            Self::WrongIssuer => (
                "wrong_issuer",
                Status::BAD_REQUEST,
                "The answer does not come from the Notion service that this site uses. Nothing was \
                 changed. Please start again.",
            ),
            Self::MissingCode => ("missing_code", Status::BAD_REQUEST, INCOMPLETE),
            Self::MissingState => ("missing_state", Status::BAD_REQUEST, INCOMPLETE),
            Self::UnknownFlow => (
                "unknown_flow",
                Status::BAD_REQUEST,
                "This link is not valid in this browser. Please start again.",
            ),
            Self::UsedFlow => (
                "used_flow",
                Status::CONFLICT,
                "This link was used before. Please start again.",
            ),
            Self::ExpiredFlow => (
                "expired_flow",
                Status::BAD_REQUEST,
                "Connecting took longer than ten minutes. Nothing was changed. Please start again.",
            ),
            Self::ForeignFlow => (
                "foreign_flow",
                Status::FORBIDDEN,
                "You are signed in with another account than when you started. Nothing was \
                 changed. Please start again.",
            ),
            Self::TooManyAttempts => (
                "too_many_attempts",
                Status::TOO_MANY_REQUESTS,
                "There were too many attempts to connect. Nothing was changed. Please wait a \
                 minute, then start again.",
            ),
            Self::ExchangeFailed => (
                "exchange_failed",
                Status::BAD_GATEWAY,
                "Notion did not complete the connection. Please start again.",
            ),
            Self::InvalidToken => (
                "invalid_token",
                Status::BAD_GATEWAY,
                "Notion is connected, but this site can't use the access that Notion sent. Please \
                 connect again. If that doesn't help, tell the people who run this site.",
            ),
            Self::IdentityRefused => (
                "identity_refused",
                Status::CONFLICT,
                "You chose another Notion account or workspace than the one that is connected. \
                 Nothing was changed. Choose the same one, or disconnect first.",
            ),
            Self::NotAccepted => (
                "not_accepted",
                Status::FORBIDDEN,
                "This site does not accept the Notion account or workspace that you chose. Nothing \
                 was changed.",
            ),
            Self::StoreUnavailable => (
                "store_unavailable",
                Status::SERVICE_UNAVAILABLE,
                "This can't be done right now. Please try again in a moment.",
            ),
            Self::Misconfigured => (
                "misconfigured",
                Status::INTERNAL_SERVER_ERROR,
                "This site's connection to Notion is not set up correctly. Please tell the people \
                 who run this site.",
            ),
        }
    }
}

impl fmt::Display for FlowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().2)
    }
}
