//! Which 401s can be Notion's, judged by their headers alone.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};

use crate::observe;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-notion-request-id");

/// A 401 that can be Notion's, by what its headers show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    /// It has Notion's request id.
    Identified,
    /// It has a JSON content type and no request id, so a proxy may have sent it. It may lead to a
    /// refresh, and never ends credentials.
    Json,
}

impl Unauthorized {
    /// `None` for any other response. A 401 with neither a request id nor JSON is only counted, because a proxy's
    /// sign-in page says nothing about the token.
    #[inline]
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        if status == StatusCode::UNAUTHORIZED {
            Self::of_401(headers)
        } else {
            None
        }
    }

    #[cold]
    fn of_401(headers: &HeaderMap) -> Option<Self> {
        if only(headers, REQUEST_ID).is_some_and(|id| !id.as_bytes().trim_ascii().is_empty()) {
            Some(Self::Identified)
        } else if only(headers, CONTENT_TYPE).is_some_and(is_json) {
            Some(Self::Json)
        } else {
            observe::foreign_unauthorized();
            None
        }
    }
}

/// The header's value, if there is one. A proxy may repeat the line; different values are none.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// `application/json` or a type with the suffix `+json` (RFC 6839), with any parameters.
fn is_json(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence
            .rsplit_once('+')
            .is_some_and(|(kind, suffix)| kind.contains('/') && suffix.eq_ignore_ascii_case("json"))
}
