//! The access tokens that are in use, as ready-made header values.
//!
//! A sharded table under ordinary locks: a hit takes a read lock for the time of one look-up, and
//! holds nothing when it returns.

use std::{
    fmt,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use hashbrown::HashTable;
use http::HeaderValue;

use crate::subject::Subject;

/// The name of one entry, for as long as it is in the cache unchanged: a 401 that comes after the
/// entry was replaced, or its slot given to another subject, finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(u32);

impl Tag {
    pub(crate) const NONE: Self = Self(0);
}

/// What is put into the cache. Times are readings of the provider's monotonic clock.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    pub(super) authorization: HeaderValue,
    pub(super) generation: u64,
    /// From when on it must not be used.
    pub(super) expires_at: Option<Duration>,
    /// From when on it is used and refreshed behind.
    pub(super) due_at: Option<Duration>,
    /// From when on it is used and compared with the store behind.
    pub(super) revalidate_at: Option<Duration>,
    /// When it was read from the store or written to it.
    pub(super) validated_at: Duration,
    /// A 401 came for it once already, and there is no refresh token to answer that with.
    pub(super) suspect: bool,
}

impl Fresh {
    /// The moment up to which it is used without a question.
    fn check_at(&self) -> u64 {
        [self.expires_at, self.due_at, self.revalidate_at]
            .into_iter()
            .flatten()
            .min()
            .map_or(NEVER, millis)
    }
}

pub(super) struct Cache {
    shards: Box<[Shard]>,
    capacity_per_shard: usize,
    next_tag: AtomicU32,
}

/// On a cache line of its own, so that locks of different shards do not get in each other's way.
#[repr(align(128))]
struct Shard(RwLock<HashTable<Entry>>);

struct Entry {
    subject: Subject,
    fresh: Fresh,
    /// Milliseconds of the monotonic clock; until then a hit needs no other question.
    check_at: AtomicU64,
    tag: Tag,
    standing: Standing,
    /// Since the last time that room was made.
    is_used: AtomicBool,
}

/// Whether an entry can be given to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// The API answered it with a 401.
    Refused,
    /// The connection was ended with this generation. It holds no token, and keeps an older one
    /// from coming back by who had read it before.
    Buried,
}

const NEVER: u64 = u64::MAX;
const SHARDS: usize = 64;

/// What a comparison with the store has shown. Times are readings of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validated {
    pub(super) generation: u64,
    pub(super) at: Duration,
    pub(super) again_at: Option<Duration>,
}

/// What the cache knows of a subject.
pub(super) enum Found {
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

/// An entry that can be sent, where it lies: nobody changes it meanwhile, so it is not kept for long.
pub(crate) struct AtHand<'a> {
    table: RwLockReadGuard<'a, HashTable<Entry>>,
    index: usize,
}

impl AtHand<'_> {
    #[inline]
    pub(crate) fn entry(&self) -> Option<(&HeaderValue, Tag)> {
        let entry = self.table.get_bucket(self.index)?;
        Some((&entry.fresh.authorization, entry.tag))
    }
}

/// An entry that is not to be used without a question.
#[derive(Debug, Clone)]
pub(super) struct Stale {
    pub(super) fresh: Fresh,
    pub(super) tag: Tag,
    pub(super) standing: Standing,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS)
                .map(|_| Shard(RwLock::new(HashTable::new())))
                .collect(),
            capacity_per_shard: capacity.div_ceil(SHARDS).max(1),
            next_tag: AtomicU32::new(1),
        }
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<HashTable<Entry>> {
        // The table takes its bits from the two ends of the hash.
        let index = (hash >> 32) as usize % SHARDS;
        &self.shards[index].0
    }

    #[inline]
    fn read(&self, hash: u64) -> RwLockReadGuard<'_, HashTable<Entry>> {
        self.shard(hash)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, HashTable<Entry>> {
        self.shard(hash)
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry that needs no question. `now` is asked only when the answer depends on it.
    #[inline]
    pub(super) fn at_hand(
        &self,
        subject: &Subject,
        now: impl FnOnce() -> Duration,
    ) -> Option<AtHand<'_>> {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        let index = table.find_bucket_index(hash, |entry| entry.subject == *subject)?;
        let entry = table.get_bucket(index)?;
        let check_at = entry.check_at.load(Ordering::Relaxed);
        if check_at != NEVER && millis(now()) >= check_at {
            return None;
        }
        entry.note_use();
        Some(AtHand { table, index })
    }

    /// What is known of the subject. `now` is asked only when the answer depends on it.
    pub(super) fn find(&self, subject: &Subject, now: impl FnOnce() -> Duration) -> Found {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        let Some(entry) = table.find(hash, |entry| entry.subject == *subject) else {
            return Found::Miss;
        };
        entry.note_use();
        let check_at = entry.check_at.load(Ordering::Relaxed);
        if check_at == NEVER || millis(now()) < check_at {
            Found::Hit {
                authorization: entry.fresh.authorization.clone(),
                generation: entry.fresh.generation,
                tag: entry.tag,
            }
        } else {
            Found::Check(entry.stale())
        }
    }

    /// The entry as it is, for those who are not in a hurry.
    pub(super) fn peek(&self, subject: &Subject) -> Option<Stale> {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        table
            .find(hash, |entry| entry.subject == *subject)
            .map(Entry::stale)
    }

    /// Lets the entry be used without a question until `until`, while somebody sees to it; not
    /// beyond its expiry.
    pub(super) fn postpone(&self, subject: &Subject, tag: Tag, until: Duration) {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        if let Some(entry) = table.find(hash, |entry| entry.tag == tag) {
            if entry.standing == Standing::Good {
                let until = entry.fresh.expires_at.map_or(until, |end| end.min(until));
                entry.check_at.store(millis(until), Ordering::Relaxed);
            }
        }
    }

    /// The subject and the entry that a tag names, if it is still there.
    pub(super) fn resolve(&self, hash: u64, tag: Tag) -> Option<(Subject, Stale)> {
        let table = self.read(hash);
        table
            .find(hash, |entry| entry.tag == tag)
            .map(|entry| (entry.subject.clone(), entry.stale()))
    }

    /// The entry was compared with the store and stays: it is used without a question until `until`,
    /// or until it must be compared again.
    pub(super) fn keep(&self, subject: &Subject, until: Duration, validated: Validated) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        let entry = table
            .find_mut(hash, |entry| entry.subject == *subject)
            .filter(|entry| {
                entry.standing == Standing::Good && entry.fresh.generation == validated.generation
            });
        if let Some(entry) = entry {
            entry.fresh.validated_at = validated.at;
            entry.fresh.revalidate_at = validated.again_at;
            let ends = [entry.fresh.expires_at, validated.again_at];
            let until = ends.into_iter().flatten().fold(until, Duration::min);
            entry.check_at = AtomicU64::new(millis(until));
        }
    }

    /// From now on nobody is given the entry that this tag names.
    pub(super) fn refuse(&self, subject: &Subject, tag: Tag) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        if let Some(entry) = table.find_mut(hash, |entry| entry.tag == tag) {
            if entry.standing == Standing::Good {
                entry.standing = Standing::Refused;
                entry.check_at = AtomicU64::new(0);
            }
        }
    }

    /// Puts credentials in; `None` if newer ones are there, or were ended.
    ///
    /// The same generation again brings its times up to date. A refusal of it stays, unless these are
    /// now known to be suspect: then they are tried once more, under another tag.
    pub(super) fn publish(&self, subject: &Subject, fresh: Fresh) -> Option<Tag> {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        let Some(entry) = table.find_mut(hash, |entry| entry.subject == *subject) else {
            return Some(self.insert(&mut table, self.entry(subject, fresh, Standing::Good)));
        };
        let is_same = entry.fresh.generation == fresh.generation;
        if entry.fresh.generation > fresh.generation
            || (is_same && entry.standing == Standing::Buried)
        {
            return None;
        }
        if is_same && entry.fresh.suspect >= fresh.suspect {
            if entry.standing == Standing::Good {
                entry.check_at = AtomicU64::new(fresh.check_at());
            }
            let suspect = entry.fresh.suspect;
            entry.fresh = Fresh { suspect, ..fresh };
        } else {
            *entry = self.entry(subject, fresh, Standing::Good);
        }
        Some(entry.tag)
    }

    /// Forgets a subject's token, and that the connection was ended with this generation.
    pub(super) fn bury(&self, subject: &Subject, generation: u64, now: Duration) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        let nothing = Fresh {
            authorization: HeaderValue::from_static(""),
            generation,
            expires_at: Some(Duration::ZERO),
            due_at: None,
            revalidate_at: None,
            validated_at: now,
            suspect: false,
        };
        let grave = self.entry(subject, nothing, Standing::Buried);
        match table.find_mut(hash, |entry| entry.subject == *subject) {
            Some(entry) if entry.fresh.generation > generation => {}
            Some(entry) => *entry = grave,
            None => {
                self.insert(&mut table, grave);
            }
        }
    }

    /// Forgets a subject's credentials, unless they are newer than `up_to`.
    pub(super) fn remove(&self, subject: &Subject, up_to: u64) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        if let Ok(entry) = table.find_entry(hash, |entry| entry.subject == *subject) {
            if entry.get().fresh.generation <= up_to {
                drop(entry.remove());
            }
        }
    }

    /// Forgets the entry that this tag names.
    pub(super) fn forget(&self, subject: &Subject, tag: Tag) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        if let Ok(entry) = table.find_entry(hash, |entry| entry.tag == tag) {
            drop(entry.remove());
        }
    }

    fn insert(&self, table: &mut HashTable<Entry>, entry: Entry) -> Tag {
        if table.len() >= self.capacity_per_shard {
            make_room(table, self.capacity_per_shard);
        }
        let tag = entry.tag;
        let hash = entry.subject.seeded_hash();
        table.insert_unique(hash, entry, |entry| entry.subject.seeded_hash());
        tag
    }

    fn entry(&self, subject: &Subject, fresh: Fresh, standing: Standing) -> Entry {
        Entry {
            subject: subject.clone(),
            check_at: AtomicU64::new(fresh.check_at()),
            fresh,
            tag: self.next_tag(),
            standing,
            is_used: AtomicBool::new(true),
        }
    }

    fn next_tag(&self) -> Tag {
        loop {
            let tag = Tag(self.next_tag.fetch_add(1, Ordering::Relaxed));
            if tag != Tag::NONE {
                return tag;
            }
        }
    }
}

/// Second chance: what was not used since room was made last goes first; if all was used, an eighth
/// goes, in the table's order, which the seeded hash makes random.
fn make_room(table: &mut HashTable<Entry>, capacity: usize) {
    table.retain(|entry| entry.is_used.swap(false, Ordering::Relaxed));
    let most = capacity - capacity.div_ceil(8);
    let mut surplus = table.len().saturating_sub(most);
    if surplus > 0 {
        table.retain(|_| {
            let keep = surplus == 0;
            surplus = surplus.saturating_sub(1);
            keep
        });
    }
}

impl Entry {
    /// Written once between two times that room is made: hits share the line.
    #[inline]
    fn note_use(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    fn stale(&self) -> Stale {
        Stale {
            fresh: self.fresh.clone(),
            tag: self.tag,
            standing: self.standing,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER - 1)
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("capacity_per_shard", &self.capacity_per_shard)
            .finish_non_exhaustive()
    }
}
