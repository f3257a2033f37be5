use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

#[cfg(feature = "routes")]
use crate::flow_problem::FlowProblem;
use crate::{
    Subject,
    credentials::{InvalidToken, ReauthorizationReason},
    store::Lineage,
};

/// A change or failure that the application may act on, for example by asking a user to reconnect, alerting
/// an operator, or counting.
///
/// Each process reports a change of a connection at most once, and not at all if the process exits first.
/// The stored state is available from [`list`](crate::NotionAuthProvider::list). Failures are reported each
/// time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Credentials were stored for a new or renewed connection.
    Connected {
        /// The subject of the connection.
        subject: Subject,
        /// The lineage of the grant.
        lineage: Lineage,
        /// The record's generation after the change.
        generation: u64,
    },
    /// The refresh token was exchanged, and the new token pair was saved.
    Refreshed {
        /// The subject of the connection.
        subject: Subject,
        /// The lineage of the grant.
        lineage: Lineage,
        /// The record's generation after the change.
        generation: u64,
    },
    /// Credentials that needed reauthorization are active again, because a refresh that was considered lost
    /// has completed.
    Recovered {
        /// The subject of the connection.
        subject: Subject,
        /// The lineage of the grant.
        lineage: Lineage,
        /// The record's generation after the change.
        generation: u64,
    },
    /// A refresh failed. The credentials are kept, and the refresh will be tried again.
    RefreshFailed {
        /// The subject of the connection.
        subject: Subject,
        /// The lineage of the grant.
        lineage: Lineage,
        /// The record's generation.
        generation: u64,
    },
    /// The connection has ended, and the user must connect again.
    NeedsReauthorization {
        /// The subject of the connection.
        subject: Subject,
        /// The lineage of the grant.
        lineage: Lineage,
        /// The record's generation.
        generation: u64,
        /// The reason.
        reason: ReauthorizationReason,
    },
    /// Credentials that were just stored by a connection or a refresh cannot be sent.
    ///
    /// They are kept, and the subject's requests fail with this reason until a refresh or a new connection
    /// replaces the credentials.
    InvalidToken {
        /// The subject of the connection.
        subject: Subject,
        /// The lineage of the grant.
        lineage: Lineage,
        /// The record's generation.
        generation: u64,
        /// The reason.
        reason: InvalidToken,
    },
    /// The application disconnected the subject.
    Disconnected {
        /// The subject of the connection.
        subject: Subject,
    },
    /// A subject was connected by a different Notion user, or to a different workspace, than before.
    ///
    /// The replaced tokens are revoked in the background if they belong to another bot (another user or
    /// workspace). They stay valid at Notion in these cases:
    ///
    /// - Another subject is connected by the same bot.
    /// - Another OAuth client or token server issued them.
    /// - Notion cannot be reached.
    IdentityChanged {
        /// The subject of the connection.
        subject: Subject,
        /// Whether the application refused the change. If so, the connection is unchanged, and the new tokens are
        /// revoked, unless another subject is connected by the same bot.
        is_refused: bool,
    },
    /// A Notion user connected through the routes who is already connected under another subject. Notion
    /// may revoke the older connection.
    #[cfg(feature = "routes")]
    BotShared {
        /// The subject of the new connection.
        subject: Subject,
        /// The subject of the existing connection.
        other: Subject,
    },
    /// A request to one of the routes failed. Any visitor can cause this event, as often as they like.
    #[cfg(feature = "routes")]
    FlowFailed {
        /// The signed-in subject, if any.
        subject: Option<Subject>,
        /// The reason.
        problem: FlowProblem,
    },
    /// Notion does not accept the app's client id and secret. Refreshes are paused for a while. No
    /// credentials are lost.
    AppRejected,
    /// The store holds an older generation than this process has seen: it was restored from a backup, or a
    /// lagging replica was read.
    StoreRegressed {
        /// The subject of the record.
        subject: Subject,
        /// The generation in the store.
        stored: u64,
        /// The generation that this process has seen.
        seen: u64,
    },
}

impl Event {
    /// Logs the event: at level ERROR if the operator must act, at WARN if the user must.
    fn log(&self) {
        match self {
            Self::AppRejected | Self::InvalidToken { .. } | Self::StoreRegressed { .. } => {
                tracing::error!(name: "notion_auth.event", event = ?self, "notion_auth.event");
            }
            Self::NeedsReauthorization { .. } | Self::RefreshFailed { .. } => {
                tracing::warn!(name: "notion_auth.event", event = ?self, "notion_auth.event");
            }
            _ => tracing::debug!(name: "notion_auth.event", event = ?self, "notion_auth.event"),
        }
    }
}

/// Sends events to the log and to the application's observer.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) observer: Option<Box<dyn Observer>>,
}

impl Events {
    pub(crate) fn emit(&self, event: Event) {
        event.log();
        let Some(observer) = &self.observer else {
            return;
        };
        // The work that follows an event, such as a revocation, must not depend on the application's code.
        let observed = catch_unwind(AssertUnwindSafe(|| observer.on_event(&event)));
        if observed.is_err() {
            tracing::error!(?event, "the Observer panicked on an event");
        }
    }
}

/// Receives [`Event`]s. Implemented for functions and closures.
///
/// It is called from the task or request in which the event occurs, and should return quickly.
pub trait Observer: Send + Sync + 'static {
    /// Handles an event.
    fn on_event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn on_event(&self, event: &Event) {
        self(event);
    }
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
