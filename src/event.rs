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

/// Something that the host application may want to act on: tell a user to connect again, alert an
/// operator, count.
///
/// Each process reports a change of a connection at most once, and not at all if the process ends first;
/// [`list`](crate::NotionAuthProvider::list) shows what is stored. Failures are reported each time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Credentials were stored for a new connection, or a renewed one.
    Connected {
        /// Whose.
        subject: Subject,
        /// The grant.
        lineage: Lineage,
        /// The record's generation now.
        generation: u64,
    },
    /// The refresh token was exchanged, and the new pair is saved.
    Refreshed {
        /// Whose.
        subject: Subject,
        /// The grant.
        lineage: Lineage,
        /// The record's generation now.
        generation: u64,
    },
    /// Credentials that needed reauthorization are active again: the refresh of a process that was taken for dead has
    /// come to its end.
    Recovered {
        /// Whose.
        subject: Subject,
        /// The grant.
        lineage: Lineage,
        /// The record's generation now.
        generation: u64,
    },
    /// A refresh did not succeed; the credentials stay, and it will be tried again.
    RefreshFailed {
        /// Whose.
        subject: Subject,
        /// The grant.
        lineage: Lineage,
        /// The record's generation.
        generation: u64,
    },
    /// The connection is over; the user must connect again.
    NeedsReauthorization {
        /// Whose.
        subject: Subject,
        /// The grant.
        lineage: Lineage,
        /// The record's generation.
        generation: u64,
        /// Why.
        reason: ReauthorizationReason,
    },
    /// The credentials that were just stored, by a connection or a refresh, cannot be sent. They
    /// stay, and requests of the subject fail with this reason, until a refresh or a new connection
    /// replaces them.
    InvalidToken {
        /// Whose.
        subject: Subject,
        /// The grant.
        lineage: Lineage,
        /// The record's generation.
        generation: u64,
        /// Why.
        reason: InvalidToken,
    },
    /// The connection was ended by the application.
    Disconnected {
        /// Whose.
        subject: Subject,
    },
    /// A subject was connected by another Notion user, or to another workspace, than before.
    ///
    /// The replaced tokens are revoked in the background if they are of another bot (another user or workspace, as
    /// Notion sees it). They stay valid at Notion if another subject is connected by the same bot, if another OAuth
    /// client or token server issued them, or if Notion can't be reached.
    IdentityChanged {
        /// The connection's subject.
        subject: Subject,
        /// Whether the application refused it. Then the connection is as it was, and the new tokens are revoked, unless
        /// another subject is connected by the same bot.
        is_refused: bool,
    },
    /// A connection was made through the routes by a Notion user who has one under another subject
    /// too. Notion may end the older one.
    #[cfg(feature = "routes")]
    BotShared {
        /// Whose connection is new.
        subject: Subject,
        /// Whose is there already.
        other: Subject,
    },
    /// One of the routes did not do what it was asked for. Anybody can bring this about, as often as they
    /// like.
    #[cfg(feature = "routes")]
    FlowFailed {
        /// Who was signed in, if anybody was.
        subject: Option<Subject>,
        /// Why.
        problem: FlowProblem,
    },
    /// Notion does not accept the app's client id and secret. No refresh is tried for a while; no
    /// credentials are lost.
    AppRejected,
    /// The store holds an older generation than one that was seen here: it was restored from a
    /// backup, or a lagging copy is read.
    StoreRegressed {
        /// Whose.
        subject: Subject,
        /// The generation in the store.
        stored: u64,
        /// The generation that was seen.
        seen: u64,
    },
}

impl Event {
    /// The level says who has to act: the operator (error), or the user (warn).
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

/// Where events go: to the log and to the application's observer.
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
        // What follows an event, such as a revocation, does not depend on the application's code.
        let observed = catch_unwind(AssertUnwindSafe(|| observer.on_event(&event)));
        if observed.is_err() {
            tracing::error!(?event, "the observer of events panicked");
        }
    }
}

/// What [`Event`]s are reported to, such as a function.
///
/// It is called from the task or request in which the event happened, and should return at once.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
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
