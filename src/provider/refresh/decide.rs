use std::time::Duration;

use super::{
    super::{
        flight::Flight,
        purpose::{Purpose, Why},
    },
    Stored,
};
use crate::{
    credentials::{ReauthorizationReason, RefreshToken},
    error::AuthError,
    store::AttemptId,
};

/// What a flight does with the record that it read.
pub(super) enum Decision {
    /// These credentials are good enough.
    Use,
    /// They were refused and stay in use: a refresh made them so recently that another would not help,
    /// or they cannot be refreshed and this refusal does not end them. It goes back to the caller.
    Keep,
    /// They cannot be refreshed, and were refused twice in the way that ends them.
    Condemn(AttemptId),
    Refresh(RefreshToken),
    Fail(AuthError),
}

/// A server that hands out tokens without a life span must not be asked for one by every request.
const SHORTEST_USE: Duration = Duration::from_secs(1);

pub(super) fn decide(flight: &Flight, stored: &Stored) -> Decision {
    let vintage = stored.vintage;
    let has_expired = flight
        .shared
        .usable_for(&stored.credentials, vintage)
        .is_some_and(|left| left.is_zero());
    let is_new = |age: Duration| vintage.is_refreshed && vintage.age < age;
    let fail = |error: AuthError| Decision::Fail(error.with_subject(&flight.subject));

    let why = match flight.purpose {
        // Not for an older record: it was restored, and its token may be spent.
        Purpose::Renew { generation, why } if generation == vintage.generation => why,
        _ if !has_expired || is_new(SHORTEST_USE) => return Decision::Use,
        Purpose::Load => return fail(AuthError::expired()),
        // Expired, so nobody can go on with it.
        Purpose::Acquire | Purpose::Renew { .. } => Why::Refused,
    };
    let was_refused = matches!(why, Why::Refused | Why::RefusedAgain);
    if was_refused && !has_expired && is_new(flight.shared.settings.min_refresh_interval) {
        return Decision::Keep;
    }
    match (&stored.credentials.refresh_token, why) {
        (Some(token), _) => Decision::Refresh(token.clone()),
        (None, _) if has_expired => fail(AuthError::reauthorize(
            ReauthorizationReason::NoRefreshToken,
        )),
        (None, Why::Due) => Decision::Use,
        (None, Why::Refused) => Decision::Keep,
        (None, Why::RefusedAgain) => Decision::Condemn(AttemptId::random()),
        (None, Why::Asked) => fail(AuthError::reauthorize(
            ReauthorizationReason::NoRefreshToken,
        )),
    }
}
