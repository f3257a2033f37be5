//! Which 401s count, and what one does to the credentials that a request was sent with.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};

use super::{
    Shared,
    lookup::{Lookup, Waiting},
    registry::EntryHandle,
};
use crate::{
    cache::{Entry, EntryVersion, Fence, Refusal},
    observe,
    refresh::{self, Goal, Trigger},
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
    /// Notes a 401 for an entry. A later entry of the subject is not touched.
    pub(super) fn refused_by_handle(
        self: &Arc<Self>,
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
