//! The effect of a 401 on the cached credentials of its request.

use std::{sync::Arc, time::Duration};

use super::{
    lookup::{Lookup, Waiting},
    registry::{EntryHandle, RefusedEntries},
    shared::Shared,
    unauthorized::Unauthorized,
};
use crate::{
    cache::{Entry, EntryVersion, Fence, Refusal},
    refresh::{self, Goal, Trigger},
    subject::{Mode, Subject},
};

/// Credentials without a refresh token end when they are refused again this long after the first time.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(30);

/// Age at which a refusal is forgotten. Two refusals count only if they are close together.
const REFUSAL_MEMORY: Duration = Duration::from_secs(60 * 60);

impl RefusedEntries for Shared {
    fn refused_by_handle(
        self: Arc<Self>,
        hash: u64,
        version: EntryVersion,
        mode: Mode,
        unauthorized: Unauthorized,
    ) {
        let Some((subject, entry)) = self.engine.cache.resolve(hash, version) else {
            return;
        };
        let goal = self.refuse(&subject, &entry, unauthorized);
        if mode == Mode::Refreshing {
            refresh::start(&self.engine, &subject, goal);
        }
    }
}

impl Shared {
    /// Notes a 401 for the credentials that a request was sent with, and waits for those to use instead.
    ///
    /// If they have the same fencing token, there are no better ones, and the 401 goes back.
    pub(crate) fn renewed(
        self: &Arc<Self>,
        subject: &Subject,
        fence: Fence,
        handle: EntryHandle,
        unauthorized: Unauthorized,
    ) -> Waiting {
        let (shared, subject) = (Arc::clone(self), subject.clone());
        Box::pin(async move {
            let goal = match shared.engine.cache.peek(&subject) {
                None => Goal::Renew {
                    fence,
                    trigger: Trigger::Refused { is_final: false },
                },
                Some(entry) if handle.is_for(shared.id, subject.seeded_hash(), entry.version) => {
                    shared.refuse(&subject, &entry, unauthorized)
                }
                // Other credentials have taken the place of the refused ones.
                Some(_) => {
                    return match shared.look_up(&subject, Mode::Refreshing) {
                        Lookup::Hit(grant) => Ok(grant),
                        Lookup::Wait => shared.acquire(&subject, Mode::Refreshing).await,
                    };
                }
            };
            shared.wait(&subject, goal).await
        })
    }

    /// Notes that the authorization server calls the cached token inactive. It counts like a 401 without a request id:
    /// it may lead to a refresh, and never ends credentials.
    pub(super) fn refuse_if_cached(&self, subject: &Subject, fence: Fence) {
        if let Some(entry) = self.engine.cache.peek(subject) {
            if entry.cached.fence == fence {
                self.refuse(subject, &entry, Unauthorized::Json);
            }
        }
    }

    fn refuse(&self, subject: &Subject, entry: &Entry, unauthorized: Unauthorized) -> Goal {
        let is_identified = unauthorized == Unauthorized::Identified;
        let now = self.engine.clock.monotonic();
        let first = entry
            .refusal
            .and_then(|it| it.first_identified_at)
            .filter(|first| now.saturating_sub(*first) <= REFUSAL_MEMORY);
        let is_final = match entry.refusal {
            // The store was not read since the last refusal.
            Some(refusal) if refusal.is_current => refusal.is_final,
            _ => {
                is_identified
                    && first.is_some_and(|first| now.saturating_sub(first) >= BETWEEN_REFUSALS)
            }
        };
        let refusal = Refusal {
            is_current: true,
            at: now,
            first_identified_at: first.or(is_identified.then_some(now)),
            is_final,
        };
        self.engine.cache.refuse(subject, entry.version, refusal);
        entry.cached.fence.renewal(refusal.is_final)
    }
}
