//! Shared state of refresh tasks, and the conversion of credentials to cache entries.

use std::{fmt, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use super::{
    failures::Failures,
    goal::{Grant, Tasks},
    guards::{Brake, Issuers},
    jitter::Jitter,
    settings::RefreshPolicy,
};
use crate::{
    cache::{Cache, Cached, Changes},
    clock::Clock,
    credentials::NotionUserCredentials,
    error::AuthError,
    event::{Event, Events},
    oauth::{OAuthError, OAuthFlow},
    store::{FencingToken, Filter, ListQuery, Record, Records},
    subject::Subject,
};

/// Shared state of a provider's refresh tasks.
pub(crate) struct Engine {
    pub(crate) records: Records,
    /// Whether other processes may write to the store.
    pub(crate) store_is_shared: bool,
    pub(crate) cache: Cache,
    pub(crate) oauth: OAuthFlow,
    pub(crate) issuers: Issuers,
    pub(crate) policy: RefreshPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) jitter: Jitter,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) failures: Failures,
    pub(crate) brake: Brake,
    pub(crate) events: Events,
    /// Where tasks run. Default: the runtime of the caller.
    pub(crate) runtime: Option<Handle>,
    #[cfg(feature = "testing")]
    pub(crate) failpoint: Option<super::failpoint::FailpointHook>,
}

/// Time limit for tries to revoke tokens. A user may be waiting.
const LONGEST_REVOCATION: Duration = Duration::from_secs(10);

impl Engine {
    /// The runtime of refresh tasks.
    pub(crate) fn runtime(&self) -> Result<Handle, AuthError> {
        match &self.runtime {
            Some(runtime) => Ok(runtime.clone()),
            None => Handle::try_current().map_err(|error| {
                AuthError::configuration(
                    "there is no tokio runtime to load or refresh credentials on: call from \
                     within one, or give its handle to the provider's builder",
                )
                .with_source(error)
            }),
        }
    }

    /// Waits for `time`, or until the provider is shut down.
    pub(crate) async fn pause(&self, time: Duration) {
        let ended = {
            let Ok(runtime) = self.runtime() else { return };
            let _context = runtime.enter();
            tokio::time::timeout(time, self.brake.shut_down_begins())
        };
        // The caller finds out which of the two it was.
        drop(ended.await);
    }

    /// Revokes both tokens, in up to three tries.
    pub(crate) async fn revoke(
        &self,
        credentials: &NotionUserCredentials,
    ) -> Result<(), OAuthError> {
        let began = self.clock.monotonic();
        for failures in 1..3 {
            let error = match self.oauth.revoke_both(credentials).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let is_passing = error.is_not_sent() || error.is_ambiguous() || error.is_rate_limited();
            let pause = self.jitter.back_off(failures);
            let pause = pause.max(error.retry_after().unwrap_or_default());
            let end = self.clock.monotonic().saturating_add(pause);
            if !is_passing || end.saturating_sub(began) > LONGEST_REVOCATION {
                return Err(error);
            }
            tracing::debug!(%error, "tokens were not revoked yet");
            self.pause(pause).await;
        }
        self.oauth.revoke_both(credentials).await
    }

    /// Whether no subject is connected by this bot, for certain. Otherwise tokens of the bot are not revoked, because
    /// Notion may revoke those of the connection with them.
    pub(crate) async fn has_no_connection(&self, bot_id: &str) -> bool {
        let query = ListQuery::default()
            .filter(Filter::Bot(bot_id.to_owned()))
            .limit(1);
        match self.records.list(&query).await {
            Ok(connected) if connected.is_empty() => true,
            Ok(_) => {
                tracing::debug!(
                    "tokens were not revoked, because their bot has another connection"
                );
                false
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "tokens were not revoked, because it is not known whether their bot has another \
                     connection"
                );
                false
            }
        }
    }

    /// Pauses refreshes for the whole app, and notifies the operator once.
    pub(crate) fn reject_app(&self) {
        if self.brake.reject_app(self.clock.monotonic()) {
            self.events.emit(Event::AppRejected);
        }
    }

    /// Makes the subject's task read the store again, and forgets failures, because the application changed the record.
    /// Requests from now on don't get what the task has read before.
    pub(crate) fn changed(&self, subject: &Subject) {
        self.failures.forget(subject);
        self.tasks.interrupt(subject);
    }

    /// Returns how long credentials of this age can be used, less the leeway, if that is known.
    pub(crate) fn usable_for(
        &self,
        credentials: &NotionUserCredentials,
        age: Duration,
    ) -> Option<Duration> {
        match credentials.time_left(self.clock.wall()) {
            Some(left) => Some(left.saturating_sub(self.policy.leeway)),
            None => self.policy.max_age.map(|max| max.saturating_sub(age)),
        }
    }

    /// Returns the credentials as a cache entry. `validated_at` is the start of their read from the store, or of their
    /// write.
    ///
    /// # Errors
    /// When the access token can't be sent.
    pub(crate) fn cached(
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

    /// Puts credentials into the cache and returns them. `None` if the application has changed the record since `changes`
    /// was read.
    pub(crate) fn publish(
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
    pub(crate) fn report_invalid_token<T>(
        &self,
        subject: &Subject,
        fence: FencingToken,
        saved: &Result<T, AuthError>,
    ) {
        if let Some(reason) = saved.as_ref().err().and_then(AuthError::invalid_token) {
            self.events.emit(Event::InvalidToken {
                subject: subject.clone(),
                lineage: fence.lineage,
                generation: fence.generation,
                reason,
            });
        }
    }

    /// Returns when an entry that was compared with the store at `validated_at` must be compared again.
    pub(crate) fn revalidate_at(&self, validated_at: Duration) -> Option<Duration> {
        self.store_is_shared
            .then(|| validated_at.saturating_add(self.policy.revalidation_age))
    }

    /// How long before its expiry a token is refreshed in the background: at most half of its lifetime. It is up to 20 %
    /// less at random, so that tokens that were issued together are not refreshed together.
    fn refresh_window(&self, lifetime: Duration) -> Duration {
        let window = self.policy.window.min(lifetime / 2);
        self.jitter.between(window.mul_f64(0.8), window)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("policy", &self.policy)
            .field("store", &self.records.store)
            .field("namespace", &self.records.namespace)
            .field("oauth", &self.oauth)
            .finish_non_exhaustive()
    }
}
