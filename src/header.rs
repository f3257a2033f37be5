//! HTTP header names and parsers that the `http` crate lacks.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{DATE, RETRY_AFTER},
};

/// The `Notion-Version` header: the version of Notion's API that a request is written for.
pub const NOTION_VERSION: HeaderName = HeaderName::from_static("notion-version");

/// Parses `Retry-After` (RFC 9110 section 10.2.3): seconds, with or without a fraction, or a date.
///
/// A date is compared with the response's own `Date` header, because this machine's clock may be wrong. A
/// date in the past means zero. A value that cannot be parsed, or is more than a day away, counts as
/// `longest`, because the server did ask for a pause. A blank value counts as absent. The longest of
/// several values counts, whether they are separate headers or joined with commas by a proxy.
pub(crate) fn retry_after(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let values = headers.get_all(RETRY_AFTER).iter();
    let values = values.filter(|value| !value.as_bytes().trim_ascii().is_empty());
    let pause = |value: &HeaderValue| {
        let text = value.to_str().ok()?.trim();
        // A date contains a comma too.
        let Ok(until) = httpdate::parse_http_date(text) else {
            return longest_of(text);
        };
        let sent = headers.get(DATE).and_then(|date| date.to_str().ok());
        let sent = sent.and_then(|date| httpdate::parse_http_date(date).ok());
        let sent = sent.unwrap_or_else(SystemTime::now);
        match until.duration_since(sent) {
            Ok(pause) => Some(pause),
            Err(past) => (past.duration() <= A_DAY).then_some(Duration::ZERO),
        }
    };
    let pause = |value| pause(value).filter(|pause| *pause <= A_DAY);
    values.map(|value| pause(value).unwrap_or(longest)).max()
}

/// No rate limit asks for a longer pause. Such a value is a mistake of the server or of a proxy.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the largest of the comma-separated numbers.
fn longest_of(text: &str) -> Option<Duration> {
    let numbers = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let pauses = numbers.map(seconds).collect::<Option<Vec<_>>>()?;
    pauses.into_iter().max()
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = text.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| is_number)?;
    Duration::try_from_secs_f64(seconds).ok()
}
