//! What a route answers, and how that becomes an HTTP response.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
        REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{
    page::{self, Page, PageKind},
    state::Routes,
};
use crate::{
    clock::unix_seconds, credentials::ReauthorizationReason, flow_problem::FlowProblem,
    provider::ConnectionStatus, store::RecordState, subject::Subject,
};

/// The body of the routes' responses.
pub type Body = Full<Bytes>;

/// Response extension of the answer that completes a flow: the subject that was connected.
///
/// An application that [names subjects](super::NotionOAuthServiceBuilder::name_subject) signs the browser in by it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// The connection's subject.
    pub subject: Subject,
}

pub(super) struct Answer {
    pub(super) what: What,
    /// Values of `Set-Cookie`.
    pub(super) cookies: Vec<String>,
    /// The request's `return_to`.
    pub(super) return_to: Option<String>,
    /// The subject's connection, for the page of a problem.
    pub(super) connection: Option<ConnectionStatus>,
    /// When to try again after a problem, if that is known.
    pub(super) retry_after: Option<Duration>,
    /// Whether the event of the problem was emitted already.
    pub(super) is_reported: bool,
}

pub(super) enum What {
    Redirect(String),
    /// A flow is completed.
    Connected(String, Connected),
    /// Another site sent the browser to `authorize`: the user decides.
    Confirm,
    Status(Option<ConnectionStatus>),
    /// A flow was completed before, and its subject is connected.
    AlreadyConnected(ConnectionStatus),
    Disconnected {
        /// Whether Notion has revoked the tokens.
        is_revoked: bool,
    },
    Problem(FlowProblem),
    WrongMethod {
        allowed: &'static str,
    },
}

impl From<What> for Answer {
    fn from(what: What) -> Self {
        Self {
            what,
            cookies: Vec::new(),
            return_to: None,
            connection: None,
            retry_after: None,
            is_reported: false,
        }
    }
}

impl From<FlowProblem> for Answer {
    fn from(problem: FlowProblem) -> Self {
        What::Problem(problem).into()
    }
}

impl Answer {
    pub(super) fn with_cookies(mut self, cookies: impl IntoIterator<Item = String>) -> Self {
        self.cookies.extend(cookies);
        self
    }

    pub(super) fn already_reported(mut self) -> Self {
        self.is_reported = true;
        self
    }

    pub(super) fn returning_to(mut self, return_to: Option<String>) -> Self {
        self.return_to = return_to;
        self
    }

    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(super) fn into_response(self, routes: &Routes, request: &HeaderMap) -> Response<Body> {
        let return_to = self.return_to.as_deref();
        let is_page = wants_page(request);
        let page = |kind, connection| page_response(routes, kind, connection, return_to);
        let problem = |problem: FlowProblem| {
            let mut response = if is_page {
                page(PageKind::Problem(problem), self.connection.as_ref())
            } else {
                json_response(&problem_json(problem))
            };
            *response.status_mut() = problem.status();
            if let Some(wait) = self.retry_after.or(default_wait(problem)) {
                response.headers_mut().insert(RETRY_AFTER, seconds(wait));
            }
            response
        };
        let mut response = match &self.what {
            What::Redirect(target) => redirect(target),
            What::Connected(target, connected) => {
                let mut response = redirect(target);
                response.extensions_mut().insert(connected.clone());
                response
            }
            What::Confirm if is_page => page(PageKind::Confirm, None),
            What::Confirm => problem(FlowProblem::CrossSite),
            What::Status(connection) if is_page => page(PageKind::Status, connection.as_ref()),
            What::Status(connection) => json_response(&connection_json(connection.as_ref())),
            What::AlreadyConnected(connection) if is_page => {
                page(PageKind::Callback, Some(connection))
            }
            What::AlreadyConnected(connection) => json_response(&connection_json(Some(connection))),
            What::Disconnected { is_revoked } => {
                let mut body = connection_json(None);
                body["revoked"] = (*is_revoked).into();
                json_response(&body)
            }
            What::Problem(it) => problem(*it),
            What::WrongMethod { allowed } => {
                let mut response = problem(FlowProblem::MethodNotAllowed);
                let allowed = HeaderValue::from_static(allowed);
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(VARY, HeaderValue::from_static("accept, cookie"));
        headers
            .entry(REFERRER_POLICY)
            .or_insert(HeaderValue::from_static("no-referrer"));
        for cookie in self.cookies {
            // Always succeeds, because it is made of ASCII.
            if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
                cookie.set_sensitive(true);
                headers.append(SET_COOKIE, cookie);
            }
        }
        response
    }
}

fn default_wait(problem: FlowProblem) -> Option<Duration> {
    (problem == FlowProblem::StoreUnavailable).then_some(Duration::from_secs(1))
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

fn page_response(
    routes: &Routes,
    kind: PageKind,
    connection: Option<&ConnectionStatus>,
    return_to: Option<&str>,
) -> Response<Body> {
    let target = routes.targets.find(return_to);
    let target = target.as_ref().unwrap_or_else(|| routes.targets.default());
    let disconnect = routes.address("/disconnect", return_to);
    // Only there, because the address of the callback has code and state.
    let has_form = kind == PageKind::Status && connection.is_some();
    let page = Page {
        kind,
        connection,
        site: routes.origin_host(),
        connect: &routes.address("/authorize", return_to),
        status: &routes.address("/status", return_to),
        disconnect: has_form.then_some(&*disconnect),
        return_to: target.as_str(),
    };
    let (html, policy) = match &routes.renderer {
        Some(renderer) => (renderer(&page), page::NO_FRAMES),
        None => (page::render(&page), page::POLICY),
    };
    let mut response = Response::new(Full::new(html.into()));
    let headers = response.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, html);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    if has_form {
        // With `no-referrer`, a browser sends its form with `Origin: null`.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
    response
}

/// Whether the request asks for HTML, as a browser's navigation does. Scripts and programs get JSON.
pub(super) fn wants_page(request: &HeaderMap) -> bool {
    request
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

fn redirect(target: &str) -> Response<Body> {
    let mut response = Response::new(Body::default());
    match HeaderValue::from_str(target) {
        Ok(mut target) => {
            // The authorization URL contains the state.
            target.set_sensitive(true);
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, target);
        }
        // Never happens: targets were checked, and URLs are ASCII.
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

fn json_response(body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn problem_json(problem: FlowProblem) -> Value {
    json!({"error": problem.code(), "message": problem.to_string()})
}

/// Returns the connection as JSON, without a token. Times are Unix seconds.
fn connection_json(connection: Option<&ConnectionStatus>) -> Value {
    let Some(connection) = connection else {
        return json!({
            "connected": false, "state": null, "needs_reauthorization": null,
            "invalid_token": null, "workspace": null, "account": null,
            "connected_at": null, "refreshed_at": null,
        });
    };
    let reason = match connection.state {
        RecordState::NeedsReauthorization(reason) => Some(reason_code(reason)),
        _ => None,
    };
    json!({
        "connected": connection.state == RecordState::Active,
        "state": connection.state.code(),
        "needs_reauthorization": reason,
        "invalid_token": connection.invalid_token.map(|reason| reason.to_string()),
        "workspace": {
            "id": connection.workspace_id,
            "name": connection.workspace_name,
            "icon": connection.workspace_icon,
        },
        "account": connection.account,
        "connected_at": connection.connected_at.map(unix_seconds),
        "refreshed_at": connection.refreshed_at.map(unix_seconds),
    })
}

fn reason_code(reason: ReauthorizationReason) -> &'static str {
    match reason {
        ReauthorizationReason::Revoked => "revoked",
        ReauthorizationReason::RotationLost => "rotation_lost",
        ReauthorizationReason::NoRefreshToken => "no_refresh_token",
        ReauthorizationReason::Expired => "expired",
    }
}
