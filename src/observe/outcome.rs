use crate::{
    credentials::ReauthorizationReason,
    error::{AuthError, causes},
    oauth::OAuthError,
    store::{StoreError, StoreErrorKind},
};

/// Outcome of a wait for credentials, a refresh task or a token endpoint call: the values of the label and
/// span field `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutcomeLabel {
    Joined,
    Loaded,
    Refreshed,
    Replayed,
    Adopted,
    NotSent,
    Ambiguous,
    RateLimited,
    Revoked,
    RotationLost,
    NeedsReauthorization,
    AppRejected,
    StoreUnavailable,
    NotConnected,
    Expired,
    TimedOut,
    Cancelled,
    Failed,
}

impl OutcomeLabel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Loaded => "loaded",
            Self::Refreshed => "refreshed",
            Self::Replayed => "replayed",
            Self::Adopted => "adopted",
            Self::NotSent => "not_sent",
            Self::Ambiguous => "ambiguous",
            Self::RateLimited => "rate_limited",
            Self::Revoked => "revoked",
            Self::RotationLost => "rotation_lost",
            Self::NeedsReauthorization => "needs_reauthorization",
            Self::AppRejected => "app_rejected",
            Self::StoreUnavailable => "store_unavailable",
            Self::NotConnected => "not_connected",
            Self::Expired => "expired",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Returns the outcome of a successful refresh.
    pub(crate) fn refreshed(was_in_doubt: bool) -> Self {
        if was_in_doubt {
            Self::Replayed
        } else {
            Self::Refreshed
        }
    }

    /// Returns the outcome for `error`. An underlying OAuth or store error decides it when the error has
    /// one as a source.
    pub(crate) fn of(error: &AuthError) -> Self {
        if let Some(reason) = error.needs_reauthorization() {
            return match reason {
                ReauthorizationReason::Revoked => Self::Revoked,
                ReauthorizationReason::RotationLost => Self::RotationLost,
                _ => Self::NeedsReauthorization,
            };
        }
        if error.is_not_connected() {
            return Self::NotConnected;
        }
        if error.is_expired() {
            return Self::Expired;
        }
        if error.is_app_rejected() {
            return Self::AppRejected;
        }
        for cause in causes(error) {
            if let Some(error) = cause.downcast_ref() {
                return Self::of_call(error, false);
            }
            if let Some(error) = cause.downcast_ref::<StoreError>() {
                if error.kind() == StoreErrorKind::Unavailable {
                    return Self::StoreUnavailable;
                }
            }
        }
        Self::Failed
    }

    /// Returns the outcome of a token endpoint call that returned no new token pair.
    pub(crate) fn of_call(error: &OAuthError, was_in_doubt: bool) -> Self {
        if error.is_not_sent() {
            Self::NotSent
        } else if error.is_ambiguous() {
            Self::Ambiguous
        } else if error.is_rate_limited() {
            Self::RateLimited
        } else if error.is_about_the_app() {
            Self::AppRejected
        } else if error.is_invalid_grant() {
            if was_in_doubt {
                Self::RotationLost
            } else {
                Self::Revoked
            }
        } else {
            Self::Failed
        }
    }
}
