//! Counts the allocations of the cases. It is a separate program, because it replaces the allocator, which
//! must not affect the benchmark's times.

fn main() {
    notion_auth_peers::measure_allocations(|work| allocation_counter::measure(work).count_total);
}
