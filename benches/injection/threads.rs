//! Two threads at the same time, on one subject and on different ones.

use std::{
    hint::spin_loop,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use http::Request;
use tower::Service;

use crate::{
    harness::{
        BEYOND, Goals, Inner, NS, Reports, forget_sent, median, number, provider, refreshing,
        report, request, reserve_sent, send, set_header_twice,
    },
    hits::{AGAINST, SUBJECTS},
};

const ROUNDS: usize = 31;
const BATCHES: usize = 40;
/// Number of requests that each thread sends per start.
const TOGETHER: usize = 256;

const TH2: &str = "two threads, th×2";
const ONE_SUBJECT: &str = "two threads, one subject";
const TWO_SUBJECTS: &str = "two threads, a subject each";
const WAY: &str = "a cache line's way from the one thread to the other";

/// Reports a request's time per thread, in nanoseconds over the bare service, and relative to two static
/// headers.
pub(crate) fn measure() {
    report(WAY, NS, median((0..ROUNDS).map(|_| way_of_a_line())));
    let ours = refreshing(&provider(SUBJECTS, None));
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let floor = both(Inner, [1, 2]);
            [
                both(set_header_twice(), [1, 2]) - floor,
                both(ours.clone(), [1, 1]) - floor,
                both(ours.clone(), [1, 2]) - floor,
            ]
        })
        .collect();
    for (at, name) in [TH2, ONE_SUBJECT, TWO_SUBJECTS].into_iter().enumerate() {
        report(name, BEYOND, median(rounds.iter().map(|round| round[at])));
        let ratios = rounds.iter().map(|round| round[at] / round[0]);
        report(name, AGAINST, median(ratios));
    }
}

/// Measures a request's time on each of two threads that run at the same time, including the drop, which
/// writes the token's reference count again. Both start together and prepare nothing in between.
fn both<S>(service: S, subjects: [usize; 2]) -> f64
where
    S: Service<Request<()>> + Clone + Send,
{
    let ready = &AtomicUsize::new(0);
    let times = thread::scope(|scope| {
        let threads = subjects.map(|subject| {
            let mut service = service.clone();
            scope.spawn(move || {
                reserve_sent(TOGETHER);
                median((1..=BATCHES).map(|batch| {
                    let requests: Vec<_> = (0..TOGETHER).map(|_| request(subject)).collect();
                    // A sleeping thread would wake up when the other one is done.
                    ready.fetch_add(1, Ordering::Relaxed);
                    while ready.load(Ordering::Relaxed) < 2 * batch {
                        spin_loop();
                    }
                    let begin = Instant::now();
                    for request in requests {
                        send(&mut service, request);
                    }
                    forget_sent();
                    begin.elapsed().as_nanos() as f64 / TOGETHER as f64
                }))
            })
        });
        threads.map(|thread| thread.join().expect("it ends"))
    });
    (times[0] + times[1]) / 2.0
}

/// Measures the minimum cost of a shared reference count: two threads pass a cache line to each other, in
/// nanoseconds.
fn way_of_a_line() -> f64 {
    const TURNS: usize = 10_000;
    /// Turns until both threads run, each on its own processor.
    const WARM_UP: usize = TURNS / 10;
    let number = AtomicUsize::new(0);
    let hand_over = |turn: usize| {
        while number.load(Ordering::Acquire) != turn {
            spin_loop();
        }
        number.store(turn + 1, Ordering::Release);
    };
    thread::scope(|scope| {
        scope.spawn(|| (1..2 * TURNS).step_by(2).for_each(hand_over));
        (0..2 * WARM_UP).step_by(2).for_each(hand_over);
        let begin = Instant::now();
        (2 * WARM_UP..2 * TURNS).step_by(2).for_each(hand_over);
        begin.elapsed().as_nanos() as f64 / (2 * (TURNS - WARM_UP)) as f64
    })
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    reports.table(
        "Two threads that send without a pause:",
        " | ns over the bare service | against th×2",
        &[TH2, ONE_SUBJECT, TWO_SUBJECTS],
    );
    let way = number(reports.get(WAY, NS));
    println!("For comparison, {WAY}: {way} ns.\n");
    let ratio = reports.get(ONE_SUBJECT, AGAINST);
    goals.set("two threads on one subject, against th×2 there", ratio);
}
