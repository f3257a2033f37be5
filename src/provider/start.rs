//! A provider's start: migration, health check, hourly purge.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{NotionAuthProvider, NotionAuthProviderBuilder, shared::Shared};
use crate::{error::AuthError, store::StoreError};

/// How long [`NotionAuthProviderBuilder::start`] waits for a store that does not answer.
const STORE_WAIT: Duration = Duration::from_secs(60);

/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

const PURGE_INTERVAL: Duration = Duration::from_secs(60 * 60);

impl NotionAuthProviderBuilder {
    /// Builds the provider and prepares its store: creates missing tables, and checks what the store's durability
    /// depends on. If the store does not answer, waits for it for up to a minute.
    ///
    /// From then on, expired records are [purged](NotionAuthProvider::purge_expired) every hour, until
    /// [`shutdown`](NotionAuthProvider::shutdown) or until the last handle is dropped. It must be called in a tokio
    /// runtime.
    ///
    /// # Errors
    /// Those of [`build`](Self::build) and [`health`](NotionAuthProvider::health).
    ///
    /// # Cancel safety
    /// Dropping the future is safe. Tables that were created remain.
    pub async fn start(self) -> Result<NotionAuthProvider, AuthError> {
        let provider = self.build()?;
        provider.prepare_store().await?;
        let engine = provider.engine();
        let purging = purge_hourly(Arc::downgrade(provider.shared()));
        engine.runtime()?.spawn(purging);
        Ok(provider)
    }
}

impl NotionAuthProvider {
    async fn prepare_store(&self) -> Result<(), AuthError> {
        let engine = self.engine();
        let began = engine.clock.monotonic();
        let mut is_first = true;
        loop {
            let error = match self.migrate_and_check().await {
                Err(error) if error.is_transient() => error,
                outcome => return outcome,
            };
            let waited = engine.clock.monotonic().saturating_sub(began);
            if waited.saturating_add(PAUSE) >= STORE_WAIT {
                return Err(error);
            }
            if is_first {
                is_first = false;
                let limit = STORE_WAIT.as_secs();
                tracing::warn!(%error, "waiting up to {limit} s for the credential store");
            }
            engine.pause(PAUSE).await;
        }
    }

    async fn migrate_and_check(&self) -> Result<(), AuthError> {
        let migrated = self.engine().records.migrate().await;
        migrated.map_err(StoreError::into_auth_error)?;
        self.health().await
    }
}

async fn purge_hourly(provider: Weak<Shared>) {
    loop {
        let engine = match provider.upgrade() {
            Some(provider) => Arc::clone(&provider.engine),
            None => return,
        };
        // Also ends when the provider is shut down.
        engine.pause(PURGE_INTERVAL).await;
        if engine.brake.is_shutting_down() {
            return;
        }
        if let Some(provider) = provider.upgrade() {
            provider.purge().await;
        }
    }
}

/// When expired nonces were last removed.
#[derive(Debug, Default)]
pub(super) struct LastPurge {
    /// Whole seconds of the monotonic clock.
    at: AtomicU64,
}

impl Shared {
    /// Removes what has expired, if that was not done for an hour. Called after each completion of a flow, so that nonces
    /// don't accumulate in a provider that was only built.
    #[cfg(feature = "routes")]
    pub(crate) async fn purge_if_due(&self) {
        let now = self.engine.clock.monotonic().as_secs();
        let last = self.last_purge.at.load(Ordering::Relaxed);
        if now.saturating_sub(last) >= PURGE_INTERVAL.as_secs() {
            self.purge().await;
        }
    }

    async fn purge(&self) {
        let now = self.engine.clock.monotonic().as_secs();
        self.last_purge.at.store(now, Ordering::Relaxed);
        if let Err(error) = self.engine.records.purge_expired().await {
            tracing::warn!(%error, "expired records were not removed; the next try is in an hour");
        }
    }
}
