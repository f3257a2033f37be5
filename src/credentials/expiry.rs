use std::time::{Duration, SystemTime};

use super::NotionUserCredentials;

/// Freshness of an access token at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Valid for longer than the refresh window.
    Fresh,
    /// Valid, and inside the refresh window: it is used, and refreshed in the background.
    Due,
    /// Expired, or expires within the leeway.
    Expired,
    /// The expiry is unknown, so the token is used until the API refuses it. Notion's tokens have no known
    /// expiry.
    Unknown,
}

impl NotionUserCredentials {
    /// Returns the freshness of the access token at `now` (UTC).
    ///
    /// The token counts as expired from `leeway` before its expiry, and as due from `window` before that.
    /// For example, a token that expires at 12:00:00, with a leeway of 10 seconds and a window of 5
    /// minutes, is fresh until 11:54:50, due until 11:59:50, and expired afterwards.
    #[must_use]
    pub fn freshness(&self, now: SystemTime, leeway: Duration, window: Duration) -> Freshness {
        match self.time_left(now) {
            None => Freshness::Unknown,
            Some(left) if left > leeway.saturating_add(window) => Freshness::Fresh,
            Some(left) if left > leeway => Freshness::Due,
            Some(_) => Freshness::Expired,
        }
    }

    /// Returns how long the access token is valid after `now` (UTC), if known. Zero if it has expired.
    #[must_use]
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        let expires_at = self.expires_at?;
        Some(expires_at.duration_since(now).unwrap_or_default())
    }
}
