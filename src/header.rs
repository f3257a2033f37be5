//! Headers that `http` has no name or no reader for.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{DATE, RETRY_AFTER},
};

/// `Notion-Version`: which version of Notion's API a request is written for.
pub const NOTION_VERSION: HeaderName = HeaderName::from_static("notion-version");

/// Reads `Retry-After` (RFC 9110 section 10.2.3): seconds, also with a fraction, or a date.
///
/// A date counts from the response's own `Date`, so that the clock of this machine may be wrong. A past date
/// means now. A value that is neither, or is more than a day away, past or future, counts as `longest`,
/// because the server did ask to wait. A blank value counts as absent. Of several values, in headers of
/// their own or joined by a proxy with commas, the longest counts.
pub(crate) fn retry_after(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let values = headers.get_all(RETRY_AFTER).iter();
    let values = values.filter(|value| !value.as_bytes().trim_ascii().is_empty());
    let pause = |value: &HeaderValue| {
        let text = value.to_str().ok()?.trim();
        // A date has a comma too.
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

/// No rate limit asks for more: such a value is a mistake of the server or of a proxy.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest of the numbers, which commas separate.
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
