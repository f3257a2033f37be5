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
    entry::{Cached, Entry, EntryVersion, Fence, Found, Refusal, Slot, Validated},
    room::Room,
    table::Table,
};
use crate::subject::Subject;

/// Sharded map from subjects to entries.
pub(crate) struct Cache {
    shards: Box<[Shard]>,
    room: Room,
    next_version: AtomicU32,
}

/// On its own cache line, to avoid false sharing between the locks of different shards.
#[repr(align(128))]
struct Shard(ShardedLock<Table>);

/// A borrowed entry. It holds the shard's lock, so drop it soon.
pub(crate) struct Hit<'a> {
    table: ShardedLockReadGuard<'a, Table>,
    index: usize,
}

impl Hit<'_> {
    /// Returns the header value if it can be sent without a decision. `now` is read only if the result depends on it.
    #[inline]
    pub(crate) fn ready(
        &self,
        now: impl FnOnce() -> Duration,
    ) -> Option<(&HeaderValue, EntryVersion, Fence)> {
        let slot = self.table.entries.get_bucket(self.index)?;
        if !slot.is_ready(now) {
            return None;
        }
        slot.note_use();
        Some((&slot.authorization, slot.version, slot.fence()))
    }
}

impl Cache {
    /// A cache for about `capacity` subjects; unbounded if that is `None`.
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        let room = capacity.map_or_else(Room::unbounded, Room::for_capacity);
        Self {
            shards: (0..room.tables)
                .map(|_| Shard(ShardedLock::new(Table::new())))
                .collect(),
            room,
            next_version: AtomicU32::new(1),
        }
    }

    #[inline]
    fn shard(&self, hash: u64) -> &ShardedLock<Table> {
        // The table uses the bits at both ends of the hash, this those in between.
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

    /// Returns the subject's entry, borrowed. [`Hit::ready`] is a second step, so that the subject is no longer borrowed
    /// when the request's headers are set.
    #[inline]
    pub(crate) fn hit(&self, subject: &Subject) -> Option<Hit<'_>> {
        let hash = subject.seeded_hash();
        let table = self.read(hash);
        let index = table
            .entries
            .find_bucket_index(hash, |slot| slot.name.is(subject))?;
        Some(Hit { table, index })
    }

    /// Returns what is known of the subject. `now` is read only when the answer depends on it.
    pub(crate) fn find(&self, subject: &Subject, now: impl FnOnce() -> Duration) -> Found {
        let table = self.read(subject.seeded_hash());
        let Some(slot) = find(&table, subject) else {
            return Found::Miss;
        };
        slot.note_use();
        if slot.is_ready(now) {
            Found::Hit {
                authorization: slot.authorization.clone(),
                fence: slot.fence(),
                version: slot.version,
            }
        } else {
            Found::Check(slot.entry())
        }
    }

    /// Returns the subject's entry as it is.
    pub(crate) fn peek(&self, subject: &Subject) -> Option<Entry> {
        find(&self.read(subject.seeded_hash()), subject).map(Slot::entry)
    }

    /// Lets the entry be used without a decision until `until`, at most until it expires.
    pub(crate) fn postpone(&self, subject: &Subject, version: EntryVersion, until: Duration) {
        let table = self.read(subject.seeded_hash());
        if let Some(slot) = find(&table, subject) {
            if slot.version == version && !slot.is_refused() {
                slot.postpone(until);
            }
        }
    }

    /// Returns the subject and the entry of this version, if it is still there.
    pub(crate) fn resolve(&self, hash: u64, version: EntryVersion) -> Option<(Subject, Entry)> {
        let table = self.read(hash);
        table
            .entries
            .find(hash, |slot| slot.is_version(hash, version))
            .map(|slot| (slot.name.subject(), slot.entry()))
    }

    /// Notes that the entry was compared with the store and is unchanged.
    pub(crate) fn validate(&self, subject: &Subject, validated: Validated, until: Duration) {
        let mut table = self.write(subject.seeded_hash());
        if let Some(slot) = find_mut(&mut table, subject) {
            if slot.fence() == validated.fence && !slot.is_refused() {
                slot.validate(validated, until);
            }
        }
    }

    /// Notes that the API refused the entry of this version, or that the refusal is over.
    pub(crate) fn refuse(&self, subject: &Subject, version: EntryVersion, refusal: Refusal) {
        let mut table = self.write(subject.seeded_hash());
        if let Some(slot) = find_mut(&mut table, subject) {
            if slot.version == version {
                slot.refuse(refusal);
            }
        }
    }

    /// Returns the number of changes by this process to the subject's shard, which
    /// [`publish`](Self::publish) compares.
    pub(crate) fn changes(&self, subject: &Subject) -> Changes {
        Changes(self.read(subject.seeded_hash()).changes)
    }

    /// Inserts what was read from the store. `None` if this process connected, disconnected or reinstated a subject of
    /// the shard since `changes` was read. The record must be read again then.
    ///
    /// Under the same fencing token, the entry keeps its refusal unless `ends_refusal`. The entry version ends with the
    /// refusal, because a 401 for an earlier request says nothing about what was read since.
    pub(crate) fn publish(
        &self,
        subject: &Subject,
        changes: Changes,
        cached: Cached,
        check_again_at: Option<Duration>,
        ends_refusal: bool,
    ) -> Option<EntryVersion> {
        let mut table = self.write(subject.seeded_hash());
        if table.changes != changes.0 {
            return None;
        }
        Some(self.put(&mut table, subject, cached, check_again_at, ends_refusal))
    }

    /// Removes the subject, if this process changed nothing in its shard since `changes` was read.
    pub(crate) fn remove(&self, subject: &Subject, changes: Changes) {
        let mut table = self.write(subject.seeded_hash());
        if table.changes == changes.0 {
            table.remove(subject);
        }
    }

    /// Begins a change of the subject's record by the application. What tasks have read before is not
    /// published any more.
    pub(crate) fn begin_change<'a>(&'a self, subject: &'a Subject) -> Change<'a> {
        let mut table = self.write(subject.seeded_hash());
        table.changes += 1;
        Change {
            cache: self,
            subject,
            begun: Changes(table.changes),
            cached: None,
        }
    }

    fn put(
        &self,
        table: &mut Table,
        subject: &Subject,
        cached: Cached,
        check_again_at: Option<Duration>,
        ends_refusal: bool,
    ) -> EntryVersion {
        match find_mut(table, subject) {
            Some(slot) if slot.fence() == cached.fence => {
                if ends_refusal && slot.is_refused() {
                    slot.version = self.next_version();
                }
                slot.update(cached, check_again_at, ends_refusal);
                slot.version
            }
            Some(slot) => {
                *slot = Slot::new(subject, cached, check_again_at, self.next_version());
                slot.version
            }
            None => {
                let version = self.next_version();
                let slot = Slot::new(subject, cached, check_again_at, version);
                table.insert(slot, &self.room);
                version
            }
        }
    }

    fn next_version(&self) -> EntryVersion {
        loop {
            let version = EntryVersion(self.next_version.fetch_add(1, Ordering::Relaxed));
            if version != EntryVersion::NONE {
                return version;
            }
        }
    }
}

/// A change of a subject's record that is being saved. When it ends or is dropped, what tasks have read until then is no
/// longer published.
#[must_use]
pub(crate) struct Change<'a> {
    cache: &'a Cache,
    subject: &'a Subject,
    begun: Changes,
    cached: Option<(Cached, Option<Duration>)>,
}

impl Change<'_> {
    /// The change was saved, or failed. The cache then holds `cached`, or nothing if another change came between.
    pub(crate) fn end(mut self, cached: Option<(Cached, Option<Duration>)>) {
        self.cached = cached;
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut table = self.cache.write(self.subject.seeded_hash());
        let is_alone = table.changes == self.begun.0;
        table.changes += 1;
        match self.cached.take() {
            Some((cached, check_again_at)) if is_alone => {
                // If the store's answer was slow, the new credentials may have been refreshed before it.
                let is_refreshed = find(&table, self.subject).is_some_and(|slot| {
                    let newer = slot.fence();
                    newer.is_of_lineage(cached.fence)
                        && newer.generation() > cached.fence.generation()
                });
                if !is_refreshed {
                    self.cache
                        .put(&mut table, self.subject, cached, check_again_at, true);
                }
            }
            _ => table.remove(self.subject),
        }
    }
}

/// A shard's change counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changes(u64);

fn find<'a>(table: &'a Table, subject: &Subject) -> Option<&'a Slot> {
    table
        .entries
        .find(subject.seeded_hash(), |slot| slot.name.is(subject))
}

fn find_mut<'a>(table: &'a mut Table, subject: &Subject) -> Option<&'a mut Slot> {
    table
        .entries
        .find_mut(subject.seeded_hash(), |slot| slot.name.is(subject))
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("shards", &self.shards.len())
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}
