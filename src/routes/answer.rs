//! What a route answers, and how that becomes an HTTP response.

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
    page::{self, Page},
    state::Routes,
};
use crate::{
    clock::unix_seconds, credentials::ReauthorizationReason, flow_problem::FlowProblem,
    provider::ConnectionStatus, store::RecordState, subject::Subject,
};

/// The body of the routes' responses.
pub type Body = Full<Bytes>;

/// A response extension of the answer that completes a flow: who has connected. A host that names
/// subjects by their workspaces signs the browser in by it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// Whose connection it is.
    pub subject: Subject,
}

pub(super) struct Answer {
    pub(super) what: What,
    /// Values of `Set-Cookie`.
    pub(super) cookies: Vec<String>,
    /// What `return_to` was, as it was asked for.
    pub(super) return_to: Option<String>,
    /// Whether the event of the problem was emitted already.
    pub(super) is_reported: bool,
}

pub(super) enum What {
    /// A flow begins, or what was to be done is done.
    Redirect(String),
    /// A flow is completed.
    Connected(String, Connected),
    Status(Option<ConnectionStatus>),
    /// The connection is ended; whether Notion said so too.
    Disconnected {
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

    pub(super) fn returning_to(mut self, asked: Option<String>) -> Self {
        self.return_to = asked;
        self
    }

    pub(super) fn into_response(self, routes: &Routes, asked: &HeaderMap) -> Response<Body> {
        let mut response = match self.what {
            What::Redirect(target) => redirect(&target),
            What::Connected(target, connected) => {
                let mut response = redirect(&target);
                response.extensions_mut().insert(connected);
                response
            }
            What::Status(ref connection) => {
                let connection = connection.as_ref();
                if wants_page(asked) {
                    page_response(
                        routes,
                        StatusCode::OK,
                        None,
                        connection,
                        self.return_to.as_deref(),
                    )
                } else {
                    json_response(StatusCode::OK, &connection_json(connection))
                }
            }
            What::Disconnected { is_revoked } => {
                let mut body = connection_json(None);
                body["revoked"] = is_revoked.into();
                json_response(StatusCode::OK, &body)
            }
            What::Problem(problem) => {
                problem_response(routes, problem, asked, self.return_to.as_deref())
            }
            What::WrongMethod { allowed } => {
                let problem = FlowProblem::MethodNotAllowed;
                let mut response = problem_response(routes, problem, asked, None);
                let allowed = HeaderValue::from_static(allowed);
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(VARY, HeaderValue::from_static("accept, cookie"));
        for cookie in self.cookies {
            // It is made of ASCII.
            if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
                cookie.set_sensitive(true);
                headers.append(SET_COOKIE, cookie);
            }
        }
        response
    }
}

fn problem_response(
    routes: &Routes,
    problem: FlowProblem,
    asked: &HeaderMap,
    return_to: Option<&str>,
) -> Response<Body> {
    let status = problem.status();
    let mut response = if wants_page(asked) {
        page_response(routes, status, Some(problem), None, return_to)
    } else {
        let body = json!({"error": problem.code(), "message": problem.to_string()});
        json_response(status, &body)
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn page_response(
    routes: &Routes,
    status: StatusCode,
    problem: Option<FlowProblem>,
    connection: Option<&ConnectionStatus>,
    return_to: Option<&str>,
) -> Response<Body> {
    let target = routes.targets.find(return_to);
    let target = target.as_ref().unwrap_or_else(|| routes.targets.default());
    let page = Page {
        problem,
        connection,
        connect: &routes.address("/authorize", return_to),
        disconnect: &routes.address("/disconnect", return_to),
        return_to: target.as_str(),
    };
    let (html, policy) = match &routes.renderer {
        Some(renderer) => (renderer(&page), page::NO_FRAMES),
        None => (page::render(&page), page::POLICY),
    };
    let mut response = Response::new(Full::new(html.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, html);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// Whether it was a browser's navigation, which says that it would like HTML; scripts and programs
/// get JSON.
pub(super) fn wants_page(asked: &HeaderMap) -> bool {
    asked
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

fn redirect(target: &str) -> Response<Body> {
    let mut response = Response::new(Body::default());
    match HeaderValue::from_str(target) {
        Ok(mut target) => {
            // The state is in the address of Notion's page.
            target.set_sensitive(true);
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, target);
        }
        // Targets were checked, and URLs are ASCII.
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// Returns the connection as JSON, without a token. Times are Unix seconds.
fn connection_json(connection: Option<&ConnectionStatus>) -> Value {
    let Some(connection) = connection else {
        return json!({
            "connected": false, "state": null, "needs_reauthorization": null,
            "invalid_token": null, "workspace": null,
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
