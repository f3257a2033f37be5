#[cfg(feature = "routes")]
use std::time::SystemTime;
use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use tokio::{runtime::Handle, sync::watch};
use url::Url;

use super::{
    Event, Observer, backoff::Jitter, cache::Cache, flight::Flights, registry::ProviderId,
    settings::Settings,
};
#[cfg(feature = "https")]
use crate::https::Connector;
#[cfg(feature = "routes")]
use crate::store::{OnceAnswer, OnceKey};
use crate::{
    clock::Clock,
    error::AuthError,
    oauth::OAuthFlow,
    observe::Hits,
    store::{DynStore, RecordKey, Sealer, StoreError},
    subject::Subject,
};

/// What all handles of a provider, its layers and its flights share.
pub(crate) struct Shared {
    pub(super) id: ProviderId,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<dyn DynStore>,
    /// Whether others may write to the store.
    pub(super) store_is_shared: bool,
    /// How records are written to the store, and read.
    pub(super) sealer: Sealer,
    pub(super) namespace: Arc<str>,
    pub(super) oauth: OAuthFlow,
    pub(super) api_url: Url,
    pub(super) version: HeaderValue,
    pub(super) integration: Option<HeaderValue>,
    pub(super) has_oauth_client: bool,
    /// What the OAuth calls connect with, unless the application gave a transport.
    #[cfg(feature = "https")]
    pub(super) built_in: Option<Connector>,
    pub(super) cache: Cache,
    pub(super) flights: Flights,
    pub(super) jitter: Jitter,
    /// Counts requests whose credentials were at hand.
    pub(super) hits: Hits,
    pub(super) observer: Option<Box<dyn Observer>>,
    pub(super) runtime: Option<Handle>,
    /// Until when (monotonic clock) nobody refreshes, since Notion did not accept the app's client
    /// id and secret.
    pub(super) app_rejected_until: Mutex<Option<Duration>>,
    pub(super) shutting_down: watch::Sender<bool>,
    #[cfg(feature = "testing")]
    pub(super) interrupt: Option<super::point::Interrupt>,
}

impl Shared {
    pub(super) fn key(&self, subject: &Subject) -> RecordKey {
        RecordKey::new(Arc::clone(&self.namespace), subject.clone())
    }

    /// The runtime that flights are spawned on.
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

    pub(super) fn app_rejected_until(&self) -> MutexGuard<'_, Option<Duration>> {
        self.app_rejected_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        *self.shutting_down.borrow()
    }

    /// Waits, unless the process begins to shut down.
    pub(crate) async fn pause(&self, time: Duration) {
        let mut shutting_down = self.shutting_down.subscribe();
        let shut_down = shutting_down.wait_for(|it| *it);
        let ended = {
            let Ok(runtime) = self.runtime() else { return };
            let _context = runtime.enter();
            tokio::time::timeout(time, shut_down)
        };
        // Either end will do: the caller looks for itself.
        drop(ended.await);
    }

    /// One operation of the store, which may hang: nobody waits for it longer than it may take.
    pub(super) async fn within<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.within_limit(self.settings.timings.save, operation)
            .await
    }

    /// The same with another limit.
    pub(super) async fn within_limit<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Ok(runtime) = self.runtime() else {
            return operation.await;
        };
        let mut bounded = pin!({
            let _context = runtime.enter();
            tokio::time::timeout(limit, operation)
        });
        // Stores have timers and sockets of their own, and the caller may be another executor's.
        let bounded = poll_fn(|context| {
            let _context = runtime.enter();
            bounded.as_mut().poll(context)
        });
        bounded.await.unwrap_or_else(|elapsed| {
            Err(
                StoreError::unavailable(self.store.name(), "no answer in time")
                    .with_source(elapsed),
            )
        })
    }

    pub(crate) fn tell(&self, event: Event) {
        event.log();
        if let Some(observer) = &self.observer {
            observer.on_event(&event);
        }
    }

    /// Notes that a flow is used, and says whether it was before.
    #[cfg(feature = "routes")]
    pub(crate) async fn use_flow(
        &self,
        digest: [u8; 32],
        remembered: Duration,
    ) -> Result<OnceAnswer, AuthError> {
        let key = OnceKey::new(Arc::clone(&self.namespace), digest);
        let used = self.within(self.store.once(&key, remembered)).await;
        used.map_err(StoreError::into_auth_error)
    }

    #[cfg(feature = "routes")]
    pub(crate) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// The origin that requests with a token may go to.
    pub(crate) fn api_url(&self) -> &Url {
        &self.api_url
    }

    /// An app without an OAuth client has nobody's credentials but its own.
    #[inline]
    pub(crate) fn has_only_integration_token(&self) -> bool {
        !self.has_oauth_client && self.integration.is_some()
    }

    /// Whether a request without credentials gets the integration token without asking for it.
    pub(crate) fn falls_back_to_integration_token(&self) -> bool {
        self.settings.fall_back || self.has_only_integration_token()
    }

    pub(crate) fn integration_token(&self) -> Option<&HeaderValue> {
        self.integration.as_ref()
    }

    pub(crate) fn version(&self) -> &HeaderValue {
        &self.version
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.id.unregister();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .field("store", &self.store)
            .field("namespace", &self.namespace)
            .field("oauth", &self.oauth)
            .field("api_url", &self.api_url.as_str())
            .finish_non_exhaustive()
    }
}
