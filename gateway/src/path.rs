//! Request targets: which ones go on to Notion, and how they are logged.

use axum::http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::envelope::{self, Refusal};

/// Segments of Notion's paths. Any other segment may be an id or a secret, and is not logged.
const KNOWN: [&str; 33] = [
    "authorize",
    "blocks",
    "callback",
    "children",
    "comments",
    "complete",
    "connect",
    "custom_emojis",
    "data_sources",
    "databases",
    "disconnect",
    "file_uploads",
    "healthz",
    "link",
    "links",
    "markdown",
    "me",
    "meeting_notes",
    "metrics",
    "move",
    "pages",
    "properties",
    "query",
    "readyz",
    "replace",
    "search",
    "send",
    "sign-in",
    "sign-out",
    "status",
    "templates",
    "users",
    "v1",
];

/// Refuses what is no path of Notion's API in RFC 3986's characters.
///
/// The OAuth endpoints are the gateway's own to speak with. A path that a server could read as theirs, by decoding it
/// once more or by tidying it up, is refused too.
pub(crate) fn check(path: &str, query: Option<&str>) -> Result<(), Refusal> {
    let resource = path.strip_prefix("/v1/").unwrap_or_default();
    let resource = resource.split('/').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if resource.is_empty() || !resource.bytes().all(is_plain) || climbs(path) {
        return Err(malformed(
            "the path is none of Notion's: /v1/, a plain name, and no segment that is `..`",
        ));
    }
    if !is_of(path, |byte| {
        is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte)
    }) {
        return Err(malformed(
            "the path has characters that RFC 3986 does not allow: encode them by `%` and two digits",
        ));
    }
    // Clients that follow the WHATWG's rules for URLs leave more characters of a query as they are.
    if !is_of(query.unwrap_or_default(), |byte| byte.is_ascii_graphic()) {
        return Err(malformed(
            "the query has characters that are not allowed: encode them by `%` and two digits",
        ));
    }
    if resource.eq_ignore_ascii_case("oauth") {
        return Err(envelope::refusal(
            "oauth",
            StatusCode::FORBIDDEN,
            "restricted_resource",
            "the OAuth endpoints are not reached through the gateway: workspaces are connected at /connect",
        ));
    }
    Ok(())
}

/// Returns the path with `{id}` in the place of each segment that is no word of the API and none of these.
pub(crate) fn template(path: &str, words: &[String]) -> String {
    let mut template = String::with_capacity(path.len().min(128));
    // A long path is no path of the API.
    for (at, segment) in path.split('/').take(10).enumerate() {
        if at > 0 {
            template.push('/');
        }
        let is_known = segment.is_empty()
            || KNOWN.contains(&segment)
            || words.iter().any(|word| word == segment);
        template.push_str(match is_known {
            true => segment,
            false => "{id}",
        });
    }
    template
}

fn malformed(message: &str) -> Refusal {
    envelope::refusal(
        "path",
        StatusCode::BAD_REQUEST,
        "invalid_request_url",
        message,
    )
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether the text has these characters and well-formed percent-encodings only.
fn is_of(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_good = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            byte => is_allowed(byte),
        };
        if !is_good {
            return false;
        }
    }
    true
}

/// Whether a segment is `.` or `..`, whatever parameters it has and however often it is encoded. What is encoded more
/// than three times counts as one, because a long path can be encoded ten thousand times.
fn climbs(path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..4 {
        let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if decoded == path {
            return path
                .split(['/', '\\'])
                .filter_map(|segment| segment.split(';').next())
                .any(|segment| segment == "." || segment == "..");
        }
        path = decoded;
    }
    true
}
