//! The named steps of a refresh, at which tests can stop a process.

/// A step of a refresh. Between any two steps a process may be stopped for good or for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "only tests set failpoints")
)]
pub enum Failpoint {
    /// The record was read.
    Loaded,
    /// The lease is about to be acquired.
    Leasing,
    /// The lease is in the store.
    Leased,
    /// The call of the token endpoint has ended.
    Answered,
    /// The outcome of the call is unknown, and the pause before the replay begins.
    InDoubt,
    /// The new pair is about to be committed.
    Committing,
    /// The new pair is in the store, and not yet in the cache.
    Committed,
    /// The credentials are about to be invalidated.
    Invalidating,
    /// The lease is about to be released.
    Releasing,
}

#[cfg(feature = "testing")]
impl Failpoint {
    /// All failpoints, in the order of a refresh.
    pub const ALL: [Self; 9] = [
        Self::Loaded,
        Self::Leasing,
        Self::Leased,
        Self::Answered,
        Self::InDoubt,
        Self::Committing,
        Self::Committed,
        Self::Invalidating,
        Self::Releasing,
    ];
}

/// A test's function: the task goes on when its future is ready.
#[cfg(feature = "testing")]
pub(crate) type FailpointHook =
    Box<dyn Fn(Failpoint) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;
