//! What happens to which replica, and to calls of the token endpoint.

use notion_auth::{provider::Failpoint, testing::notion::Fault};

use super::cluster::REPLICAS;

#[derive(Clone, Copy, Debug)]
pub(super) enum Disruption {
    /// SIGKILL, when the failpoint is reached for the nth time.
    KillAt(Failpoint, u32),
    /// SIGSTOP there, and SIGCONT when other processes may have taken its lease over.
    SuspendAt(Failpoint, u32),
    /// SIGKILL, so many milliseconds after the round began.
    KillAfter(u64),
}

/// The failpoints that are reached without a fault of the server.
const ALWAYS_REACHED: [Failpoint; 6] = [
    Failpoint::Loaded,
    Failpoint::Leasing,
    Failpoint::Leased,
    Failpoint::Answered,
    Failpoint::Committing,
    Failpoint::Committed,
];

impl Disruption {
    fn random(random: &mut fastrand::Rng) -> Self {
        let failpoints: &[Failpoint] = if random.u8(..4) == 0 {
            &Failpoint::ALL
        } else {
            &ALWAYS_REACHED
        };
        let failpoint = failpoints[random.usize(..failpoints.len())];
        let times = random.u32(1..=3);
        match random.u8(..10) {
            0..7 => Self::KillAt(failpoint, times),
            7 => Self::SuspendAt(failpoint, times),
            _ => Self::KillAfter(random.u64(..1200)),
        }
    }
}

/// Some replicas, each with what happens to it in a round.
pub(super) fn of_a_round(random: &mut fastrand::Rng, most: usize) -> Vec<(usize, Disruption)> {
    let mut replicas: Vec<usize> = (0..REPLICAS).collect();
    random.shuffle(&mut replicas);
    // One is left alone, so that one always runs.
    replicas.truncate(most.min(REPLICAS - 1));
    replicas
        .into_iter()
        .map(|replica| (replica, Disruption::random(random)))
        .collect()
}

/// The faults of some calls of the token endpoint.
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
