//! What a 401 does to the credentials that a request was sent with.

use std::sync::Arc;

use super::{
    Shared,
    cache::{Stale, Tag},
    flight::{self, Purpose, Why},
    registry::Ticket,
};
use crate::subject::{Mode, Subject};

impl Shared {
    /// A 401 came for a cached entry. A later entry of the same subject, or another subject's in
    /// the same slot, is not touched.
    pub(super) fn refused_by_ticket(self: &Arc<Self>, hash: u64, tag: Tag, mode: Mode) {
        let Some((subject, stale)) = self.cache.resolve(hash, tag) else {
            return;
        };
        if let Some(purpose) = self.refuse(&subject, &stale) {
            if mode == Mode::Refreshing {
                flight::start(self, &subject, purpose);
            }
        }
    }

    /// A 401 came for the subject's credentials of this generation. Answers what is to be done, if
    /// something can be: not when a refresh made them so recently that another would not help.
    ///
    /// A ticket tells requests that were sent before the store was read again from those after it.
    pub(crate) fn refused(
        &self,
        subject: &Subject,
        generation: u64,
        ticket: Option<Ticket>,
    ) -> Option<Purpose> {
        let Some(stale) = self.cache.peek(subject) else {
            let why = Why::Refused;
            return Some(Purpose::Renew { generation, why });
        };
        let is_current = stale.fresh.generation == generation
            && ticket.is_none_or(|ticket| ticket.is_for(stale.tag));
        if is_current {
            self.refuse(subject, &stale)
        } else {
            Some(Purpose::Acquire)
        }
    }

    fn refuse(&self, subject: &Subject, stale: &Stale) -> Option<Purpose> {
        let fresh = &stale.fresh;
        let is_cooling_down = fresh
            .refreshed_at
            .is_some_and(|at| self.clock.monotonic() < at + self.settings.min_refresh_interval);
        if is_cooling_down && !stale.refused {
            return None;
        }
        self.cache.refuse(subject, fresh.generation);
        Some(Purpose::Renew {
            generation: fresh.generation,
            why: stale.why_refused(),
        })
    }
}

impl Stale {
    pub(super) fn why_refused(&self) -> Why {
        if self.fresh.suspect {
            Why::RefusedAgain
        } else {
            Why::Refused
        }
    }
}
