//! Goal and outcome of a refresh task.

use http::HeaderValue;

use super::single_flight::{self, SingleFlight};
use crate::{
    cache::{EntryVersion, Fence},
    error::AuthError,
    observe::OutcomeLabel,
    subject::Subject,
};

/// Goal of a refresh task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Credentials that can be used, as the store has them.
    Load,
    /// Credentials that can be used, refreshed if they have expired.
    Acquire,
    /// Credentials other than these, by a refresh if the store has none.
    Renew { fence: Fence, trigger: Trigger },
}

/// Reason to replace credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// They are valid, but about to expire.
    Due,
    /// The API refused them.
    Refused {
        /// Whether this refusal ends credentials that can't be refreshed: it and one at least 30 seconds before
        /// carried Notion's request id.
        is_final: bool,
    },
    /// The application asked for it.
    Asked,
}

impl single_flight::Goal for Goal {
    fn covers(self, other: Self) -> bool {
        match (self, other) {
            (
                Self::Renew { fence, trigger },
                Self::Renew {
                    fence: other,
                    trigger: other_trigger,
                },
            ) => {
                fence.is_of_lineage(other)
                    && fence.generation() >= other.generation()
                    && trigger.covers(other_trigger)
            }
            (Self::Renew { trigger, .. }, Self::Acquire | Self::Load) => {
                matches!(trigger, Trigger::Refused { .. })
            }
            (Self::Acquire, Self::Acquire | Self::Load) | (Self::Load, Self::Load) => true,
            _ => false,
        }
    }
}

impl Goal {
    /// Whether this record replaced the one of the goal.
    pub(super) fn is_reached_by(self, fence: Fence) -> bool {
        matches!(self, Self::Renew { fence: old, .. } if old != fence)
    }

    /// Whether the task runs in the background, while requests use the current token.
    pub(super) fn is_proactive(self) -> bool {
        matches!(
            self,
            Self::Renew {
                trigger: Trigger::Due,
                ..
            }
        )
    }

    /// Whether the API refused the credentials.
    pub(super) fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Renew {
                trigger: Trigger::Refused { .. },
                ..
            }
        )
    }

    /// Whether the current token stays in use if the refresh does not succeed.
    pub(super) fn keeps_token_in_use(self) -> bool {
        matches!(
            self,
            Self::Renew {
                trigger: Trigger::Due | Trigger::Asked,
                ..
            }
        )
    }
}

impl Trigger {
    fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Refused { is_final }, Self::Refused { is_final: other }) => is_final || !other,
            (Self::Refused { .. } | Self::Asked, Self::Due) => true,
            (Self::Due, Self::Due) | (Self::Asked, Self::Asked) => true,
            _ => false,
        }
    }
}

/// Credentials that can be sent.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) authorization: HeaderValue,
    pub(crate) fence: Fence,
    pub(crate) version: EntryVersion,
}

pub(crate) type Outcome = Result<Grant, AuthError>;

/// Result of a task, and its label in metrics.
pub(super) type TaskOutcome = (Outcome, OutcomeLabel);

/// The running tasks.
pub(crate) type Tasks = SingleFlight<Subject, Goal, TaskOutcome>;
