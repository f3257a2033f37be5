//! From credentials to an entry of the cache, and how long that is good.

use std::time::Duration;

use super::{
    Event, Shared, UnknownExpiry,
    cache::{Cached, Changes},
    refresh::Grant,
};
use crate::{
    credentials::NotionUserCredentials,
    error::AuthError,
    store::{FencingToken, Record},
    subject::Subject,
};

impl Shared {
    /// How long credentials of this age can be used, if that is known, less the leeway.
    pub(super) fn usable_for(
        &self,
        credentials: &NotionUserCredentials,
        age: Duration,
    ) -> Option<Duration> {
        match (
            credentials.time_left(self.clock.wall()),
            self.settings.unknown_expiry,
        ) {
            (Some(left), _) => Some(left.saturating_sub(self.settings.leeway)),
            (None, UnknownExpiry::MaxAge(max)) => Some(max.saturating_sub(age)),
            (None, UnknownExpiry::TrustUntilRefused) => None,
        }
    }

    /// The credentials as the cache keeps them. `validated_at` is when their read from the store began, or their write.
    ///
    /// # Errors
    /// When the access token can't be sent.
    pub(super) fn cached(
        &self,
        record: &Record,
        credentials: &NotionUserCredentials,
        age: Duration,
        validated_at: Duration,
    ) -> Result<Cached, AuthError> {
        let now = self.clock.monotonic();
        let can_refresh = credentials.refresh_token.is_some();
        let usable_for = self.usable_for(credentials, age);
        let refresh_in = usable_for
            .filter(|_| can_refresh)
            .map(|left| left.saturating_sub(self.refresh_window(left.saturating_add(age))));
        // An age policy does not end credentials that can't be refreshed.
        let ends = can_refresh || credentials.expires_at.is_some();
        Ok(Cached {
            authorization: credentials.to_header_value()?,
            fence: record.fence().into(),
            replaced: record.replaced_lineage.map(Into::into),
            expires_at: usable_for
                .filter(|_| ends)
                .map(|left| now.saturating_add(left)),
            refresh_at: refresh_in.map(|left| now.saturating_add(left)),
            validated_at,
        })
    }

    /// Puts credentials into the cache and returns them ready to be sent. `None` if the application has changed the
    /// record since `changes` was read.
    pub(super) fn publish(
        &self,
        subject: &Subject,
        changes: Changes,
        cached: Cached,
        ends_refusal: bool,
    ) -> Option<Grant> {
        let check_again_at = self.revalidate_at(cached.validated_at);
        let (authorization, fence) = (cached.authorization.clone(), cached.fence);
        let version = self
            .cache
            .publish(subject, changes, cached, check_again_at, ends_refusal)?;
        Some(Grant {
            authorization,
            fence,
            version,
        })
    }

    /// Reports credentials that were saved and can't be sent.
    pub(super) fn report_invalid_token<T>(
        &self,
        subject: &Subject,
        fence: FencingToken,
        saved: &Result<T, AuthError>,
    ) {
        if let Some(reason) = saved.as_ref().err().and_then(AuthError::invalid_token) {
            self.emit(Event::InvalidToken {
                subject: subject.clone(),
                lineage: fence.lineage,
                generation: fence.generation,
                reason,
            });
        }
    }

    /// When an entry that was compared with the store at `validated_at` must be compared again.
    pub(super) fn revalidate_at(&self, validated_at: Duration) -> Option<Duration> {
        self.store_is_shared
            .then(|| validated_at.saturating_add(self.settings.revalidation_age))
    }

    /// How long before its expiry a token is refreshed in the background: at most half of its lifetime, less up to
    /// 20 % at random, so that tokens that were issued together are not refreshed together.
    fn refresh_window(&self, lifetime: Duration) -> Duration {
        let window = self.settings.refresh_window.min(lifetime / 2);
        self.jitter.between(window.mul_f64(0.8), window)
    }
}
