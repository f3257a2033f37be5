//! The entries under one lock, and their eviction.

use hashbrown::HashTable;

use super::{entry::Slot, room::Room};
use crate::subject::Subject;

pub(super) struct Table {
    pub(super) entries: HashTable<Slot>,
    /// The CLOCK hand: the bucket at which the last eviction stopped.
    hand: usize,
    /// How many times this process began or ended a change of a record.
    pub(super) changes: u64,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: HashTable::new(),
            hand: 0,
            changes: 0,
        }
    }

    /// Adds an entry that is not there yet.
    pub(super) fn insert(&mut self, slot: Slot, room: &Room) {
        if self.is_full(room.entries_per_table) {
            let keep = room.entries_per_table - room.entries_per_table.div_ceil(8);
            self.evict(keep);
            self.rebuild(room.entries_per_table);
        }
        let hash = slot.name.hash();
        self.entries
            .insert_unique(hash, slot, |slot| slot.name.hash());
    }

    pub(super) fn remove(&mut self, subject: &Subject) {
        let found = self
            .entries
            .find_entry(subject.seeded_hash(), |slot| slot.name.is(subject));
        if let Ok(found) = found {
            drop(found.remove());
        }
    }

    /// A table that is full of deleted buckets counts as full, because the next entry would double it.
    fn is_full(&self, limit: usize) -> bool {
        let held = self.entries.len();
        held >= limit || (held == self.entries.capacity() && held > limit / 2)
    }

    /// Evicts entries that were not used since the hand passed them last, until `keep` are left.
    #[cold]
    fn evict(&mut self, keep: usize) {
        let buckets = self.entries.num_buckets();
        // Twice round, since an entry that was used is passed over once.
        for _ in 0..2 * buckets {
            if self.entries.len() <= keep {
                return;
            }
            self.hand = (self.hand + 1) % buckets;
            if let Ok(bucket) = self.entries.get_bucket_entry(self.hand) {
                let slot = bucket.get();
                if slot.is_used() {
                    slot.forget_use();
                } else {
                    drop(bucket.remove());
                }
            }
        }
    }

    /// Moves the entries to a table of the final size, without deleted buckets.
    #[cold]
    fn rebuild(&mut self, limit: usize) {
        let mut rebuilt = HashTable::with_capacity(limit);
        for slot in self.entries.drain() {
            rebuilt.insert_unique(slot.name.hash(), slot, |slot: &Slot| slot.name.hash());
        }
        self.entries = rebuilt;
    }
}
