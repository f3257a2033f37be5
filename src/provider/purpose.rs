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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It is still good, but about to expire.
    Due,
    /// The API answered 401.
    Refused,
    /// The API answered 401, again after the store was read again.
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
                    generation: a,
                    why: x,
                },
                Self::Renew {
                    generation: b,
                    why: y,
                },
            ) => a > b || (a == b && x >= y),
            (Self::Renew { why, .. }, Self::Acquire | Self::Load) => why != Why::Due,
            (Self::Acquire, Self::Acquire | Self::Load) | (Self::Load, Self::Load) => true,
            _ => false,
        }
    }
}

impl Purpose {
    /// Whether those who asked can use the credentials that are there meanwhile: they were not
    /// refused and have not expired.
    pub(super) fn can_go_on(self) -> bool {
        matches!(
            self,
            Self::Renew {
                why: Why::Due | Why::Asked,
                ..
            }
        )
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
