//! Two threads at once, on one subject and on different ones.

use std::{sync::Barrier, thread, time::Instant};

use http::Request;
use tower::Service;

use super::hits::{TH2, refreshing, th2};
use crate::support::{
    inner::{Inner, forget_sent, make_room, request, send},
    processes::report,
    residents::{Expiry, provider},
    statistics::median,
};

const ROUNDS: usize = 31;
const BATCHES: usize = 40;
/// How many requests each thread sends from one start.
const TOGETHER: usize = 256;

pub(crate) fn measure() {
    let provider = provider(1_000, Expiry::Unknown);
    let ours = refreshing(&provider);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let floor = both(Inner, [1, 2]);
        let th2 = both(th2(), [1, 2]) - floor;
        let one = both(ours.clone(), [1, 1]) - floor;
        let two = both(ours.clone(), [1, 2]) - floor;
        rounds.push((th2, one, two));
    }
    let tell = |name: &str, of: fn(&(f64, f64, f64)) -> f64| {
        report(
            &format!("{name}: ns over floor"),
            median(rounds.iter().map(of)),
        );
        let ratios = rounds.iter().map(|round| of(round) / round.0);
        report(&format!("{name}: ratio"), median(ratios));
    };
    tell(&format!("two threads, {TH2}"), |round| round.0);
    tell("two threads, one subject", |round| round.1);
    tell("two threads, two subjects", |round| round.2);
}

/// What one request takes each of two threads while the other does the same: they start together, and
/// prepare nothing meanwhile.
fn both<S>(service: S, subjects: [usize; 2]) -> f64
where
    S: Service<Request<()>> + Clone + Send,
{
    let start = Barrier::new(2);
    let times = thread::scope(|scope| {
        let threads = subjects.map(|subject| {
            let mut service = service.clone();
            let start = &start;
            scope.spawn(move || {
                make_room(TOGETHER);
                median((0..BATCHES).map(|_| {
                    let requests: Vec<_> = (0..TOGETHER).map(|_| request(subject)).collect();
                    start.wait();
                    let begin = Instant::now();
                    for request in requests {
                        send(&mut service, request);
                    }
                    let time = begin.elapsed();
                    forget_sent();
                    time.as_nanos() as f64 / TOGETHER as f64
                }))
            })
        });
        threads.map(|thread| thread.join().expect("it ends"))
    });
    (times[0] + times[1]) / 2.0
}
