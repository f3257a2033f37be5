//! Metric names, and the events that are emitted at a point in time.

use super::outcome::OutcomeLabel;
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

/// Emits that a refresh called the token endpoint.
pub(crate) fn called(outcome: OutcomeLabel) {
    let outcome = outcome.name();
    tracing::debug!(name: "notion_auth.token_call", outcome, "notion_auth.token_call");
    #[cfg(feature = "metrics")]
    metrics::counter!(CALLS, "outcome" => outcome).increment(1);
}

/// Emits that a request is sent again after a 401.
pub(crate) fn replayed(subject: Option<&Subject>) {
    tracing::debug!(name: "notion_auth.replay", subject = subject.map(tracing::field::debug), "notion_auth.replay");
    #[cfg(feature = "metrics")]
    metrics::counter!(REPLAYS).increment(1);
}

/// Emits that a 401 was received that Notion did not send.
pub(crate) fn foreign_unauthorized() {
    tracing::debug!(name: "notion_auth.foreign_unauthorized", "notion_auth.foreign_unauthorized");
    #[cfg(feature = "metrics")]
    metrics::counter!(FOREIGN).increment(1);
}

/// Describes the metrics to the recorder.
#[cfg(feature = "metrics")]
pub(super) fn describe() {
    use metrics::{Unit, describe_counter, describe_histogram};

    describe_counter!(
        HITS,
        Unit::Count,
        "Requests served from cached credentials; reported in batches"
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
        "Responses with status 401 from a proxy or another server, not from Notion"
    );
}
