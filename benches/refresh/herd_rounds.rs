//! Herds of several sizes, and what they leave behind.

use std::time::Duration;

use crate::{
    heap::{Heap, counted},
    herd::{Run, Scene, Stale},
    notion::{runtime, runtime_of_threads},
    support::{
        goal::{Want, goal},
        processes::{self, Reports, report},
        progress,
        statistics::median,
        table::{table, thousands},
    },
};

const HERD: usize = 10_000;
const TOKEN_CALL: Duration = Duration::from_millis(50);

/// Of one process; several of them decide, since each has a speed of its own.
const ROUNDS: usize = 7;

/// More of them than the goals are about: would twice as many take more than twice the time?
const SIZES: [usize; 5] = [1_000, 5_000, HERD, 20_000, 40_000];

/// The sizes of herds that are compared in memory.
const FEW: usize = HERD / 10;

const KINDS: [(Kind, &str); 3] = [
    (Kind::Refused, "refused by the API"),
    (Kind::Expired, "known to have expired"),
    (Kind::Bare, "without the layer"),
];

pub(crate) struct Report {
    processes: usize,
    rounds: Reports,
    memory: [(usize, Heap); 2],
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Refused,
    Expired,
    Bare,
}

/// What is told of several rounds, in the order of the tables' columns.
const FIGURES: [&str; 7] = [
    "presentations, most",
    "one token call alone, ms",
    "herd until refreshed, ms",
    "herd until the last answer, ms",
    "against one token call",
    "from the refresh on, µs a request",
    "processor time of all threads, µs a request",
];
const PRESENTATIONS: usize = 0;
const RATIO: usize = 4;

fn name(kind: Kind, size: usize, figure: &str) -> String {
    format!("{kind:?} {size}: {figure}")
}

/// One process of those that decide: all rounds of it, each kind and size.
pub(crate) fn measure_rounds() {
    let runtime = runtime_of_threads();
    let mut scene = Scene::new(TOKEN_CALL);
    let mut rounds = |kind, size, count| {
        // The first one warms up.
        let runs = (0..=count).map(|_| {
            runtime.block_on(async {
                let alone = scene.one_token_call().await;
                let stale = match kind {
                    Kind::Refused => Stale::Refused,
                    Kind::Expired | Kind::Bare => Stale::Expired,
                };
                let herd = scene.prepare(stale, size).await;
                let run = match kind {
                    Kind::Bare => scene.run_bare(&herd).await,
                    Kind::Refused | Kind::Expired => scene.run(&herd).await,
                };
                (alone, run)
            })
        });
        tell(kind, size, &runs.skip(1).collect::<Vec<_>>());
    };
    for (kind, _) in KINDS {
        rounds(kind, HERD, ROUNDS);
    }
    for size in SIZES.into_iter().filter(|size| *size != HERD) {
        rounds(Kind::Refused, size, 1);
    }
}

/// `runs`: one token call alone, and the herd after it.
fn tell(kind: Kind, size: usize, runs: &[(Duration, Run)]) {
    let milliseconds = |of: fn(&(Duration, Run)) -> Duration| {
        median(runs.iter().map(|run| of(run).as_secs_f64() * 1e3))
    };
    let each = 1e3 / size as f64;
    let presentations = runs.iter().map(|(_, herd)| herd.presentations);
    let ratios = runs.iter();
    let ratios = ratios.map(|(alone, herd)| herd.whole.as_secs_f64() / alone.as_secs_f64());
    let cpu = runs.iter().map(|(_, herd)| herd.cpu);
    let figures = [
        presentations.max().unwrap_or(0) as f64,
        milliseconds(|(alone, _)| *alone),
        milliseconds(|(_, herd)| herd.refreshed),
        milliseconds(|(_, herd)| herd.whole),
        median(ratios),
        milliseconds(|(_, herd)| herd.whole.saturating_sub(herd.refreshed)) * each,
        // NaN where the system does not tell.
        median(cpu.map(|cpu| cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e3))) * each,
    ];
    for (figure, value) in FIGURES.into_iter().zip(figures) {
        report(&name(kind, size, figure), value);
    }
}

pub(crate) fn measure() -> Report {
    let processes = processes::repeats();
    Report {
        processes,
        rounds: processes::run("herd", processes),
        memory: memory(),
    }
}

/// What herds of two sizes leave on the heap, after one that leaves what is left only once.
fn memory() -> [(usize, Heap); 2] {
    progress::show("herd: memory");
    let mut scene = Scene::new(TOKEN_CALL);
    let mut heap_of = |size| {
        let herd = runtime().block_on(scene.prepare(Stale::Refused, size));
        // The runtime goes too: its queues keep the size that they grew to.
        let (_, heap) = counted(|| runtime().block_on(scene.run(&herd)).whole);
        heap
    };
    heap_of(HERD);
    [FEW, HERD].map(|size| (size, heap_of(size)))
}

impl Report {
    fn figure(&self, kind: Kind, size: usize, figure: usize) -> f64 {
        let name = name(kind, size, FIGURES[figure]);
        if figure == PRESENTATIONS {
            self.rounds.of(&name).fold(0.0, f64::max)
        } else {
            self.rounds.median(&name)
        }
    }

    fn row(&self, first: String, kind: Kind, size: usize) -> Vec<String> {
        let decimals = [0, 1, 1, 1, 2, 2, 2];
        let figures = decimals.iter().enumerate();
        let figures =
            figures.map(|(at, decimals)| format!("{:.decimals$}", self.figure(kind, size, at)));
        [first].into_iter().chain(figures).collect()
    }

    pub(crate) fn print(&self) {
        let head = |first| {
            let mut head = vec![first];
            head.extend(FIGURES);
            head
        };
        let title = format!(
            "{} requests at once for one subject, a token call of {} ms; medians of {ROUNDS} rounds, \
             and of {} processes:",
            thousands(HERD as f64),
            TOKEN_CALL.as_millis(),
            self.processes
        );
        let rows = KINDS.map(|(kind, text)| self.row(text.to_owned(), kind, HERD));
        table(&title, &head("token"), &rows);

        let rows = SIZES.map(|size| self.row(thousands(size as f64), Kind::Refused, size));
        table(
            "The same by size, refused by the API:",
            &head("requests"),
            &rows,
        );

        let rows = self.memory.iter().map(|(size, heap)| {
            vec![
                thousands(*size as f64),
                thousands(heap.most),
                thousands(heap.most / *size as f64),
                thousands(heap.left),
            ]
        });
        table(
            "The heap over a herd, in bytes, on one thread:",
            &["requests", "at most", "at most, a request", "afterwards"],
            &rows.collect::<Vec<_>>(),
        );
    }

    pub(crate) fn goals(&self) -> bool {
        let worst = |figure| {
            let both = [Kind::Refused, Kind::Expired];
            both.map(|kind| self.figure(kind, HERD, figure))
                .into_iter()
                .fold(0.0, f64::max)
        };
        let [few, many] = &self.memory;
        let grown = (many.1.left - few.1.left) / (many.0 - few.0) as f64;
        let goals = [
            goal(
                "herd: presentations",
                worst(PRESENTATIONS),
                Want::AtMost,
                Some(1.0),
                1.0,
            ),
            goal(
                "herd: wall time against one token call",
                worst(RATIO),
                Want::AtMost,
                Some(1.5),
                1.2,
            ),
            goal(
                "herd: bytes left on the heap by each waiter",
                grown,
                Want::AtMost,
                Some(0.0),
                0.0,
            ),
        ];
        goals.iter().all(|met| *met)
    }
}
