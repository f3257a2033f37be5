//! What happens at one moment, and the names of the metrics.

use super::ending::Ending;
use crate::subject::Subject;

#[cfg(feature = "metrics")]
pub(super) const HITS: &str = "notion_auth_hits_total";
#[cfg(feature = "metrics")]
pub(super) const ACQUIRE_DURATION: &str = "notion_auth_acquire_duration_seconds";
#[cfg(feature = "metrics")]
pub(super) const REFRESH_DURATION: &str = "notion_auth_refresh_duration_seconds";
#[cfg(feature = "metrics")]
const CALLS: &str = "notion_auth_token_calls_total";
#[cfg(feature = "metrics")]
const REPLAYS: &str = "notion_auth_replays_total";
#[cfg(feature = "metrics")]
const FOREIGN: &str = "notion_auth_foreign_unauthorized_total";

/// The token endpoint was called by a refresh.
pub(crate) fn called(ending: Ending) {
    let outcome = ending.name();
    tracing::debug!(name: "notion_auth.token_call", outcome, "notion_auth.token_call");
    #[cfg(feature = "metrics")]
    metrics::counter!(CALLS, "outcome" => outcome).increment(1);
}

/// A request that was refused is sent again.
pub(crate) fn replayed(subject: Option<&Subject>) {
    tracing::debug!(name: "notion_auth.replay", subject = subject.map(tracing::field::debug), "notion_auth.replay");
    #[cfg(feature = "metrics")]
    metrics::counter!(REPLAYS).increment(1);
}

/// A 401 came that Notion did not send.
pub(crate) fn foreign_unauthorized() {
    tracing::debug!(name: "notion_auth.foreign_unauthorized", "notion_auth.foreign_unauthorized");
    #[cfg(feature = "metrics")]
    metrics::counter!(FOREIGN).increment(1);
}

/// Tells the recorder what the metrics are.
#[cfg(feature = "metrics")]
pub(super) fn describe() {
    use metrics::{Unit, describe_counter, describe_histogram};

    describe_counter!(
        HITS,
        Unit::Count,
        "Requests whose credentials were at hand; told in batches"
    );
    describe_histogram!(
        ACQUIRE_DURATION,
        Unit::Seconds,
        "How long requests waited for credentials"
    );
    describe_histogram!(
        REFRESH_DURATION,
        Unit::Seconds,
        "How long it took to load or refresh credentials"
    );
    describe_counter!(
        CALLS,
        Unit::Count,
        "Calls of the token endpoint by refreshes"
    );
    describe_counter!(
        REPLAYS,
        Unit::Count,
        "Requests sent again after a 401, with newer credentials"
    );
    describe_counter!(
        FOREIGN,
        Unit::Count,
        "Answers with 401 that Notion did not send, but a proxy or another server"
    );
}
