//! What is done to whom.

use notion_auth::{provider::Point, testing::notion::Fault};

use super::cluster::REPLICAS;

#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    /// SIGKILL, when the point is reached for the so many-th time.
    KillAt(Point, u32),
    /// SIGSTOP there, and SIGCONT when others may have taken its claim over.
    SuspendAt(Point, u32),
    /// SIGKILL, so many milliseconds after the round began.
    KillAfter(u64),
}

/// The points that are reached without a fault of Notion's, and the others that need one.
const POINTS: [Point; 5] = [
    Point::Read,
    Point::Claiming,
    Point::Claimed,
    Point::Answered,
    Point::Saving,
];

impl Blow {
    pub(super) fn random(random: &mut fastrand::Rng) -> Self {
        let points: &[Point] = if random.u8(..4) == 0 {
            &Point::ALL
        } else {
            &POINTS
        };
        let point = points[random.usize(..points.len())];
        let times = random.u32(1..=3);
        match random.u8(..10) {
            0..7 => Self::KillAt(point, times),
            7 => Self::SuspendAt(point, times),
            _ => Self::KillAfter(random.u64(..1200)),
        }
    }
}

/// Some replicas, each with what happens to it.
pub(super) fn of_a_round(random: &mut fastrand::Rng, most: usize) -> Vec<(usize, Blow)> {
    let mut replicas: Vec<usize> = (0..REPLICAS).collect();
    random.shuffle(&mut replicas);
    // One is left alone, so that somebody is always there.
    replicas.truncate(most.min(REPLICAS - 1));
    replicas
        .into_iter()
        .map(|replica| (replica, Blow::random(random)))
        .collect()
}

/// What goes wrong with some calls of the token endpoint.
pub(super) fn faults(random: &mut fastrand::Rng) -> Vec<Fault> {
    let kinds = [
        Fault::DropBefore,
        Fault::StatusBefore(503),
        Fault::StatusAfter(500),
        Fault::DropAfter,
        Fault::RateLimited {
            retry_after: Some(1),
        },
    ];
    (0..random.usize(..3))
        .map(|_| kinds[random.usize(..kinds.len())].clone())
        .collect()
}
