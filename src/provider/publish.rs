//! From credentials to an entry of the cache, and how long that is good.

use std::time::Duration;

use super::{Event, Shared, UnknownExpiry, cache::Fresh, purpose::Grant};
use crate::{credentials::NotionUserCredentials, error::AuthError, subject::Subject};

/// Where credentials stand in the history of their record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vintage {
    pub(super) generation: u64,
    /// How long ago the generation was made.
    pub(super) age: Duration,
    /// Whether a refresh made it.
    pub(super) is_refreshed: bool,
}

impl Shared {
    /// How long credentials can be used, if that is known: the leeway is taken off.
    pub(super) fn usable_for(
        &self,
        credentials: &NotionUserCredentials,
        vintage: Vintage,
    ) -> Option<Duration> {
        match (
            credentials.time_left(self.clock.wall()),
            self.settings.unknown_expiry,
        ) {
            (Some(left), _) => Some(left.saturating_sub(self.settings.leeway)),
            (None, UnknownExpiry::MaxAge(age)) => Some(age.saturating_sub(vintage.age)),
            (None, UnknownExpiry::TrustUntilRefused) => None,
        }
    }

    /// Puts credentials into the cache and answers them ready to be sent; `None` if newer ones are
    /// there, or the connection was ended since these were read.
    ///
    /// `is_kept` says that they stay in use if the API has refused them.
    /// Credentials that cannot be sent are an error, and end the use of those that they replace.
    pub(super) fn publish(
        &self,
        subject: &Subject,
        vintage: Vintage,
        credentials: &NotionUserCredentials,
        is_kept: bool,
    ) -> Result<Option<Grant>, AuthError> {
        let authorization = credentials.to_header_value().map_err(|reason| {
            self.cache.remove(subject, vintage.generation);
            AuthError::from(reason).with_subject(subject)
        })?;
        let now = self.clock.monotonic();
        let usable_for = self.usable_for(credentials, vintage);
        let due_in = usable_for
            .filter(|_| credentials.refresh_token.is_some())
            .map(|left| left.saturating_sub(self.refresh_window(left.saturating_add(vintage.age))));
        let tag = self.cache.publish(
            subject,
            Fresh {
                authorization: authorization.clone(),
                generation: vintage.generation,
                expires_at: usable_for.map(|left| now.saturating_add(left)),
                due_at: due_in.map(|left| now.saturating_add(left)),
                validated_at: now,
            },
            self.revalidate_at(now),
            is_kept,
        );
        Ok(tag.map(|tag| Grant {
            authorization,
            generation: vintage.generation,
            tag,
        }))
    }

    /// Emits an event if credentials that were just saved cannot be sent.
    pub(super) fn tell_of_invalid_token(
        &self,
        subject: &Subject,
        generation: u64,
        published: &Result<Option<Grant>, AuthError>,
    ) {
        if let Some(reason) = published.as_ref().err().and_then(AuthError::invalid_token) {
            self.tell(Event::InvalidToken {
                subject: subject.clone(),
                generation,
                reason,
            });
        }
    }

    /// When an entry that was compared with the store at `validated_at` must be compared again.
    pub(super) fn revalidate_at(&self, validated_at: Duration) -> Option<Duration> {
        self.store_is_shared
            .then(|| validated_at.saturating_add(self.settings.revalidation_age))
    }

    /// How long before its end a token is refreshed behind: at most half of its life, and up to a
    /// fifth less, so that what was issued together is not refreshed together.
    fn refresh_window(&self, lifetime: Duration) -> Duration {
        let window = self.settings.refresh_window.min(lifetime / 2);
        self.jitter.between(window.mul_f64(0.8), window)
    }
}
