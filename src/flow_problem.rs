use std::fmt;

use http::StatusCode;

/// Why a route did not do what it was asked for. Nothing was changed, unless it says so.
///
/// `Display` gives the sentence that the user is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlowProblem {
    /// There is no such route.
    NotFound,
    /// The route has another method. HEAD has none: a link scanner must not use up a code.
    MethodNotAllowed,
    /// The query is longer than 4 KiB.
    QueryTooLong,
    /// The host does not know whose request it is.
    NoSubject,
    /// `return_to` is neither one of the host's names nor a plain path of this site.
    InvalidReturnTarget,
    /// Redirect URI and return target together do not fit into a cookie of 1 KiB: some 550 bytes.
    FlowTooLarge,
    /// A page of another site, or of nobody knows which, sent the request.
    CrossSite,
    /// The user did not allow the connection.
    Denied,
    /// Notion did not make the connection, for another reason.
    AuthorizationFailed,
    /// The callback has a duplicate parameter.
    DuplicateParameter,
    /// The callback has no code.
    MissingCode,
    /// The callback has no state.
    MissingState,
    /// The browser has begun no flow of this state, or has completed it.
    UnknownFlow,
    /// The flow was completed before.
    UsedFlow,
    /// The flow was begun more than 10 minutes ago.
    ExpiredFlow,
    /// The flow was begun by somebody else than who is signed in now.
    ForeignFlow,
    /// The code could not be exchanged. The flow is used up.
    ExchangeFailed,
    /// The connection is stored, and its access token cannot be sent:
    /// [`status`](crate::NotionAuthProvider::status) says why.
    InvalidToken,
    /// Another Notion user, or another workspace, than before, or one that the host will not have. The
    /// new tokens were revoked, if Notion could be reached.
    IdentityRefused,
    /// The store does not answer. At the callback the flow may be used up by that, and the connection
    /// stored or not.
    StoreUnavailable,
    /// This side is set up wrongly: see the log.
    Misconfigured,
}

impl FlowProblem {
    /// A word for programs: the `error` of the JSON answer.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as Status;

        match self {
            Self::NotFound => ("not_found", Status::NOT_FOUND, "There is nothing here."),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                Status::METHOD_NOT_ALLOWED,
                "This address is used in another way.",
            ),
            Self::QueryTooLong => (
                "query_too_long",
                Status::URI_TOO_LONG,
                "The address is too long.",
            ),
            Self::NoSubject => (
                "no_subject",
                Status::UNAUTHORIZED,
                "Sign in first, then connect.",
            ),
            Self::InvalidReturnTarget => (
                "invalid_return_to",
                Status::BAD_REQUEST,
                "The page to go back to is not one of this site.",
            ),
            Self::FlowTooLarge => (
                "flow_too_large",
                Status::BAD_REQUEST,
                "This is too long to be kept meanwhile: go back to a page with a shorter address.",
            ),
            Self::CrossSite => (
                "cross_site",
                Status::FORBIDDEN,
                "This can only be done from a page of this site.",
            ),
            Self::Denied => (
                "access_denied",
                Status::FORBIDDEN,
                "You did not allow the connection. Nothing was changed.",
            ),
            Self::AuthorizationFailed => (
                "authorization_failed",
                Status::BAD_REQUEST,
                "Notion did not make the connection. Nothing was changed.",
            ),
            Self::DuplicateParameter => (
                "duplicate_parameter",
                Status::BAD_REQUEST,
                "The answer from Notion was changed on its way. Start again.",
            ),
            Self::MissingCode => (
                "missing_code",
                Status::BAD_REQUEST,
                "The answer from Notion lost a part on its way. Start again.",
            ),
            Self::MissingState => (
                "missing_state",
                Status::BAD_REQUEST,
                "The answer from Notion lost a part on its way. Start again.",
            ),
            Self::UnknownFlow => (
                "unknown_flow",
                Status::BAD_REQUEST,
                "This link belongs to no connection that was begun in this browser.",
            ),
            Self::UsedFlow => ("used_flow", Status::CONFLICT, "This link was used before."),
            Self::ExpiredFlow => (
                "expired_flow",
                Status::BAD_REQUEST,
                "That took longer than ten minutes. Start again.",
            ),
            Self::ForeignFlow => (
                "foreign_flow",
                Status::FORBIDDEN,
                "This connection was begun by somebody else. Start again as yourself.",
            ),
            Self::ExchangeFailed => (
                "exchange_failed",
                Status::BAD_GATEWAY,
                "Notion did not complete the connection. Start again.",
            ),
            Self::InvalidToken => (
                "invalid_token",
                Status::BAD_GATEWAY,
                "Notion is connected, but this site cannot use the access that Notion sent. Please \
                 connect again. If that does not help, tell the people who run this site.",
            ),
            Self::IdentityRefused => (
                "identity_refused",
                Status::CONFLICT,
                "This is another Notion user or workspace than before. The connection stays as it \
                 was: disconnect it first, or choose the same one.",
            ),
            Self::StoreUnavailable => (
                "store_unavailable",
                Status::SERVICE_UNAVAILABLE,
                "This cannot be done just now. Try again in a moment.",
            ),
            Self::Misconfigured => (
                "misconfigured",
                Status::INTERNAL_SERVER_ERROR,
                "This site is not set up to connect to Notion.",
            ),
        }
    }
}

impl fmt::Display for FlowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().2)
    }
}
