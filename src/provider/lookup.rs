//! The way of a request to its credentials: at once from the cache, or by waiting for a flight.

use std::{pin::Pin, sync::Arc, time::Duration};

use http::HeaderValue;
use tracing::Instrument;

use super::{
    Shared,
    cache::{Found, Slot, Stale, Standing, Tag},
    flight,
    purpose::{Grant, Outcome, Purpose, Why},
    registry::Ticket,
};
use crate::{
    error::AuthError,
    observe::{Ending, Lap},
    subject::{Mode, Subject},
};

/// What the cache says to a request.
pub(crate) enum Lookup {
    /// Send this.
    Hit(Grant),
    /// Wait: [`Shared::acquire`].
    Wait,
}

/// A request's wait for credentials, which ends when it is dropped. What it waits for goes on.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Shared {
    /// The way of a hit, first step: where the subject's token is.
    #[inline]
    pub(crate) fn slot(&self, subject: &Subject) -> Option<Slot<'_>> {
        self.cache.slot(subject)
    }

    /// The way of a hit, second step: what can be sent with no other question, without an allocation.
    #[inline]
    pub(crate) fn at_hand<'a>(&self, slot: &'a Slot<'_>) -> Option<(&'a HeaderValue, Tag)> {
        let at_hand = slot.at_hand(|| self.clock.coarse_monotonic());
        if at_hand.is_some() {
            self.hits.count();
        }
        at_hand
    }

    /// What the cache has for a subject; what it has in doubt is seen to behind the request.
    pub(crate) fn look_up(self: &Arc<Self>, subject: &Subject, mode: Mode) -> Lookup {
        match self.cache.find(subject, || self.clock.coarse_monotonic()) {
            Found::Hit {
                authorization,
                generation,
                tag,
            } => {
                self.hits.count();
                Lookup::Hit(Grant {
                    authorization,
                    generation,
                    tag,
                })
            }
            Found::Check(stale) => self.check(subject, stale, mode),
            Found::Miss => Lookup::Wait,
        }
    }

    /// What a request in this mode remembers of what it is sent with: nothing yet.
    pub(crate) fn ticket(&self, mode: Mode) -> Ticket {
        Ticket::new(self.id, mode)
    }

    /// Decides about an entry that is refused, expired, due, or to be compared with the store.
    #[cold]
    fn check(self: &Arc<Self>, subject: &Subject, stale: Stale, mode: Mode) -> Lookup {
        let now = self.clock.monotonic();
        let fresh = &stale.fresh;
        let is_past = |moment: Option<Duration>| moment.is_some_and(|moment| moment <= now);
        let is_too_old = self.store_is_shared
            && now.saturating_sub(fresh.validated_at)
                > self
                    .settings
                    .revalidation_age
                    .saturating_add(self.settings.stale_if_store_down);
        if stale.standing != Standing::Good || is_past(fresh.expires_at) || is_too_old {
            return Lookup::Wait;
        }
        // Somebody else need not ask the same question for a moment.
        let a_moment = now.saturating_add(Duration::from_secs(1));
        self.cache.postpone(subject, stale.tag, a_moment);
        self.hits.count();
        self.hits.publish();
        if is_past(fresh.due_at) && mode == Mode::Refreshing {
            let generation = fresh.generation;
            let why = Why::Due;
            flight::start(self, subject, Purpose::Renew { generation, why });
        } else if is_past(self.revalidate_at(fresh.validated_at)) {
            flight::start(self, subject, Purpose::Load);
        }
        Lookup::Hit(Grant {
            authorization: stale.fresh.authorization,
            generation: stale.fresh.generation,
            tag: stale.tag,
        })
    }

    /// The way of everything else: waits for credentials, each request with its own deadline.
    pub(crate) fn acquire(self: &Arc<Self>, subject: &Subject, mode: Mode) -> Waiting {
        let (shared, subject) = (Arc::clone(self), subject.clone());
        Box::pin(async move {
            // Only what is needed of the entry is kept while the request waits.
            let refused = shared
                .cache
                .peek(&subject)
                .filter(Stale::is_refused)
                .map(|stale| stale.fresh.generation);
            let purpose = match (mode, refused) {
                (Mode::FailFast, _) => Purpose::Load,
                (Mode::Refreshing, None) => Purpose::Acquire,
                (Mode::Refreshing, Some(generation)) => Purpose::Renew {
                    generation,
                    why: Why::Refused,
                },
            };
            let refused = refused.filter(|_| mode == Mode::FailFast);
            shared.wait_unless(&subject, purpose, refused).await
        })
    }

    /// Waits for a flight, no longer than a request waits.
    pub(crate) async fn wait(self: &Arc<Self>, subject: &Subject, purpose: Purpose) -> Outcome {
        self.wait_unless(subject, purpose, None).await
    }

    /// The same for a request that is not to be sent with what was refused.
    async fn wait_unless(
        self: &Arc<Self>,
        subject: &Subject,
        purpose: Purpose,
        refused: Option<u64>,
    ) -> Outcome {
        self.hits.publish();
        let lap = Lap::acquire(subject);
        let landed = self.wait_for_flight(subject, purpose);
        let (outcome, ending) = match landed.instrument(lap.span()).await {
            (Ok(grant), _) if Some(grant.generation) == refused => {
                let error = AuthError::expired().with_subject(subject);
                (Err(error), Ending::Expired)
            }
            landed => landed,
        };
        lap.end(ending);
        outcome
    }

    async fn wait_for_flight(
        self: &Arc<Self>,
        subject: &Subject,
        purpose: Purpose,
    ) -> (Outcome, Ending) {
        let deadline = {
            // The timer is the flights' runtime's: the caller may be polled by another executor.
            let runtime = match self.runtime() {
                Ok(runtime) => runtime,
                Err(error) => return (Err(error), Ending::Failed),
            };
            let _context = runtime.enter();
            let limit = self.settings.acquire_timeout;
            tokio::time::timeout(limit, flight::join(self, subject, purpose))
        };
        match deadline.await {
            Ok(landed) => landed,
            Err(_) => {
                let error = AuthError::transient(
                    "the credentials were not ready in time; loading or refreshing them goes on",
                )
                .with_subject(subject)
                .with_retry_after(Duration::from_secs(1));
                (Err(error), Ending::TimedOut)
            }
        }
    }
}
