//! How many entries there may be, and which go when there are more.

use hashbrown::HashTable;

use super::entry::Entry;

/// How many tables a cache has, and how many entries each may hold.
///
/// A table doubles when it is seven eighths full. So that a full cache does not stand half empty, and
/// no table grows for the last few entries, a table's limit is such a step, and the number of tables
/// follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) tables: usize,
    pub(super) entries_per_table: usize,
}

/// Each is a lock, and on cache lines of its own.
const MOST_TABLES: usize = 64;

impl Room {
    /// Room for `capacity` entries, and what the hash may put into one table beyond its share (four
    /// standard deviations of it).
    pub(super) fn for_capacity(capacity: usize) -> Self {
        let mut entries_per_table = 7_usize;
        loop {
            let slack = capacity / entries_per_table.isqrt().max(1) * 4;
            let tables = capacity.saturating_add(slack).div_ceil(entries_per_table);
            if tables <= MOST_TABLES {
                return Self {
                    tables: tables.max(1),
                    entries_per_table,
                };
            }
            entries_per_table *= 2;
        }
    }

    pub(super) fn unbounded() -> Self {
        Self {
            tables: MOST_TABLES,
            entries_per_table: usize::MAX,
        }
    }
}

/// Lets an eighth of the entries go: those first that were not used since room was made last, in the
/// table's order, which the seeded hash makes random.
pub(super) fn make_room(table: &mut HashTable<Entry>, capacity: usize) {
    let mut surplus = (table.len() + capacity.div_ceil(8)).saturating_sub(capacity);
    table.retain(|entry| surplus == 0 || entry.is_used() || !take_one(&mut surplus));
    table.retain(|entry| {
        entry.forget_use();
        !take_one(&mut surplus)
    });
}

fn take_one(from: &mut usize) -> bool {
    let was_left = *from > 0;
    *from = from.saturating_sub(1);
    was_left
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn every_capacity_fits_and_a_full_table_is_mostly_full() {
        for capacity in [0, 1, 8, 100, 1_000, 10_000, 100_000, 1_000_000, 50_000_000] {
            let room = Room::for_capacity(capacity);
            let all = room.tables * room.entries_per_table;
            assert!(all >= capacity, "{capacity}: {room:?}");
            assert!((1..=64).contains(&room.tables), "{capacity}: {room:?}");
            if capacity >= 100_000 {
                assert!(all <= capacity + capacity / 8, "{capacity}: {room:?}");
            }
        }
    }
}
