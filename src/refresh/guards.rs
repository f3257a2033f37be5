//! Whether this process may refresh, and the credentials of which issuers.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    error::AuthError,
    store::{Issuer, Record, RecordState, Snapshot},
};

/// Pause of all refreshes after Notion refused the app's client id and secret.
pub(super) const APP_PAUSE: Duration = Duration::from_secs(60);

/// Why no refresh is started.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    shutting_down: watch::Sender<bool>,
    /// Monotonic clock.
    app_rejected_until: Mutex<Option<Duration>>,
}

impl Brake {
    /// Ends the pauses of all tasks. A task that has a new pair still commits it.
    pub(crate) fn shut_down(&self) {
        self.shutting_down.send_replace(true);
    }

    /// Returns when the provider is shut down.
    pub(crate) async fn shut_down_begins(&self) {
        let mut shutting_down = self.shutting_down.subscribe();
        // It fails only if the sender is gone, which `self` holds.
        let _ = shutting_down.wait_for(|it| *it).await;
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        *self.shutting_down.borrow()
    }

    /// Notion accepts the app's client id and secret.
    pub(super) fn app_accepted(&self) {
        *self.app_rejected_until() = None;
    }

    /// Whether a refresh may start at `now` (monotonic clock).
    pub(super) fn may_refresh(&self, now: Duration) -> Result<(), AuthError> {
        if self.is_shutting_down() {
            return Err(AuthError::transient(
                "this process is shutting down and starts no refresh",
            )
            .with_retry_after(Duration::from_secs(1)));
        }
        let left = self.app_pause(now);
        if left.is_zero() {
            Ok(())
        } else {
            Err(AuthError::app_rejected().with_retry_after(left))
        }
    }

    /// Returns how long refreshes are still paused for the whole app.
    pub(super) fn app_pause(&self, now: Duration) -> Duration {
        let until = *self.app_rejected_until();
        until.unwrap_or_default().saturating_sub(now)
    }

    /// Pauses refreshes for the whole app, because Notion refused its client id and secret. Returns whether they were
    /// not paused before.
    pub(super) fn reject_app(&self, now: Duration) -> bool {
        let until = now.saturating_add(APP_PAUSE);
        let before = self.app_rejected_until().replace(until);
        before.is_none_or(|until| until <= now)
    }

    fn app_rejected_until(&self) -> MutexGuard<'_, Option<Duration>> {
        self.app_rejected_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The issuers whose credentials this provider may use.
#[derive(Debug)]
pub(crate) struct Issuers {
    /// The OAuth client and token server of this provider, if the app has an OAuth client.
    pub(crate) own: Option<Issuer>,
    /// Whether records of another issuer become this provider's.
    pub(crate) adopts_others: bool,
}

impl Issuers {
    /// Credentials of another OAuth client or token server are never sent, spent or invalidated.
    pub(crate) fn check(&self, record: &Record) -> Result<(), AuthError> {
        match &self.own {
            Some(issuer) if *issuer != record.issuer && !self.adopts_others => {
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
    pub(crate) fn check_replaceable(&self, seen: &Snapshot) -> Result<(), AuthError> {
        match seen.record() {
            Some(record) if record.state != RecordState::Disconnected => self.check(record),
            _ => Ok(()),
        }
    }
}
