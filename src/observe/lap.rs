#[cfg(feature = "metrics")]
use std::time::Instant;

use tracing::{Span, field::Empty};

use super::ending::Ending;
#[cfg(feature = "metrics")]
use super::told::{ACQUIRE_DURATION, REFRESH_DURATION};
use crate::subject::Subject;

/// Something that takes time: its span, and how it ended. One that is dropped has ended too.
pub(crate) struct Lap {
    span: Span,
    ending: Ending,
    #[cfg(feature = "metrics")]
    metric: &'static str,
    #[cfg(feature = "metrics")]
    since: Instant,
}

impl Lap {
    /// A request's wait for credentials.
    pub(crate) fn acquire(subject: &Subject) -> Self {
        Self {
            span: tracing::debug_span!("notion_auth.acquire", ?subject, outcome = Empty),
            ending: Ending::Cancelled,
            #[cfg(feature = "metrics")]
            metric: ACQUIRE_DURATION,
            #[cfg(feature = "metrics")]
            since: Instant::now(),
        }
    }

    /// A flight. It has no parent: it outlives the request that began it, and others wait for it too.
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
            ending: Ending::Failed,
            #[cfg(feature = "metrics")]
            metric: REFRESH_DURATION,
            #[cfg(feature = "metrics")]
            since: Instant::now(),
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn end(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Lap {
    fn drop(&mut self) {
        let outcome = self.ending.name();
        self.span.record("outcome", outcome);
        #[cfg(feature = "metrics")]
        metrics::histogram!(self.metric, "outcome" => outcome).record(self.since.elapsed());
    }
}
