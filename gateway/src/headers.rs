//! Which headers pass. All others stay at the gateway: a list of what must not pass would never be complete.

use std::sync::Arc;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCEPT_RANGES, AGE, ALLOW, AUTHORIZATION,
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
        CONTENT_TYPE, COOKIE, DATE, ETAG, EXPECT, FORWARDED, HOST, LAST_MODIFIED, LOCATION,
        RETRY_AFTER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT, VARY,
    },
};
use notion_auth::BoxError;
use url::Url;

use crate::keys::SUBJECT_HEADER;

/// `Content-Length` is not among them, because the client sets it by the body.
const OF_REQUESTS: [HeaderName; 7] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    HeaderName::from_static("notion-version"),
    USER_AGENT,
];

const OF_RESPONSES: [HeaderName; 19] = [
    ACCEPT_RANGES,
    AGE,
    ALLOW,
    HeaderName::from_static("cf-ray"),
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DATE,
    HeaderName::from_static("deprecation"),
    ETAG,
    LAST_MODIFIED,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    RETRY_AFTER,
    HeaderName::from_static("sunset"),
    HeaderName::from_static("x-notion-request-id"),
    HeaderName::from_static("x-request-id"),
];

/// What `GATEWAY_PASS_HEADERS` must not name: headers of the connection, of the gateway's callers, and those by which
/// some servers take another host, method or path than the request's.
const NEVER: [HeaderName; 24] = [
    AUTHORIZATION,
    HeaderName::from_static("connection"),
    CONTENT_LENGTH,
    COOKIE,
    EXPECT,
    FORWARDED,
    HOST,
    HeaderName::from_static("keep-alive"),
    SUBJECT_HEADER,
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-original-method"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Headers that go on to Notion.
#[derive(Debug, Clone)]
pub(crate) struct RequestHeaders(Arc<[HeaderName]>);

impl RequestHeaders {
    /// Reads further names, separated by commas.
    pub(crate) fn and(names: &str) -> Result<Self, BoxError> {
        let mut passed = OF_REQUESTS.to_vec();
        for name in names.split(',').map(str::trim) {
            if name.is_empty() {
                continue;
            }
            let name: HeaderName = name.parse().map_err(|_| {
                format!("{name:?} is not the name of a header: write names, with commas between")
            })?;
            if NEVER.contains(&name) {
                return Err(format!("{name} never goes on to Notion: leave it out").into());
            }
            passed.push(name);
        }
        Ok(Self(passed.into()))
    }

    /// Returns the headers that go on to Notion.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderMap {
        passed(headers, &self.0)
    }
}

/// Returns the headers of Notion's response that go back to the caller. `api` is the origin that callers don't reach
/// themselves.
pub(crate) fn of_response(headers: &HeaderMap, api: &Url, target: &Uri, prefix: &str) -> HeaderMap {
    let mut passed = passed(headers, &OF_RESPONSES);
    if let Some(location) = headers
        .get(LOCATION)
        .and_then(|location| through_the_gateway(location, api, target, prefix))
    {
        passed.insert(LOCATION, location);
    }
    passed
}

/// Marks a response as one caller's.
pub(crate) fn make_private(headers: &mut HeaderMap, vary: &'static str) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(VARY, HeaderValue::from_static(vary));
}

fn passed(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if names.contains(name) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// Returns the location as a path of the gateway, if it is one of the API. By any other, a caller would send its key to
/// Notion or to somewhere else.
fn through_the_gateway(
    location: &HeaderValue,
    api: &Url,
    target: &Uri,
    prefix: &str,
) -> Option<HeaderValue> {
    let requested = api.join(target.path()).ok()?;
    let location = requested.join(location.to_str().ok()?).ok()?;
    if location.origin() != api.origin() || !location.path().starts_with("/v1/") {
        return None;
    }
    let mut path = format!("{prefix}{}", location.path());
    if let Some(query) = location.query() {
        path.push('?');
        path.push_str(query);
    }
    path.parse().ok()
}
