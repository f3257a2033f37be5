#[cfg(feature = "routes")]
use std::time::SystemTime;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use tokio::{runtime::Handle, sync::watch};
use url::Url;

use super::{
    Event, Observer,
    backoff::Jitter,
    cache::Cache,
    refresh::{Failures, Tasks},
    registry::ProviderId,
    settings::Settings,
};
#[cfg(feature = "https")]
use crate::https::Connector;
#[cfg(feature = "routes")]
use crate::store::StoreError;
use crate::{
    clock::Clock,
    error::AuthError,
    oauth::OAuthFlow,
    observe::Hits,
    store::{Issuer, Record, RecordState, Records, Snapshot},
};

/// What all handles of a provider, its layers and its refresh tasks share.
pub(crate) struct Shared {
    pub(super) id: ProviderId,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) records: Records,
    /// Whether other processes may write to the store.
    pub(super) store_is_shared: bool,
    pub(super) oauth: OAuthFlow,
    /// The OAuth client and token server of this provider, if the app has an OAuth client.
    pub(super) issuer: Option<Issuer>,
    /// Whether records of another issuer become this provider's.
    pub(super) adopts_other_issuers: bool,
    pub(super) api_url: Url,
    pub(super) version: HeaderValue,
    pub(super) integration: Option<HeaderValue>,
    pub(super) has_oauth_client: bool,
    /// What the OAuth calls connect with, unless the application gave a transport.
    #[cfg(feature = "https")]
    pub(super) built_in: Option<Connector>,
    pub(super) cache: Cache,
    pub(super) tasks: Arc<Tasks>,
    pub(super) failures: Failures,
    pub(super) jitter: Jitter,
    /// Counts cache hits.
    pub(super) hits: Hits,
    pub(super) observer: Option<Box<dyn Observer>>,
    pub(super) runtime: Option<Handle>,
    /// Until when (monotonic clock) no refresh is started, because Notion refused the app's client id and secret.
    pub(super) app_rejected_until: Mutex<Option<Duration>>,
    pub(super) shutting_down: watch::Sender<bool>,
    #[cfg(feature = "testing")]
    pub(super) failpoint: Option<super::refresh::FailpointHook>,
}

impl Shared {
    /// Credentials of another OAuth client or token server are never sent, spent or invalidated.
    pub(super) fn check_issuer(&self, record: &Record) -> Result<(), AuthError> {
        match &self.issuer {
            Some(issuer) if *issuer != record.issuer && !self.adopts_other_issuers => {
                Err(AuthError::configuration(
                    "these credentials were issued to another OAuth client, or by another token server, \
                     than this provider has (NOTION_CLIENT_ID, NOTION_TOKEN_URL): use that client, or \
                     another namespace; after a migration, call `adopt_other_issuers` on the builder",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The same for credentials that a connect would replace. Those of a connection that ended can be replaced.
    pub(super) fn check_replaceable(&self, seen: &Snapshot) -> Result<(), AuthError> {
        match seen.record() {
            Some(record) if record.state != RecordState::Disconnected => self.check_issuer(record),
            _ => Ok(()),
        }
    }

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

    pub(super) fn app_rejected_until(&self) -> MutexGuard<'_, Option<Duration>> {
        self.app_rejected_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        *self.shutting_down.borrow()
    }

    /// Waits for `time`, or until the provider is shut down.
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

    pub(crate) fn emit(&self, event: Event) {
        event.log();
        if let Some(observer) = &self.observer {
            observer.on_event(&event);
        }
    }

    /// Returns whether the digest was not consumed before.
    #[cfg(feature = "routes")]
    pub(crate) async fn consume_nonce(
        &self,
        digest: [u8; 32],
        lifetime: Duration,
    ) -> Result<bool, AuthError> {
        let consumed = self.records.consume_nonce(digest, lifetime).await;
        consumed.map_err(StoreError::into_auth_error)
    }

    /// Lets a shutdown wait for work, until the returned value is dropped.
    #[cfg(feature = "routes")]
    pub(crate) fn track(&self) -> super::refresh::Tracked {
        self.tasks.track()
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
            .field("store", &self.records.store)
            .field("namespace", &self.records.namespace)
            .field("oauth", &self.oauth)
            .field("api_url", &self.api_url.as_str())
            .finish_non_exhaustive()
    }
}
