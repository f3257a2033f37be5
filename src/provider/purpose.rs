//! What flights are for, and what they bring.

use http::HeaderValue;

use super::cache::Tag;
use crate::error::AuthError;

/// What a flight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Credentials that can be used, from the store as they are.
    Load,
    /// Credentials that can be used, refreshed if they have expired.
    Acquire,
    /// Credentials newer than this generation, by a refresh if nobody else has made one.
    Renew { generation: u64, why: Why },
}

/// Why a generation is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is still good, but about to expire.
    Due,
    /// The API answered 401.
    Refused,
    /// The API answered 401 once more, so long after the first time and with the store read in between
    /// that credentials without a refresh token end.
    RefusedAgain,
    /// The application asked for it.
    Asked,
}

impl Purpose {
    /// Whether the outcome of a flight for this purpose serves `other` as well.
    pub(super) fn covers(self, other: Self) -> bool {
        match (self, other) {
            (
                Self::Renew {
                    generation: ours,
                    why,
                },
                Self::Renew {
                    generation: theirs,
                    why: other,
                },
            ) => ours >= theirs && why.covers(other),
            (Self::Renew { why, .. }, Self::Acquire | Self::Load) => why.covers(Why::Refused),
            (Self::Acquire, Self::Acquire | Self::Load) | (Self::Load, Self::Load) => true,
            _ => false,
        }
    }

    /// Whether credentials of this generation are newer than those that were not good enough.
    pub(super) fn is_surpassed_by(self, generation: u64) -> bool {
        matches!(self, Self::Renew { generation: old, .. } if old < generation)
    }

    /// Whether nobody waits: the old token is good, and used meanwhile.
    pub(super) fn is_behind(self) -> bool {
        matches!(self, Self::Renew { why: Why::Due, .. })
    }

    /// Whether a refresh in doubt is not repeated for this, since the old token was not refused.
    pub(super) fn leaves_doubt(self) -> bool {
        matches!(
            self,
            Self::Renew {
                why: Why::Due | Why::Asked,
                ..
            }
        )
    }
}

impl Why {
    fn covers(self, other: Self) -> bool {
        match self {
            Self::Due => other == Self::Due,
            // It ends in doubt where a refusal goes on.
            Self::Asked => matches!(other, Self::Due | Self::Asked),
            Self::Refused => other != Self::RefusedAgain && other != Self::Asked,
            Self::RefusedAgain => other != Self::Asked,
        }
    }
}

/// Credentials that can be sent.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) authorization: HeaderValue,
    pub(crate) generation: u64,
    pub(crate) tag: Tag,
}

pub(crate) type Outcome = Result<Grant, AuthError>;
