//! From credentials to an entry of the cache, and how long that is good.

use std::time::Duration;

use super::{
    Shared, UnknownExpiry,
    cache::Fresh,
    purpose::{Grant, Outcome},
};
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

    /// Puts credentials into the cache and answers them ready to be sent.
    ///
    /// `suspect` says that the API has refused them once.
    pub(super) fn publish(
        &self,
        subject: &Subject,
        vintage: Vintage,
        credentials: &NotionUserCredentials,
        suspect: bool,
    ) -> Outcome {
        if credentials.token_type != "Bearer" {
            return Err(AuthError::unusable(
                "the stored token is not a bearer token, which is the only kind that can be sent",
            )
            .with_subject(subject));
        }
        let authorization = credentials
            .access_token
            .to_header_value()
            .map_err(|error| AuthError::from(error).with_subject(subject))?;
        let now = self.clock.monotonic();
        let usable_for = self.usable_for(credentials, vintage);
        let due_in = usable_for
            .filter(|_| credentials.refresh_token.is_some())
            .map(|left| left.saturating_sub(self.refresh_window(left + vintage.age)));
        let tag = self.cache.publish(
            subject,
            Fresh {
                authorization: authorization.clone(),
                generation: vintage.generation,
                expires_at: usable_for.map(|left| now + left),
                due_at: due_in.map(|left| now + left),
                revalidate_at: self
                    .store_is_shared
                    .then(|| now + self.settings.revalidation_age),
                validated_at: now,
                suspect,
            },
        );
        Ok(Grant {
            authorization,
            generation: vintage.generation,
            tag,
        })
    }

    /// How long before its end a token is refreshed behind: at most half of its life, and up to a
    /// fifth less, so that what was issued together is not refreshed together.
    fn refresh_window(&self, lifetime: Duration) -> Duration {
        let window = self.settings.refresh_window.min(lifetime / 2);
        self.jitter.between(window.mul_f64(0.8), window)
    }
}
