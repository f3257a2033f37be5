#[cfg(feature = "metrics")]
use std::time::Instant;

use tracing::{Span, field::Empty};

#[cfg(feature = "metrics")]
use super::events::{ACQUIRE_DURATION, REFRESH_DURATION};
use super::outcome::OutcomeLabel;
use crate::subject::Subject;

/// A span with a duration and an outcome, both recorded on drop.
pub(crate) struct Timer {
    span: Span,
    outcome: OutcomeLabel,
    #[cfg(feature = "metrics")]
    metric: &'static str,
    #[cfg(feature = "metrics")]
    since: Instant,
}

impl Timer {
    /// Starts the timer for a request's wait for credentials.
    pub(crate) fn acquire(subject: &Subject) -> Self {
        Self {
            span: tracing::debug_span!("notion_auth.acquire", ?subject, outcome = Empty),
            outcome: OutcomeLabel::Cancelled,
            #[cfg(feature = "metrics")]
            metric: ACQUIRE_DURATION,
            #[cfg(feature = "metrics")]
            since: Instant::now(),
        }
    }

    /// Starts the timer for a refresh task.
    ///
    /// The span has no parent, because the task outlives the request that started it and serves other
    /// requests too.
    pub(crate) fn refresh(subject: &Subject) -> Self {
        let span = tracing::info_span!(
            parent: None,
            "notion_auth.refresh",
            ?subject,
            outcome = Empty
        );
        span.follows_from(Span::current());
        Self {
            span,
            outcome: OutcomeLabel::Failed,
            #[cfg(feature = "metrics")]
            metric: REFRESH_DURATION,
            #[cfg(feature = "metrics")]
            since: Instant::now(),
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn end(mut self, outcome: OutcomeLabel) {
        self.outcome = outcome;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let outcome = self.outcome.name();
        self.span.record("outcome", outcome);
        #[cfg(feature = "metrics")]
        metrics::histogram!(self.metric, "outcome" => outcome).record(self.since.elapsed());
    }
}
