use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use http::HeaderValue;

use super::name::Name;
use crate::{
    store::{FencingToken, Lineage},
    subject::Subject,
};

/// Identifies one entry until it is replaced. A 401 for a replaced entry finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryVersion(pub(super) u32);

impl EntryVersion {
    pub(crate) const NONE: Self = Self(0);
}

/// A fencing token as the cache keeps it: the lineage by its first 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    lineage: u64,
    generation: u32,
}

impl Fence {
    pub(crate) fn generation(self) -> u64 {
        self.generation.into()
    }

    /// Whether both are of one grant.
    pub(crate) fn is_of_lineage(self, other: Self) -> bool {
        self.lineage == other.lineage
    }
}

impl From<FencingToken> for Fence {
    fn from(token: FencingToken) -> Self {
        Self {
            lineage: token.lineage.first_bits(),
            generation: u32::try_from(token.generation).unwrap_or(u32::MAX),
        }
    }
}

/// New content of an entry. Times are readings of the provider's monotonic clock.
#[derive(Debug, Clone)]
pub(crate) struct Cached {
    pub(crate) authorization: HeaderValue,
    pub(crate) fence: Fence,
    /// The lineage that a reconnect replaced by this one.
    pub(crate) replaced: Option<Replaced>,
    /// When it expires, less the leeway.
    pub(crate) expires_at: Option<Duration>,
    /// When a background refresh starts.
    pub(crate) refresh_at: Option<Duration>,
    /// When the read from the store began, or the write to it.
    pub(crate) validated_at: Duration,
}

/// A lineage that was replaced, by its first 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replaced([u8; 3]);

impl From<Lineage> for Replaced {
    fn from(lineage: Lineage) -> Self {
        let [first, second, third, ..] = lineage.first_bits().to_be_bytes();
        Self([first, second, third])
    }
}

/// Outcome of a lookup.
pub(crate) enum Found {
    /// This can be sent.
    Hit {
        authorization: HeaderValue,
        fence: Fence,
        version: EntryVersion,
    },
    /// The entry needs a decision.
    Check(Entry),
    Miss,
}

/// An entry as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) cached: Cached,
    pub(crate) version: EntryVersion,
    pub(crate) refusal: Option<Refusal>,
}

/// The API refused an entry's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Whether no request is sent with the entry before the store was read.
    pub(crate) is_current: bool,
    /// When it was refused last.
    pub(crate) at: Duration,
    /// When it was first refused by an answer with Notion's request id, if it was.
    pub(crate) first_identified_at: Option<Duration>,
    /// Whether the last refusal ends credentials that can't be refreshed.
    pub(crate) is_final: bool,
}

/// A comparison with the store that found the entry unchanged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validated {
    pub(crate) fence: Fence,
    pub(crate) at: Duration,
    pub(crate) check_again_at: Option<Duration>,
}

/// An entry as the table keeps it. There may be a million of them, so it is small. Its size is 128 bytes, so that the
/// address of an entry is cheap to compute.
pub(super) struct Slot {
    pub(super) name: Name,
    pub(super) authorization: HeaderValue,
    /// Milliseconds of the monotonic clock. Until then the entry can be sent without a decision.
    check_at: AtomicU64,
    lineage: u64,
    generation: u32,
    pub(super) version: EntryVersion,
    /// Tenths of a second of the monotonic clock.
    validated_at: u32,
    /// Zeros for none.
    replaced: Replaced,
    /// Most entries have none, because Notion's tokens have no known expiry.
    rare: Option<Box<Rare>>,
    /// Since room was made last.
    is_used: AtomicBool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Rare {
    expires_at: Option<Duration>,
    refresh_at: Option<Duration>,
    refusal: Option<Refusal>,
}

const NONE_REPLACED: Replaced = Replaced([0; 3]);

/// No time: the clock need not be read.
const NEVER: u64 = u64::MAX;

impl Slot {
    pub(super) fn new(
        subject: &Subject,
        cached: Cached,
        check_again_at: Option<Duration>,
        version: EntryVersion,
    ) -> Self {
        let mut slot = Self {
            name: Name::of(subject),
            authorization: cached.authorization.clone(),
            check_at: AtomicU64::new(0),
            lineage: cached.fence.lineage,
            generation: cached.fence.generation,
            version,
            validated_at: 0,
            replaced: NONE_REPLACED,
            rare: None,
            is_used: AtomicBool::new(false),
        };
        slot.update(cached, check_again_at, true);
        slot
    }

    /// Brings the entry up to date with what was read of the same fencing token. A refusal is remembered, and ends
    /// if `ends_refusal`.
    pub(super) fn update(
        &mut self,
        cached: Cached,
        check_again_at: Option<Duration>,
        ends_refusal: bool,
    ) {
        let refusal = self.rare().refusal.map(|refusal| Refusal {
            is_current: refusal.is_current && !ends_refusal,
            ..refusal
        });
        let is_refused = refusal.is_some_and(|refusal| refusal.is_current);
        self.check_at = [cached.expires_at, cached.refresh_at, check_again_at]
            .into_iter()
            .chain([is_refused.then_some(Duration::ZERO)])
            .flatten()
            .min()
            .map_or(NEVER, millis)
            .into();
        self.set_rare(Rare {
            expires_at: cached.expires_at,
            refresh_at: cached.refresh_at,
            refusal,
        });
        self.replaced = cached.replaced.unwrap_or(NONE_REPLACED);
        self.authorization = cached.authorization;
        self.validated_at = tenths(cached.validated_at);
    }

    /// Notes that the entry was compared with the store, and lets it be used until `until` without a decision.
    pub(super) fn validate(&mut self, validated: Validated, until: Duration) {
        self.validated_at = tenths(validated.at);
        let ends = [self.rare().expires_at, validated.check_again_at];
        let until = ends.into_iter().flatten().fold(until, Duration::min);
        self.check_at = millis(until).into();
    }

    /// Notes a refusal. Until the entry is updated, no request is sent with it.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.set_rare(Rare {
            refusal: Some(refusal),
            ..self.rare()
        });
        self.check_at = 0.into();
    }

    /// Lets the entry be used without a decision until `until`, at most until it expires.
    pub(super) fn postpone(&self, until: Duration) {
        let until = self.rare().expires_at.map_or(until, |end| end.min(until));
        self.check_at.store(millis(until), Ordering::Relaxed);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.rare()
            .refusal
            .is_some_and(|refusal| refusal.is_current)
    }

    pub(super) fn fence(&self) -> Fence {
        Fence {
            lineage: self.lineage,
            generation: self.generation,
        }
    }

    /// Whether the entry has this version. Versions repeat after 2^32 entries, and a search may meet other hashes.
    pub(super) fn is_version(&self, hash: u64, version: EntryVersion) -> bool {
        self.version == version && self.name.hash() == hash
    }

    /// Whether the entry can be sent without a decision. `now` is read only when the answer depends on it.
    #[inline]
    pub(super) fn is_ready(&self, now: impl FnOnce() -> Duration) -> bool {
        let check_at = self.check_at.load(Ordering::Relaxed);
        check_at == NEVER || millis(now()) < check_at
    }

    /// Written once between two evictions, because cache hits on several threads share the line.
    #[inline]
    pub(super) fn note_use(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    pub(super) fn forget_use(&self) {
        self.is_used.store(false, Ordering::Relaxed);
    }

    pub(super) fn entry(&self) -> Entry {
        let rare = self.rare();
        Entry {
            cached: Cached {
                authorization: self.authorization.clone(),
                fence: self.fence(),
                replaced: (self.replaced != NONE_REPLACED).then_some(self.replaced),
                expires_at: rare.expires_at,
                refresh_at: rare.refresh_at,
                validated_at: Duration::from_millis(u64::from(self.validated_at) * 100),
            },
            version: self.version,
            refusal: rare.refusal,
        }
    }

    fn rare(&self) -> Rare {
        self.rare.as_deref().copied().unwrap_or_default()
    }

    fn set_rare(&mut self, rare: Rare) {
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
    }
}

impl Entry {
    /// Whether no request is sent with the entry before a decision.
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal.is_some_and(|refusal| refusal.is_current)
    }
}

#[inline]
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER - 1)
}

fn tenths(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / 100).unwrap_or(u32::MAX)
}
