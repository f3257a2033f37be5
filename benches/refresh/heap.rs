/// What some work did to the heap, in bytes.
pub(crate) struct Heap {
    /// Allocated and not freed.
    pub(crate) left: f64,
    /// The most that was allocated at one time.
    pub(crate) most: f64,
}

/// Counts this thread's allocations: the work must do all of it on this thread.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, Heap) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    let heap = Heap {
        left: info.bytes_current as f64,
        most: info.bytes_max as f64,
    };
    (result.expect("the work was done"), heap)
}
