//! How a request gets its credentials: from the cache, or by waiting for a refresh task.

use std::{pin::Pin, sync::Arc, time::Duration};

use tracing::Instrument;

use super::{registry::EntryHandle, shared::Shared};
use crate::{
    cache::{Entry, Fence, Found, Refusal},
    error::AuthError,
    observe::{OutcomeLabel, Timer},
    refresh::{self, Goal, Grant, Outcome, Trigger},
    subject::{Mode, Subject},
};

/// Outcome of a lookup in the cache.
pub(crate) enum Lookup {
    /// Send this.
    Hit(Grant),
    /// Wait: [`Shared::acquire`].
    Wait,
}

/// A request's wait for credentials. Dropping it leaves the refresh task alone.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// How long requests use a cached token after a load failed because the store is down.
const BETWEEN_LOADS_WHILE_DOWN: Duration = Duration::from_secs(5);

/// How long a refused token is not sent where it can't be refreshed (`fail_fast`).
const REFUSED_FOR: Duration = Duration::from_secs(60);

impl Shared {
    /// Returns what the cache has for a subject. An entry that is due is compared or refreshed in the background.
    pub(crate) fn look_up(self: &Arc<Self>, subject: &Subject, mode: Mode) -> Lookup {
        match self
            .engine
            .cache
            .find(subject, || self.engine.clock.coarse_monotonic())
        {
            Found::Hit {
                authorization,
                fence,
                version,
            } => {
                self.hits.count();
                Lookup::Hit(Grant {
                    authorization,
                    fence,
                    version,
                })
            }
            Found::Check(entry) => self.check(subject, entry, mode),
            Found::Miss => Lookup::Wait,
        }
    }

    /// A handle of no entry yet, for a request in this mode.
    pub(crate) fn handle(&self, mode: Mode) -> EntryHandle {
        EntryHandle::new(self.id, mode)
    }

    /// Decides about an entry that is refused, expired, due, or to be compared with the store.
    #[cold]
    fn check(self: &Arc<Self>, subject: &Subject, entry: Entry, mode: Mode) -> Lookup {
        let now = self.engine.clock.monotonic();
        let cached = &entry.cached;
        let is_past = |moment: Option<Duration>| moment.is_some_and(|moment| moment <= now);
        let oldest = self.engine.policy.revalidation_age.saturating_mul(2);
        let is_too_old =
            self.engine.store_is_shared && now.saturating_sub(cached.validated_at) > oldest;
        if entry.is_refused() || is_past(cached.expires_at) || is_too_old {
            return Lookup::Wait;
        }
        // Other requests need not decide the same for a moment.
        let a_moment = now.saturating_add(Duration::from_secs(1));
        self.engine.cache.postpone(subject, entry.version, a_moment);
        self.hits.count();
        self.hits.publish();
        if is_past(cached.refresh_at) && mode == Mode::Refreshing {
            let goal = Goal::Renew {
                fence: cached.fence,
                trigger: Trigger::Due,
            };
            refresh::start(&self.engine, subject, goal);
        } else if is_past(self.engine.revalidate_at(cached.validated_at)) {
            refresh::start(&self.engine, subject, Goal::Load);
        }
        Lookup::Hit(Grant {
            fence: cached.fence,
            version: entry.version,
            authorization: entry.cached.authorization,
        })
    }

    /// Waits for credentials: the slow path. Each request has its own deadline.
    pub(crate) fn acquire(self: &Arc<Self>, subject: &Subject, mode: Mode) -> Waiting {
        let (shared, subject) = (Arc::clone(self), subject.clone());
        Box::pin(async move {
            let refused = shared.engine.cache.peek(&subject).filter(Entry::is_refused);
            let outcome = match (mode, refused) {
                (Mode::FailFast, None) => shared.wait(&subject, Goal::Load).await,
                (Mode::FailFast, Some(entry)) => shared.acquire_refused(&subject, entry).await,
                (Mode::Refreshing, None) => shared.wait(&subject, Goal::Acquire).await,
                (Mode::Refreshing, Some(entry)) => shared.wait(&subject, entry.renewal()).await,
            };
            match outcome {
                Err(error) if error.is_of_the_store() => {
                    shared.while_store_is_down(&subject).ok_or(error)
                }
                outcome => outcome,
            }
        })
    }

    /// Returns the entry to use while the store does not answer, if it was compared with the store recently.
    fn while_store_is_down(&self, subject: &Subject) -> Option<Grant> {
        let now = self.engine.clock.monotonic();
        let entry = self.engine.cache.peek(subject)?;
        let cached = &entry.cached;
        let oldest = self.engine.policy.stale_if_store_down;
        let is_too_old = now.saturating_sub(cached.validated_at) > oldest;
        if entry.is_refused() || cached.expires_at.is_some_and(|end| end <= now) || is_too_old {
            return None;
        }
        // Only some requests wait for the store.
        let soon = now.saturating_add(BETWEEN_LOADS_WHILE_DOWN);
        self.engine.cache.postpone(subject, entry.version, soon);
        Some(Grant {
            fence: cached.fence,
            version: entry.version,
            authorization: entry.cached.authorization,
        })
    }

    /// Without a refresh, a refused token fails at once. It is compared with the store at the revalidation age, and
    /// tried again after a minute.
    async fn acquire_refused(self: &Arc<Self>, subject: &Subject, entry: Entry) -> Outcome {
        let now = self.engine.clock.monotonic();
        let refused = || Err(AuthError::expired().with_subject(subject));
        if let Some(refusal) = entry.refusal {
            if now.saturating_sub(refusal.at) >= REFUSED_FOR {
                let over = Refusal {
                    is_current: false,
                    ..refusal
                };
                self.engine.cache.refuse(subject, entry.version, over);
                return self.wait(subject, Goal::Load).await;
            }
        }
        let compare_at = self.engine.revalidate_at(entry.cached.validated_at);
        if compare_at.is_none_or(|at| now < at) {
            return refused();
        }
        match self.wait(subject, Goal::Load).await {
            Ok(grant) if grant.fence == entry.cached.fence => refused(),
            outcome => outcome,
        }
    }

    /// Waits for a refresh task, at most for `acquire_timeout`.
    pub(crate) async fn wait(self: &Arc<Self>, subject: &Subject, goal: Goal) -> Outcome {
        self.hits.publish();
        let timer = Timer::acquire(subject);
        let waited = self.wait_for_task(subject, goal);
        let (outcome, label) = waited.instrument(timer.span()).await;
        timer.end(label);
        outcome
    }

    async fn wait_for_task(
        self: &Arc<Self>,
        subject: &Subject,
        goal: Goal,
    ) -> (Outcome, OutcomeLabel) {
        let deadline = {
            // The timer runs on the tasks' runtime: the caller may be polled by another executor.
            let runtime = match self.engine.runtime() {
                Ok(runtime) => runtime,
                Err(error) => return (Err(error), OutcomeLabel::Failed),
            };
            let _context = runtime.enter();
            let limit = self.engine.policy.acquire_timeout;
            tokio::time::timeout(limit, refresh::join(&self.engine, subject, goal))
        };
        deadline.await.unwrap_or_else(|_| {
            let error = AuthError::transient(
                "the credentials were not ready in time; loading or refreshing them goes on",
            )
            .with_subject(subject)
            .with_retry_after(Duration::from_secs(1));
            (Err(error), OutcomeLabel::TimedOut)
        })
    }
}

impl Entry {
    /// Returns the goal of a refresh task for a refused entry.
    fn renewal(&self) -> Goal {
        let is_final = self.refusal.is_some_and(|refusal| refusal.is_final);
        self.cached.fence.renewal(is_final)
    }
}

impl Fence {
    /// Returns the goal of a refresh task for refused credentials with this fencing token.
    pub(super) fn renewal(self, is_final: bool) -> Goal {
        Goal::Renew {
            fence: self,
            trigger: Trigger::Refused { is_final },
        }
    }
}
