use std::time::{Duration, SystemTime};

use super::NotionUserCredentials;

/// How good an access token is at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Good for longer than the refresh window.
    Fresh,
    /// Good, and inside the refresh window: used, and refreshed behind.
    Due,
    /// Over, or over within the leeway.
    Expired,
    /// Nothing is known about its end: good until the API refuses it. Notion's normal case.
    Unknown,
}

impl NotionUserCredentials {
    /// How good the access token is at `now` (UTC).
    ///
    /// It counts as expired `leeway` before its end, and as due `window` before that. A token that
    /// ends at 12:00:00, with a leeway of 10 seconds and a window of 5 minutes, is fresh until
    /// 11:54:50, due until 11:59:50 and expired from then on.
    #[must_use]
    pub fn freshness(&self, now: SystemTime, leeway: Duration, window: Duration) -> Freshness {
        match self.time_left(now) {
            None => Freshness::Unknown,
            Some(left) if left > leeway.saturating_add(window) => Freshness::Fresh,
            Some(left) if left > leeway => Freshness::Due,
            Some(_) => Freshness::Expired,
        }
    }

    /// How long after `now` (UTC) the access token is good, if that is known; zero if it is over.
    #[must_use]
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        let expires_at = self.expires_at?;
        Some(expires_at.duration_since(now).unwrap_or_default())
    }
}
