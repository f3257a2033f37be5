//! The entries under one lock, and which go when there are more than there is room for.

use std::time::Duration;

use hashbrown::HashTable;

use super::{entry::Entry, room::Room};

pub(super) struct Table {
    pub(super) entries: HashTable<Entry>,
    /// The bucket at which the search for what can go stopped last: it goes on there, so that whatever is
    /// not used is met before long.
    hand: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: HashTable::new(),
            hand: 0,
        }
    }

    /// Puts an entry in that is not there yet. `now` is the monotonic clock's.
    pub(super) fn insert(&mut self, entry: Entry, room: &Room, now: Duration) {
        if self.is_full(room.entries_per_table) {
            let keep = room.entries_per_table - room.entries_per_table.div_ceil(8);
            self.make_room(keep, now.saturating_sub(room.graves_for));
            self.rebuild(room.entries_per_table);
        }
        let hash = entry.name.hash();
        self.entries
            .insert_unique(hash, entry, |entry| entry.name.hash());
    }

    /// A table that has no place left though it holds less than it may is full of places that were given
    /// up, which the next entry would make it double for.
    fn is_full(&self, limit: usize) -> bool {
        let held = self.entries.len();
        held >= limit || (held == self.entries.capacity() && held > limit / 2)
    }

    #[cold]
    /// Lets entries go until so many are left: those first that were not used since the hand passed over
    /// them last, graves that are younger than `graves_from` only if nothing else is left.
    fn make_room(&mut self, keep: usize, graves_from: Duration) {
        let buckets = self.entries.num_buckets();
        // Twice round, since what was used is passed over once; the third round takes whatever is there.
        for step in 0..3 * buckets {
            if self.entries.len() <= keep {
                return;
            }
            self.hand = (self.hand + 1) % buckets;
            if let Ok(place) = self.entries.get_bucket_entry(self.hand) {
                let entry = place.get();
                let is_spared = entry.is_used() || entry.is_grave_since(graves_from);
                entry.forget_use();
                if !is_spared || step >= 2 * buckets {
                    drop(place.remove());
                }
            }
        }
    }

    #[cold]
    /// The same entries in a table of the size for so many, without places that were given up.
    fn rebuild(&mut self, limit: usize) {
        let mut rebuilt = HashTable::with_capacity(limit);
        for entry in self.entries.drain() {
            rebuilt.insert_unique(entry.name.hash(), entry, |entry: &Entry| entry.name.hash());
        }
        self.entries = rebuilt;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Table;
    use crate::{
        provider::cache::{
            entry::{Entry, Tag},
            room::Room,
        },
        subject::Subject,
    };

    const LIMIT: usize = 7 * 64;
    const ROOM: Room = Room {
        tables: 1,
        entries_per_table: LIMIT,
        graves_for: Duration::from_secs(10),
    };

    fn grave(number: usize, at: u64) -> Entry {
        let subject = Subject::new(number.to_string());
        Entry::buried(&subject, 1, Duration::from_secs(at), Tag(1))
    }

    fn holds(table: &Table, number: usize) -> bool {
        let subject = Subject::new(number.to_string());
        let found = table
            .entries
            .find(subject.seeded_hash(), |entry| entry.name.is(&subject));
        found.is_some()
    }

    #[test]
    fn a_full_table_does_not_grow_though_entries_come_and_go() {
        let mut table = Table::new();
        for number in 0..100 * LIMIT {
            table.insert(grave(number, 0), &ROOM, Duration::from_secs(1_000));
            // As a disconnected subject goes.
            if number % 5 == 0 {
                let subject = Subject::new((number / 2).to_string());
                let entry = table
                    .entries
                    .find_entry(subject.seeded_hash(), |entry| entry.name.is(&subject));
                if let Ok(entry) = entry {
                    drop(entry.remove());
                }
            }
            assert!(table.entries.len() <= LIMIT, "after {number}");
            assert!(table.entries.capacity() <= LIMIT, "after {number}");
        }
    }

    #[test]
    fn what_is_not_used_goes_wherever_it_lies() {
        let mut table = Table::new();
        let now = Duration::from_secs(1_000);
        for number in 0..LIMIT {
            table.insert(grave(number, 0), &ROOM, now);
        }
        for number in LIMIT..6 * LIMIT {
            table.insert(grave(number, 0), &ROOM, now);
        }
        let old = (0..LIMIT).filter(|number| holds(&table, *number)).count();
        // A few are moved behind the hand each time that the table is rebuilt.
        assert!(
            old * 20 < LIMIT,
            "{old} of {LIMIT} stay though nobody uses them"
        );
    }

    #[test]
    fn a_grave_stays_for_as_long_as_somebody_may_have_read_what_is_in_it() {
        let mut table = Table::new();
        table.insert(grave(0, 1_000), &ROOM, Duration::from_secs(1_000));
        for number in 1..10 * LIMIT {
            table.insert(grave(number, 0), &ROOM, Duration::from_secs(1_009));
            assert!(holds(&table, 0), "after {number}");
        }
        for number in 10 * LIMIT..20 * LIMIT {
            table.insert(grave(number, 0), &ROOM, Duration::from_secs(1_011));
        }
        assert!(!holds(&table, 0));
    }

    #[test]
    fn young_graves_take_no_more_than_the_room_there_is() {
        let mut table = Table::new();
        for number in 0..10 * LIMIT {
            table.insert(grave(number, 1_000), &ROOM, Duration::from_secs(1_000));
            assert!(table.entries.len() <= LIMIT);
        }
    }
}
