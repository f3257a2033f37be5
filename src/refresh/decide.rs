//! The decision of a task about the record that it read: one table.

use std::time::Duration;

use super::goal::{Goal, Trigger};
use crate::{cache::Fence, credentials::ReauthorizationReason, store::refusal_delay};

/// Inputs of a decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    pub(super) goal: Goal,
    pub(super) fence: Fence,
    /// Age of the generation: the larger of those by the store's clock and by this process's.
    pub(super) age: Duration,
    /// Whether a refresh made the generation.
    pub(super) is_refreshed: bool,
    pub(super) streak: u32,
    pub(super) has_refresh_token: bool,
    pub(super) expiry: Expiry,
}

/// Whether the access token can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// It can.
    Usable,
    /// It expires within the leeway, or is older than the age policy allows.
    Refreshable,
    /// Its expiry is past.
    Past,
}

/// The task's next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// These credentials are sent.
    Use,
    /// The refusal goes back to the caller, and the credentials are used on.
    PassRefusalThrough,
    Refresh,
    /// They are marked as needing reauthorization.
    Invalidate(ReauthorizationReason),
    /// They have expired, and the goal does not include a refresh.
    FailExpired,
    /// They can't be refreshed, and stay as they are.
    FailNoRefreshToken,
}

/// Requests must not call a server again and again that issues tokens which have already expired.
const SHORTEST_USE: Duration = Duration::from_secs(1);

/// The age from which on a decision does not depend on the age.
pub(super) fn longest_delay(streak: u32) -> Duration {
    refusal_delay(streak).max(SHORTEST_USE)
}

pub(super) fn decide(it: Situation) -> Decision {
    let trigger = match it.goal {
        Goal::Renew { fence, trigger } if fence == it.fence => Some(trigger),
        _ => None,
    };
    match (trigger, it.expiry, it.has_refresh_token) {
        (None, Expiry::Usable, _) => Decision::Use,
        (None, _, _) if it.is_refreshed && it.age < SHORTEST_USE => Decision::Use,
        (None, Expiry::Refreshable, false) => Decision::Use,
        (_, Expiry::Past, false) => Decision::Invalidate(ReauthorizationReason::Expired),
        (None, _, _) if it.goal == Goal::Load => Decision::FailExpired,
        (None, _, true) => Decision::Refresh,

        (Some(Trigger::Refused { .. }), Expiry::Usable, true)
            if it.age < refusal_delay(it.streak) =>
        {
            Decision::PassRefusalThrough
        }
        (Some(_), _, true) => Decision::Refresh,
        (Some(Trigger::Due), _, false) => Decision::Use,
        (Some(Trigger::Asked), _, false) => Decision::FailNoRefreshToken,
        (Some(Trigger::Refused { is_final: true }), _, false) => {
            Decision::Invalidate(ReauthorizationReason::NoRefreshToken)
        }
        (Some(Trigger::Refused { is_final: false }), _, false) => Decision::PassRefusalThrough,
    }
}
