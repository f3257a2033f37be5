//! What a 401 does to the credentials that a request was sent with.

use std::sync::Arc;

use super::{
    Shared,
    cache::{Stale, Tag},
    flight,
    purpose::{Purpose, Why},
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
        let purpose = self.refuse(&subject, &stale);
        if mode == Mode::Refreshing {
            flight::start(self, &subject, purpose);
        }
    }

    /// A 401 came for the subject's credentials of this generation. Answers what is to be done.
    ///
    /// A ticket tells requests that were sent before the store was read again from those after it.
    pub(crate) fn refused(
        &self,
        subject: &Subject,
        generation: u64,
        ticket: Option<Ticket>,
    ) -> Purpose {
        match self.cache.peek(subject) {
            None => Purpose::Renew {
                generation,
                why: Why::Refused,
            },
            Some(stale)
                if stale.fresh.generation == generation
                    && ticket.is_none_or(|ticket| ticket.is_for(stale.tag)) =>
            {
                self.refuse(subject, &stale)
            }
            Some(_) => Purpose::Acquire,
        }
    }

    fn refuse(&self, subject: &Subject, stale: &Stale) -> Purpose {
        self.cache.refuse(subject, stale.fresh.generation);
        Purpose::Renew {
            generation: stale.fresh.generation,
            why: stale.why_refused(),
        }
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
