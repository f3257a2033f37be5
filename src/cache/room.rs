//! Capacity of a cache.

/// Number of a cache's tables, and of the entries of each.
///
/// A table doubles when it is seven eighths full. The limit of a table is such a size, and the number of tables follows
/// from it. So no table of a full cache is half empty, and none grows for the last few entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) tables: usize,
    pub(super) entries_per_table: usize,
}

/// Each table has its own lock and cache lines.
const MOST_TABLES: usize = 64;

impl Room {
    /// Returns the capacity for `capacity` entries, with slack for tables that the hash gives more than their share (four
    /// standard deviations).
    pub(super) fn for_capacity(capacity: usize) -> Self {
        let mut entries_per_table = 7_usize;
        loop {
            let slack = (capacity / entries_per_table.isqrt().max(1)).saturating_mul(4);
            let tables = capacity.saturating_add(slack).div_ceil(entries_per_table);
            if tables <= MOST_TABLES {
                return Self {
                    tables: tables.max(1),
                    entries_per_table,
                };
            }
            entries_per_table = entries_per_table.saturating_mul(2);
        }
    }

    pub(super) fn unbounded() -> Self {
        Self {
            tables: MOST_TABLES,
            entries_per_table: usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn every_capacity_fits_and_a_full_table_is_mostly_full() {
        let most = usize::MAX;
        for capacity in [
            0, 1, 8, 100, 1_000, 10_000, 100_000, 1_000_000, 50_000_000, most,
        ] {
            let room = Room::for_capacity(capacity);
            let all = room.tables.saturating_mul(room.entries_per_table);
            assert!(all >= capacity, "{capacity}: {room:?}");
            assert!((1..=64).contains(&room.tables), "{capacity}: {room:?}");
            if (100_000..1 << 60).contains(&capacity) {
                assert!(all <= capacity + capacity / 8, "{capacity}: {room:?}");
            }
        }
    }
}
