//! What a 401 does to the credentials that a request was sent with.

use std::{sync::Arc, time::Duration};

use super::{
    Shared,
    cache::{Entry, EntryVersion, Fence, Refusal},
    lookup::{Lookup, Waiting},
    refresh::{self, Goal, Trigger},
    registry::EntryHandle,
};
use crate::subject::{Mode, Subject};

/// How far apart two refusals are that end credentials without a refresh token.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(30);

impl Shared {
    /// Notes a 401 for an entry. A later entry of the subject is not touched.
    pub(super) fn refused_by_handle(
        self: &Arc<Self>,
        hash: u64,
        version: EntryVersion,
        mode: Mode,
        is_identified: bool,
    ) {
        let Some((subject, entry)) = self.cache.resolve(hash, version) else {
            return;
        };
        let goal = self.refuse(&subject, &entry, is_identified);
        if mode == Mode::Refreshing {
            refresh::start(self, &subject, goal);
        }
    }

    /// Notes a 401 for the credentials that a request was sent with, and waits for those to use instead.
    ///
    /// If they have the same fencing token, there are no better ones, and the 401 goes back.
    pub(crate) fn renewed(
        self: &Arc<Self>,
        subject: &Subject,
        fence: Fence,
        handle: EntryHandle,
        is_identified: bool,
    ) -> Waiting {
        let (shared, subject) = (Arc::clone(self), subject.clone());
        Box::pin(async move {
            let goal = match shared.cache.peek(&subject) {
                None => Goal::Renew {
                    fence,
                    trigger: Trigger::Refused { is_final: false },
                },
                Some(entry) if handle.is_for(shared.id, subject.seeded_hash(), entry.version) => {
                    shared.refuse(&subject, &entry, is_identified)
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

    fn refuse(&self, subject: &Subject, entry: &Entry, is_identified: bool) -> Goal {
        let now = self.clock.monotonic();
        let first = entry.refusal.and_then(|it| it.first_identified_at);
        let refusal = Refusal {
            is_current: true,
            at: now,
            first_identified_at: first.or(is_identified.then_some(now)),
            is_final: is_identified
                && first.is_some_and(|first| now.saturating_sub(first) >= BETWEEN_REFUSALS),
        };
        self.cache.refuse(subject, entry.version, refusal);
        entry.cached.fence.renewal(refusal.is_final)
    }
}

impl Entry {
    /// What is to be done about a refused entry.
    pub(super) fn renewal(&self) -> Goal {
        let is_final = self.refusal.is_some_and(|refusal| refusal.is_final);
        self.cached.fence.renewal(is_final)
    }
}

impl Fence {
    fn renewal(self, is_final: bool) -> Goal {
        Goal::Renew {
            fence: self,
            trigger: Trigger::Refused { is_final },
        }
    }
}
