//! Counts what the cases allocate, in a program of its own: to count, the allocator is replaced, which
//! the benchmark must not have happen to it.

fn main() {
    notion_auth_peers::measure_allocations(|work| allocation_counter::measure(work).count_total);
}
