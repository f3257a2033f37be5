//! Which 401s count, and what one does to the credentials that a request was sent with.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};

use super::{
    Shared,
    cache::{Stale, Standing, Tag},
    flight,
    lookup::{Lookup, Waiting},
    purpose::{Purpose, Why},
    registry::Ticket,
};
use crate::{
    observe,
    subject::{Mode, Subject},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-notion-request-id");

/// Credentials without a refresh token end when they are refused again this long after the first time.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(30);

/// A refusal this long ago is forgotten: two that happen within a process's life are no pattern.
const REFUSAL_MEMORY: Duration = Duration::from_secs(60 * 60);

/// A 401 that can be Notion's, by what its headers show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    /// It has Notion's request id.
    Identified,
    /// It has a JSON content type and no request id, so a proxy may have sent it. It may lead to a
    /// refresh, and never ends credentials.
    Json,
}

impl Unauthorized {
    /// `None` for any other answer. A 401 with neither a request id nor JSON is only counted: a proxy's sign-in page
    /// says nothing about the token.
    #[inline]
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        if status == StatusCode::UNAUTHORIZED {
            Self::of_401(headers)
        } else {
            None
        }
    }

    #[cold]
    fn of_401(headers: &HeaderMap) -> Option<Self> {
        if only(headers, REQUEST_ID).is_some_and(|id| !id.as_bytes().trim_ascii().is_empty()) {
            Some(Self::Identified)
        } else if only(headers, CONTENT_TYPE).is_some_and(is_json) {
            Some(Self::Json)
        } else {
            observe::foreign_unauthorized();
            None
        }
    }
}

/// The header's value, if there is one. A proxy may repeat the line; different values are none.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// `application/json` or a type with the suffix `+json` (RFC 6839), with any parameters.
fn is_json(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence
            .rsplit_once('+')
            .is_some_and(|(kind, suffix)| kind.contains('/') && suffix.eq_ignore_ascii_case("json"))
}

impl Shared {
    /// A 401 came for a cached entry. A later entry of the same subject, or another subject's in
    /// the same slot, is not touched.
    pub(super) fn refused_by_ticket(
        self: &Arc<Self>,
        hash: u64,
        tag: Tag,
        mode: Mode,
        unauthorized: Unauthorized,
    ) {
        let Some((subject, stale)) = self.cache.resolve(hash, tag) else {
            return;
        };
        let purpose = self.refuse(&subject, &stale, unauthorized);
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
        unauthorized: Unauthorized,
    ) -> Waiting {
        let (shared, subject) = (Arc::clone(self), subject.clone());
        Box::pin(async move {
            if let Some(purpose) = shared.next_action(&subject, generation, ticket, unauthorized) {
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
    fn next_action(
        &self,
        subject: &Subject,
        generation: u64,
        ticket: Ticket,
        unauthorized: Unauthorized,
    ) -> Option<Purpose> {
        match self.cache.peek(subject) {
            None => Some(Purpose::Renew {
                generation,
                why: Why::Refused,
            }),
            Some(stale) if ticket.is_for(self.id, subject.seeded_hash(), stale.tag) => {
                Some(self.refuse(subject, &stale, unauthorized))
            }
            Some(_) => None,
        }
    }

    fn refuse(&self, subject: &Subject, stale: &Stale, unauthorized: Unauthorized) -> Purpose {
        let is_identified = unauthorized == Unauthorized::Identified;
        let now = self.clock.monotonic();
        let first = stale
            .first_refused_at
            .filter(|first| now.saturating_sub(*first) <= REFUSAL_MEMORY);
        self.cache
            .refuse(subject, stale.tag, first.or(is_identified.then_some(now)));
        // A good entry that was refused before has been read again since.
        let is_again = is_identified
            && stale.standing == Standing::Good
            && first.is_some_and(|first| now.saturating_sub(first) >= BETWEEN_REFUSALS);
        Purpose::Renew {
            generation: stale.fresh.generation,
            why: if is_again {
                Why::RefusedAgain
            } else {
                Why::Refused
            },
        }
    }
}

impl Stale {
    pub(super) fn is_refused(&self) -> bool {
        self.standing == Standing::Refused
    }
}
