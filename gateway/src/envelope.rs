//! Errors of the gateway itself, in the form of Notion's, so that Notion's clients understand them.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::Response,
};
use serde_json::json;

/// A response that refuses a request.
pub(crate) type Refusal = Box<Response>;

/// The [`Reason`] for callers, who can't know it by status and code: a 401 may be Notion's own.
const ERROR_HEADER: HeaderName = HeaderName::from_static("notion-auth-error");

/// Response extension: why the gateway refused the request. For the metrics and the access log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reason(pub(crate) &'static str);

/// Returns an error in Notion's envelope. The codes are Notion's:
/// <https://developers.notion.com/reference/status-codes>
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({
        "object": "error",
        "status": status.as_u16(),
        "code": code,
        "message": format!("gateway: {message}"),
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns an error that is counted by its reason, and names it.
pub(crate) fn refusal(
    reason: &'static str,
    status: StatusCode,
    code: &str,
    message: &str,
) -> Refusal {
    let mut response = error(status, code, message);
    name_reason(&mut response, reason);
    Box::new(response)
}

pub(crate) fn name_reason(response: &mut Response, reason: &'static str) {
    response.extensions_mut().insert(Reason(reason));
    response
        .headers_mut()
        .insert(ERROR_HEADER, HeaderValue::from_static(reason));
}

/// The request has no key of the gateway.
pub(crate) fn no_key() -> Response {
    *refusal(
        "key",
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "the request needs one of the gateway's keys, as `Authorization: Bearer KEY`",
    )
}

/// A wrong key, while more of them wait for their answers than are delayed at a time.
pub(crate) fn too_many_wrong_keys() -> Response {
    let mut response = *refusal(
        "wrong_keys",
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        "too many requests have a wrong key",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
