//! The named moments of a refresh, at which tests can stop a process.

use super::flight::Flight;

/// A moment of a refresh. Between any two of them a process may be stopped for good, or for a
/// while, and nothing may be lost but what `DESIGN.md` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "only tests reach it")
)]
pub enum Point {
    /// The record has been read.
    Read,
    /// The token is about to be claimed.
    Claiming,
    /// The claim is in the store.
    Claimed,
    /// The token endpoint has given a definite answer, or none that can be had.
    Answered,
    /// It is not known what became of the call; the pause before a replay begins.
    InDoubt,
    /// The new pair is about to be saved.
    Saving,
    /// The new pair is in the store, and nobody has been given it yet.
    Saved,
    /// The credentials are about to be condemned.
    Condemning,
    /// The claim is about to be given back.
    Releasing,
}

#[cfg(feature = "testing")]
impl Point {
    /// All of them, in the order of a refresh.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::Claiming,
        Self::Claimed,
        Self::Answered,
        Self::InDoubt,
        Self::Saving,
        Self::Saved,
        Self::Condemning,
        Self::Releasing,
    ];
}

/// Is asked at each point of each refresh, and holds the flight up for as long as its future takes.
#[cfg(feature = "testing")]
pub(super) type Interrupt =
    Box<dyn Fn(Point) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Flight {
    #[cfg(feature = "testing")]
    pub(super) async fn reach(&self, point: Point) {
        if let Some(interrupt) = &self.shared.interrupt {
            interrupt(point).await;
        }
    }

    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_async, reason = "where there is a test, it waits")]
    pub(super) async fn reach(&self, _: Point) {}
}
