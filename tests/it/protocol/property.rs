//! Random histories of a small cluster, checked against all invariants.
//!
//! `PROTOCOL_CASES` is the number of cases (2,000 by default), and `PROTOCOL_SEED` the first seed. A
//! failing case prints how to repeat it.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use notion_auth::{Subject, provider::Failpoint, store::Lineage, testing::MockNotion};
use tokio::{task::JoinSet, time::sleep};

use crate::progress::Progress;

use super::{
    cluster::Cluster, life::Stop, oracle, record::edit, store::StoreFault, wire::WireFault,
};

/// An operation of a history.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Request {
        process: usize,
        subject: usize,
    },
    Ask {
        process: usize,
        subject: usize,
    },
    Refuse {
        subject: usize,
    },
    UserRevokes {
        subject: usize,
    },
    Pass(Duration),
    WallForward {
        process: usize,
        by: Duration,
    },
    WallBack {
        process: usize,
        by: Duration,
    },
    Wire(WireFault),
    Store(StoreFault),
    StoreDown(Duration),
    StopAt {
        process: usize,
        at: Failpoint,
        stop: Stop,
    },
    StopNow {
        process: usize,
        stop: Stop,
    },
    Restart {
        process: usize,
    },
    Reconnect {
        subject: usize,
    },
    Disconnect {
        subject: usize,
    },
    /// Through a process, which may have read the record before.
    Delete {
        process: usize,
        subject: usize,
    },
    /// A day passes, and tombstones are removed.
    Purge,
    /// The record is encrypted again.
    ReEncrypt {
        subject: usize,
    },
    /// An operator reverts an invalidation.
    Reinstate {
        subject: usize,
    },
    /// The store's clock is adjusted, in seconds.
    StoreClock {
        by: i32,
    },
}

const PROCESSES: usize = 3;
const SUBJECTS: usize = 2;

fn operation(random: &mut fastrand::Rng) -> Operation {
    let process = random.usize(..PROCESSES);
    let subject = random.usize(..SUBJECTS);
    let seconds =
        |random: &mut fastrand::Rng, most| Duration::from_millis(random.u64(..most * 1000_u64));
    let stop = if random.bool() {
        Stop::Die
    } else {
        Stop::Sleep(seconds(random, 200))
    };
    match random.u32(..100) {
        0..30 => Operation::Request { process, subject },
        30..34 => Operation::Ask { process, subject },
        34..48 => Operation::Refuse { subject },
        48..49 => Operation::UserRevokes { subject },
        49..60 => Operation::Pass(seconds(random, 150)),
        60..62 => Operation::WallForward {
            process,
            by: seconds(random, 300),
        },
        62..63 => Operation::WallBack {
            process,
            by: seconds(random, 300),
        },
        63..75 => Operation::Wire(WireFault::ALL[random.usize(..WireFault::ALL.len())]),
        75..82 => Operation::Store(match random.u32(..4) {
            0 => StoreFault::None,
            1 => StoreFault::Refuse,
            2 => StoreFault::Lose,
            _ => StoreFault::Slow(seconds(random, 12)),
        }),
        82..84 => Operation::StoreDown(seconds(random, 120)),
        84..91 => Operation::StopAt {
            process,
            at: Failpoint::ALL[random.usize(..Failpoint::ALL.len())],
            stop,
        },
        91..92 => Operation::StopNow { process, stop },
        92..95 => Operation::Restart { process },
        95..97 => Operation::Reconnect { subject },
        97 => Operation::Disconnect { subject },
        98 if random.bool() => Operation::Delete { process, subject },
        98 if random.u32(..4) == 0 => Operation::Purge,
        98 => Operation::Reinstate { subject },
        _ if random.bool() => Operation::ReEncrypt { subject },
        _ => Operation::StoreClock {
            by: random.i32(-300..300),
        },
    }
}

/// Runs a case. Returns its operations, and the violated invariants.
async fn run(seed: u64) -> (Vec<Operation>, Vec<String>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut notion = MockNotion::builder()
        .family_revocation(random.bool())
        .keep_old_access_tokens(random.bool());
    if random.bool() {
        notion = notion.grace(Duration::from_secs(60));
    }
    let expires = random.u32(..4) == 0;
    if expires {
        notion = notion.expires_in(random.u32(..600));
    }
    let mut cluster = Cluster::new(notion.in_process(), PROCESSES, seed);
    let mut subjects = Vec::new();
    for name in ["ann", "ben"] {
        let subject = Subject::new(name);
        let bot = cluster.connect(&subject).await;
        subjects.push((subject, bot));
    }

    let mut requests = JoinSet::new();
    let mut operations = Vec::new();
    for _ in 0..random.usize(5..40) {
        let operation = operation(&mut random);
        operations.push(operation);
        apply(&mut cluster, &subjects, &mut requests, operation).await;
        sleep(Duration::from_millis(random.u64(..2000))).await;
    }
    let mut broken = oracle::check(&mut cluster, &subjects).await;
    if !expires {
        oracle::one_refresh_for_a_refusal(&cluster, &mut broken);
    }
    requests.abort_all();
    (operations, broken)
}

async fn apply(
    cluster: &mut Cluster,
    subjects: &[(Subject, String)],
    requests: &mut JoinSet<()>,
    operation: Operation,
) {
    match operation {
        Operation::Request { process, subject } => {
            let request = cluster.request(&cluster.processes[process], &subjects[subject].0);
            requests.spawn(async move { drop(request.await) });
        }
        Operation::Ask { process, subject } => {
            let provider = cluster.processes[process].provider.clone();
            let subject = subjects[subject].0.clone();
            cluster.history.events().asked.insert(subject.clone());
            requests.spawn(async move { drop(provider.refresh(&subject).await) });
        }
        Operation::Refuse { subject } => cluster.refuse(&subjects[subject].1),
        Operation::UserRevokes { subject } => {
            let living = cluster.notion.ledger().living_pair(&subjects[subject].1);
            if let Some((_, refresh)) = living {
                cluster.notion.revoke_grant(&refresh);
            }
        }
        Operation::Pass(time) => sleep(time).await,
        Operation::WallForward { process, by } => {
            cluster.processes[process].clock.step_wall_forward(by);
        }
        Operation::WallBack { process, by } => {
            cluster.processes[process].clock.step_wall_back(by);
        }
        Operation::Wire(fault) => cluster.wire_faults.push(fault),
        Operation::Store(fault) => cluster.store_faults.push(fault),
        Operation::StoreDown(time) => {
            cluster.store_faults.set_down(true);
            sleep(time).await;
            cluster.store_faults.set_down(false);
        }
        Operation::StopAt { process, at, stop } => cluster.processes[process].life.arm(at, stop),
        Operation::StopNow { process, stop } => cluster.processes[process].life.stop(stop),
        Operation::Restart { process } => cluster.restart(process),
        Operation::Reconnect { subject } => {
            cluster.connect(&subjects[subject].0).await;
        }
        Operation::Disconnect { subject } => {
            let provider = &cluster.operator.provider;
            provider.disconnect(&subjects[subject].0).await.unwrap();
        }
        Operation::Delete { process, subject } => {
            let deleting = cluster.delete(process, &subjects[subject].0);
            requests.spawn(async move { drop(deleting.await) });
        }
        Operation::Purge => {
            sleep(Duration::from_secs(25 * 3600)).await;
            cluster.operator.provider.purge_expired().await.unwrap();
        }
        Operation::ReEncrypt { subject } => {
            let subject = &subjects[subject].0;
            let record = cluster.record(subject).await;
            if record.is_some_and(|record| record.lease.is_none()) {
                edit(&cluster.store, subject, |_, _| {}).await;
            }
        }
        Operation::Reinstate { subject } => {
            let subject = &subjects[subject].0;
            let record = cluster.record(subject).await;
            if let Some(record) = record.filter(|record| record.reason().is_some()) {
                let lineage: Lineage = record.lineage.parse().unwrap();
                let provider = &cluster.operator.provider;
                let reinstated = provider.reinstate(subject, lineage, record.generation);
                assert!(reinstated.await.unwrap());
            }
        }
        Operation::StoreClock { by } => cluster.store_faults.step_clock(by),
    }
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}: {text}")),
        Err(_) => default,
    }
}

/// I1 to I6 and I8.
#[test]
fn random_histories_keep_all_invariants() {
    let cases = number("PROTOCOL_CASES", 2000);
    let first = number("PROTOCOL_SEED", 1);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let progress = Progress::of(cases, "cases");
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= cases {
                        return;
                    }
                    let seed = first.wrapping_add(case);
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .start_paused(true)
                        .build()
                        .unwrap();
                    let (operations, broken) = runtime.block_on(run(seed));
                    if !broken.is_empty() {
                        // The other threads stop after their current case.
                        next.store(cases, Ordering::Relaxed);
                        panic!(
                            "{broken:#?}\nafter {operations:#?}\nrepeat it by: \
                             PROTOCOL_CASES=1 PROTOCOL_SEED={seed} cargo test --test it protocol"
                        );
                    }
                    progress.show(case + 1, "none broken");
                }
            });
        }
    });
}
