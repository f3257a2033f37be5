//! Answers that the gateway makes itself, in the form of Notion's, so that its clients understand them.

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::Response,
};
use serde_json::json;

/// An error in Notion's envelope. The codes are Notion's:
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

/// The request has no key of the gateway.
pub(crate) fn no_key() -> Response {
    error(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "the request needs one of the gateway's keys, as `Authorization: Bearer KEY`",
    )
}

/// A wrong key, while more of them wait for their answers than are delayed at a time.
pub(crate) fn too_many_wrong_keys() -> Response {
    let mut response = error(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        "too many requests have a wrong key",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
