//! What a 401 does to the credentials that a request was sent with.

use std::sync::Arc;

use super::{
    Shared,
    cache::{Stale, Standing, Tag},
    flight,
    lookup::{Lookup, Waiting},
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

    /// A 401 came for the subject's credentials of this generation: waits for what to use instead.
    ///
    /// If that is of the same generation, there is nothing better, and the 401 goes back.
    pub(crate) fn renewed(
        self: &Arc<Self>,
        subject: &Subject,
        generation: u64,
        ticket: Ticket,
    ) -> Waiting {
        let (shared, subject) = (Arc::clone(self), subject.clone());
        Box::pin(async move {
            if let Some(purpose) = shared.cure(&subject, generation, ticket) {
                return shared.wait(&subject, purpose).await;
            }
            match shared.look_up(&subject, Mode::Refreshing) {
                Lookup::Hit(grant) => Ok(grant),
                Lookup::Wait => shared.acquire(&subject, Mode::Refreshing).await,
            }
        })
    }

    /// What is to be done about a 401; nothing if other credentials have taken the place of the
    /// refused ones.
    ///
    /// The ticket tells requests that were sent before the store was read again from those after it.
    fn cure(&self, subject: &Subject, generation: u64, ticket: Ticket) -> Option<Purpose> {
        match self.cache.peek(subject) {
            None => Some(Purpose::Renew {
                generation,
                why: Why::Refused,
            }),
            Some(stale) if ticket.is_for(self.id, subject.seeded_hash(), stale.tag) => {
                Some(self.refuse(subject, &stale))
            }
            Some(_) => None,
        }
    }

    fn refuse(&self, subject: &Subject, stale: &Stale) -> Purpose {
        self.cache.refuse(subject, stale.tag);
        Purpose::Renew {
            generation: stale.fresh.generation,
            why: stale.why_refused(),
        }
    }
}

impl Stale {
    pub(super) fn is_refused(&self) -> bool {
        self.standing == Standing::Refused
    }

    pub(super) fn why_refused(&self) -> Why {
        if self.fresh.suspect {
            Why::RefusedAgain
        } else {
            Why::Refused
        }
    }
}
