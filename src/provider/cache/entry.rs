use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use http::HeaderValue;

use super::name::Name;
use crate::subject::Subject;

/// The name of one entry, for as long as it is in the cache unchanged: a 401 that comes after the
/// entry was replaced, or its slot given to another subject, finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(pub(super) u32);

impl Tag {
    pub(crate) const NONE: Self = Self(0);
}

/// What is put into the cache. Times are readings of the provider's monotonic clock.
#[derive(Debug, Clone)]
pub(in crate::provider) struct Fresh {
    pub(in crate::provider) authorization: HeaderValue,
    pub(in crate::provider) generation: u64,
    /// From when on it must not be used.
    pub(in crate::provider) expires_at: Option<Duration>,
    /// From when on it is used and refreshed behind.
    pub(in crate::provider) due_at: Option<Duration>,
    /// When it was read from the store or written to it.
    pub(in crate::provider) validated_at: Duration,
}

/// Whether an entry can be given to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Standing {
    Good,
    /// The API answered it with a 401. Its token is forgotten.
    Refused,
    /// The connection was ended with this generation. It holds no token, and keeps an older one
    /// from coming back by who had read it before.
    Buried,
}

/// What a comparison with the store has shown. Times are readings of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(in crate::provider) struct Validated {
    pub(in crate::provider) generation: u64,
    pub(in crate::provider) at: Duration,
    pub(in crate::provider) again_at: Option<Duration>,
}

/// What the cache knows of a subject.
pub(in crate::provider) enum Found {
    /// This can be sent.
    Hit {
        authorization: HeaderValue,
        generation: u64,
        tag: Tag,
    },
    /// There is an entry that needs a decision.
    Check(Stale),
    Miss,
}

/// An entry that is not to be used without a question.
#[derive(Debug, Clone)]
pub(in crate::provider) struct Stale {
    pub(in crate::provider) fresh: Fresh,
    pub(in crate::provider) tag: Tag,
    pub(in crate::provider) standing: Standing,
    /// When Notion refused it first, by a 401 with its request id.
    pub(in crate::provider) first_refused_at: Option<Duration>,
}

/// A subject's token. There may be a million of them, so it is kept small.
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) authorization: HeaderValue,
    /// Milliseconds of the monotonic clock; until then a hit needs no other question.
    check_at: AtomicU64,
    pub(super) generation: u64,
    validated_at: u64,
    /// Notion's tokens have no known end, so most entries have none of these.
    rare: Option<Box<Rare>>,
    pub(super) tag: Tag,
    pub(super) standing: Standing,
    /// By a request after the one that it was got for, since room was made last.
    is_used: AtomicBool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Rare {
    expires_at: Option<Duration>,
    due_at: Option<Duration>,
    first_refused_at: Option<Duration>,
}

/// No time at all: the clock need not be read.
const NEVER: u64 = u64::MAX;

impl Entry {
    pub(super) fn new(
        subject: &Subject,
        fresh: Fresh,
        again_at: Option<Duration>,
        tag: Tag,
    ) -> Self {
        let mut entry = Self::buried(subject, fresh.generation, fresh.validated_at, tag);
        entry.standing = Standing::Good;
        entry.renew(fresh, again_at);
        entry
    }

    /// The grave of a connection that was ended.
    pub(super) fn buried(subject: &Subject, generation: u64, now: Duration, tag: Tag) -> Self {
        Self {
            name: Name::of(subject),
            authorization: nothing(),
            check_at: AtomicU64::new(0),
            generation,
            validated_at: millis(now),
            rare: None,
            tag,
            standing: Standing::Buried,
            is_used: AtomicBool::new(false),
        }
    }

    /// Brings a good entry up to date with what was read of the same generation.
    pub(super) fn renew(&mut self, fresh: Fresh, again_at: Option<Duration>) {
        self.check_at = [fresh.expires_at, fresh.due_at, again_at]
            .into_iter()
            .flatten()
            .min()
            .map_or(NEVER, millis)
            .into();
        self.set_rare(Rare {
            expires_at: fresh.expires_at,
            due_at: fresh.due_at,
            ..self.rare()
        });
        self.authorization = fresh.authorization;
        self.validated_at = millis(fresh.validated_at);
    }

    /// It was compared with the store and stays.
    pub(super) fn keep(&mut self, until: Duration, validated: Validated) {
        self.validated_at = millis(validated.at);
        let ends = [self.expires_at(), validated.again_at];
        let until = ends.into_iter().flatten().fold(until, Duration::min);
        self.check_at = millis(until).into();
    }

    /// It is not used any more, and its token is dropped. `first_refused_at` is the time of the first
    /// refusal that counts towards the end of the credentials.
    pub(super) fn refuse(&mut self, first_refused_at: Option<Duration>) {
        self.standing = Standing::Refused;
        self.authorization = nothing();
        self.check_at = 0.into();
        let rare = self.rare();
        self.set_rare(Rare {
            first_refused_at,
            ..rare
        });
    }

    /// Lets a refused entry be used again, under another tag: what was sent before says nothing about it.
    pub(super) fn reuse(&mut self, fresh: Fresh, again_at: Option<Duration>, tag: Tag) {
        self.standing = Standing::Good;
        self.tag = tag;
        self.renew(fresh, again_at);
    }

    /// Lets it be used without a question until `until`; not beyond its expiry.
    pub(super) fn postpone(&self, until: Duration) {
        let until = self.expires_at().map_or(until, |end| end.min(until));
        self.check_at.store(millis(until), Ordering::Relaxed);
    }

    /// Whether it is the entry that this tag names. Tags begin again some day, and a table is searched
    /// beyond the hash.
    pub(super) fn is_named(&self, hash: u64, tag: Tag) -> bool {
        self.tag == tag && self.name.hash() == hash
    }

    /// Whether it needs no question. `now` is asked only when the answer depends on it.
    #[inline]
    pub(super) fn is_at_hand(&self, now: impl FnOnce() -> Duration) -> bool {
        let check_at = self.check_at.load(Ordering::Relaxed);
        check_at == NEVER || millis(now()) < check_at
    }

    /// Written once between two times that room is made: hits share the line.
    #[inline]
    pub(super) fn note_use(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Whether it is a grave that was made after `moment`.
    pub(super) fn is_grave_since(&self, moment: Duration) -> bool {
        self.standing == Standing::Buried && self.validated_at > millis(moment)
    }

    pub(super) fn forget_use(&self) {
        self.is_used.store(false, Ordering::Relaxed);
    }

    pub(super) fn stale(&self) -> Stale {
        Stale {
            fresh: Fresh {
                authorization: self.authorization.clone(),
                generation: self.generation,
                expires_at: self.expires_at(),
                due_at: self.rare().due_at,
                validated_at: Duration::from_millis(self.validated_at),
            },
            tag: self.tag,
            standing: self.standing,
            first_refused_at: self.rare().first_refused_at,
        }
    }

    fn expires_at(&self) -> Option<Duration> {
        self.rare().expires_at
    }

    fn rare(&self) -> Rare {
        self.rare.as_deref().copied().unwrap_or_default()
    }

    fn set_rare(&mut self, rare: Rare) {
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
    }
}

fn nothing() -> HeaderValue {
    HeaderValue::from_static("")
}

#[inline]
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER - 1)
}
