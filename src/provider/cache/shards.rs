use std::{
    fmt,
    sync::{
        PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
use http::HeaderValue;

use super::{
    entry::{Entry, Found, Fresh, Stale, Standing, Tag, Validated},
    room::Room,
    table::Table,
};
use crate::subject::Subject;

/// Tables under locks of their own, keyed by subject.
pub(in crate::provider) struct Cache {
    shards: Box<[Shard]>,
    room: Room,
    next_tag: AtomicU32,
}

/// On a cache line of its own, so that locks of different shards do not get in each other's way.
#[repr(align(128))]
struct Shard(ShardedLock<Table>);

/// An entry where it lies: nobody changes it meanwhile, so this is not kept for long.
pub(crate) struct Slot<'a> {
    table: ShardedLockReadGuard<'a, Table>,
    index: usize,
}

impl Slot<'_> {
    /// What can be sent, if it needs no question. `now` is asked only when the answer depends on it.
    #[inline]
    pub(in crate::provider) fn at_hand(
        &self,
        now: impl FnOnce() -> Duration,
    ) -> Option<(&HeaderValue, Tag)> {
        let entry = self.table.entries.get_bucket(self.index)?;
        if !entry.is_at_hand(now) {
            return None;
        }
        entry.note_use();
        Some((&entry.authorization, entry.tag))
    }
}

impl Cache {
    /// A cache for about that many subjects; `None` is for as many as come.
    ///
    /// `longest_read` is how long a read of the store may take.
    pub(in crate::provider) fn new(capacity: Option<usize>, longest_read: Duration) -> Self {
        let graves_for = longest_read.saturating_mul(2);
        let room = capacity.map_or_else(Room::unbounded, |capacity| {
            Room::for_capacity(capacity, graves_for)
        });
        Self {
            shards: (0..room.tables)
                .map(|_| Shard(ShardedLock::new(Table::new())))
                .collect(),
            room,
            next_tag: AtomicU32::new(1),
        }
    }

    #[inline]
    fn shard(&self, hash: u64) -> &ShardedLock<Table> {
        // The table takes its bits from the two ends of the hash, this from between.
        let bits = hash << 7 >> 32;
        // Less than the number of shards, which is small.
        let index = (bits * self.shards.len() as u64) >> 32;
        &self.shards[index as usize].0
    }

    #[inline]
    fn read(&self, hash: u64) -> ShardedLockReadGuard<'_, Table> {
        self.shard(hash)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> ShardedLockWriteGuard<'_, Table> {
        self.shard(hash)
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The subject's entry. This and [`Slot::at_hand`] are two steps so that the subject is not borrowed
    /// any more when the token is put on the request that it came from.
    #[inline]
    pub(in crate::provider) fn slot(&self, subject: &Subject) -> Option<Slot<'_>> {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        let index = table
            .entries
            .find_bucket_index(hash, |entry| entry.name.is(subject))?;
        Some(Slot { table, index })
    }

    /// What is known of the subject. `now` is asked only when the answer depends on it.
    pub(in crate::provider) fn find(
        &self,
        subject: &Subject,
        now: impl FnOnce() -> Duration,
    ) -> Found {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        let Some(entry) = table.entries.find(hash, |entry| entry.name.is(subject)) else {
            return Found::Miss;
        };
        entry.note_use();
        if entry.is_at_hand(now) {
            Found::Hit {
                authorization: entry.authorization.clone(),
                generation: entry.generation,
                tag: entry.tag,
            }
        } else {
            Found::Check(entry.stale())
        }
    }

    /// The entry as it is, for those who are not in a hurry.
    pub(in crate::provider) fn peek(&self, subject: &Subject) -> Option<Stale> {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        table
            .entries
            .find(hash, |entry| entry.name.is(subject))
            .map(Entry::stale)
    }

    /// Lets the entry be used without a question until `until`, while somebody sees to it; not
    /// beyond its expiry.
    pub(in crate::provider) fn postpone(&self, subject: &Subject, tag: Tag, until: Duration) {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        if let Some(entry) = table.entries.find(hash, |entry| entry.is_named(hash, tag)) {
            if entry.standing == Standing::Good {
                entry.postpone(until);
            }
        }
    }

    /// The subject and the entry that a tag names, if it is still there.
    pub(in crate::provider) fn resolve(&self, hash: u64, tag: Tag) -> Option<(Subject, Stale)> {
        let table = self.read(hash);
        table
            .entries
            .find(hash, |entry| entry.is_named(hash, tag))
            .map(|entry| (entry.name.subject(), entry.stale()))
    }

    /// The entry was compared with the store and stays: it is used without a question until `until`,
    /// or until it must be compared again.
    pub(in crate::provider) fn keep(
        &self,
        subject: &Subject,
        until: Duration,
        validated: Validated,
    ) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        let entry = table
            .entries
            .find_mut(hash, |entry| entry.name.is(subject))
            .filter(|entry| {
                entry.standing == Standing::Good && entry.generation == validated.generation
            });
        if let Some(entry) = entry {
            entry.keep(until, validated);
        }
    }

    /// From now on the entry that this tag names is not used. `first_refused_at` is the time of the first
    /// refusal that counts towards the end of the credentials.
    pub(in crate::provider) fn refuse(
        &self,
        subject: &Subject,
        tag: Tag,
        first_refused_at: Option<Duration>,
    ) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        if let Some(entry) = table
            .entries
            .find_mut(hash, |entry| entry.is_named(hash, tag))
        {
            if entry.standing == Standing::Good {
                entry.refuse(first_refused_at);
            }
        }
    }

    /// Puts credentials in; `None` if newer ones are there, or were ended.
    ///
    /// The same generation again brings its times up to date. A refusal of it stays, unless a refused
    /// entry `is_kept` in use: then under another tag.
    pub(in crate::provider) fn publish(
        &self,
        subject: &Subject,
        fresh: Fresh,
        again_at: Option<Duration>,
        is_kept: bool,
    ) -> Option<Tag> {
        let mut table = self.write(subject.seeded_hash());
        let Some(entry) = find_mut(&mut table, subject) else {
            let (tag, now) = (self.next_tag(), fresh.validated_at);
            table.insert(Entry::new(subject, fresh, again_at, tag), &self.room, now);
            return Some(tag);
        };
        let is_same = entry.generation == fresh.generation;
        if entry.generation > fresh.generation || (is_same && entry.standing == Standing::Buried) {
            return None;
        }
        if !is_same {
            *entry = Entry::new(subject, fresh, again_at, self.next_tag());
        } else if entry.standing == Standing::Good {
            entry.renew(fresh, again_at);
        } else if is_kept {
            entry.reuse(fresh, again_at, self.next_tag());
        }
        Some(entry.tag)
    }

    /// Forgets a subject's token, and that the connection was ended with this generation.
    pub(in crate::provider) fn bury(&self, subject: &Subject, generation: u64, now: Duration) {
        let mut table = self.write(subject.seeded_hash());
        let grave = Entry::buried(subject, generation, now, self.next_tag());
        match find_mut(&mut table, subject) {
            Some(entry) if entry.generation > generation => {}
            Some(entry) => *entry = grave,
            None => table.insert(grave, &self.room, now),
        }
    }

    /// Forgets a subject's credentials, unless they are newer than `up_to`.
    pub(in crate::provider) fn remove(&self, subject: &Subject, up_to: u64) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        if let Ok(entry) = table
            .entries
            .find_entry(hash, |entry| entry.name.is(subject))
        {
            if entry.get().generation <= up_to {
                drop(entry.remove());
            }
        }
    }

    /// Forgets the entry that this tag names.
    pub(in crate::provider) fn forget(&self, subject: &Subject, tag: Tag) {
        let hash = subject.seeded_hash();
        let mut table = self.write(hash);
        if let Ok(entry) = table
            .entries
            .find_entry(hash, |entry| entry.is_named(hash, tag))
        {
            drop(entry.remove());
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

fn find_mut<'a>(table: &'a mut Table, subject: &Subject) -> Option<&'a mut Entry> {
    table
        .entries
        .find_mut(subject.seeded_hash(), |entry| entry.name.is(subject))
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("shards", &self.shards.len())
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}
