//! Responses, including errors in both formats.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION},
};
use serde_json::{Value, json};

use super::options::ErrorShape;

pub(super) type Reply = Response<Bytes>;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A refused call, which becomes an error response in one of the two formats.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: Cow<'static, str>,
    pub(super) message: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    pub(super) fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "validation_error", message)
    }

    /// Returns the error of a status, as in Notion's table of error codes.
    pub(super) fn of_status(status: u16) -> Self {
        let code = match status {
            400 => "validation_error",
            401 => "unauthorized",
            403 => "restricted_resource",
            404 => "object_not_found",
            408 => "request_timeout",
            409 => "conflict_error",
            429 => "rate_limited",
            502 => "bad_gateway",
            503 => "service_unavailable",
            504 => "gateway_timeout",
            529 => "service_overload",
            _ => "internal_server_error",
        };
        Self::new(
            status,
            code,
            "The mock server is scripted to send this status.",
        )
    }

    pub(super) fn reply(&self, shape: ErrorShape, request_id: &str) -> Reply {
        let body = match shape {
            ErrorShape::OAuth => json!({
                "error": self.code,
                "error_description": self.message,
                "request_id": request_id,
            }),
            ErrorShape::Api => json!({
                "object": "error",
                "status": self.status,
                "code": self.code,
                "message": self.message,
                "request_id": request_id,
            }),
        };
        let reply = json(status(self.status), &body);
        match shape {
            ErrorShape::OAuth => reply,
            ErrorShape::Api => identified(reply, request_id),
        }
    }
}

/// Returns a final HTTP status. Any other number becomes 500.
pub(super) fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number)
        .ok()
        .filter(|status| !status.is_informational())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(super) fn json(status: StatusCode, body: &Value) -> Reply {
    reply(status, JSON, body.to_string())
}

pub(super) fn html(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    reply(status, HTML, body)
}

/// Adds the request ID header that every API response has.
pub(super) fn identified(mut reply: Reply, request_id: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        reply.headers_mut().insert("x-notion-request-id", value);
    }
    reply
}

/// Returns a redirect without a body. A location that is not a valid header value is left out.
pub(super) fn redirect(status: StatusCode, location: &str) -> Reply {
    let mut reply = Response::new(Bytes::new());
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(location) = HeaderValue::from_str(location) {
        reply.headers_mut().insert(LOCATION, location);
    }
    reply
}

fn reply(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}
