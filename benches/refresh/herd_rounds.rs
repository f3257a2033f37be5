//! Herds of several sizes, and what they leave behind.

use std::time::Duration;

use crate::{
    heap::{Heap, counted},
    herd::{Run, Scene, Stale},
    notion::{runtime, runtime_of_threads},
    support::{
        goal::{Want, goal},
        progress,
        statistics::median,
        table::{table, thousands},
    },
};

const HERD: usize = 10_000;
const ROUNDS: usize = 21;
const TOKEN_CALL: Duration = Duration::from_millis(50);

/// More of them than the goals are about: would twice as many take more than twice the time?
const SIZES: [usize; 5] = [1_000, 5_000, HERD, 20_000, 40_000];
const ROUNDS_OF_SIZES: usize = 3;

/// The sizes of herds that are compared in memory.
const FEW: usize = HERD / 10;

pub(crate) struct Report {
    refused: Rounds,
    expired: Rounds,
    bare: Rounds,
    sizes: Vec<Rounds>,
    memory: [(usize, Heap); 2],
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Refused,
    Expired,
    Bare,
}

struct Rounds {
    size: usize,
    /// One token call alone, and the herd after it.
    runs: Vec<(Duration, Run)>,
}

pub(crate) fn measure() -> Report {
    let runtime = runtime_of_threads();
    let mut scene = Scene::new(TOKEN_CALL);
    let mut rounds = |kind, size, count| {
        // The first one warms up.
        let runs = (0..=count).map(|round| {
            progress::show(&format!("herd of {size}, {kind:?}: {round} of {count}"));
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
        let runs = runs.skip(1).collect();
        Rounds { size, runs }
    };
    let refused = rounds(Kind::Refused, HERD, ROUNDS);
    let expired = rounds(Kind::Expired, HERD, ROUNDS);
    let bare = rounds(Kind::Bare, HERD, ROUNDS);
    let sizes = SIZES.map(|size| rounds(Kind::Refused, size, ROUNDS_OF_SIZES));
    Report {
        refused,
        expired,
        bare,
        sizes: sizes.into(),
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

impl Rounds {
    fn median(&self, of: impl Fn(&(Duration, Run)) -> Duration) -> f64 {
        median(self.runs.iter().map(|run| of(run).as_secs_f64() * 1e3))
    }

    fn ratio(&self) -> f64 {
        let ratios = self.runs.iter();
        median(ratios.map(|(alone, herd)| herd.whole.as_secs_f64() / alone.as_secs_f64()))
    }

    fn presentations(&self) -> usize {
        let presentations = self.runs.iter().map(|(_, herd)| herd.presentations);
        presentations.max().unwrap_or(0)
    }

    fn row(&self, first: String) -> Vec<String> {
        let cpu: Vec<f64> = self
            .runs
            .iter()
            .filter_map(|(_, herd)| Some(herd.cpu?.as_secs_f64() * 1e6 / self.size as f64))
            .collect();
        let cpu = if cpu.is_empty() {
            "not known".to_owned()
        } else {
            format!("{:.2}", median(cpu))
        };
        let after_refresh = self.median(|(_, herd)| herd.whole - herd.refreshed);
        vec![
            first,
            format!("{}", self.presentations()),
            format!("{:.1}", self.median(|(alone, _)| *alone)),
            format!("{:.1}", self.median(|(_, herd)| herd.refreshed)),
            format!("{:.1}", self.median(|(_, herd)| herd.whole)),
            format!("{:.2}", self.ratio()),
            format!("{:.2}", after_refresh * 1e3 / self.size as f64),
            cpu,
        ]
    }
}

const HEAD: [&str; 7] = [
    "presentations, most",
    "one token call alone, ms",
    "herd until refreshed, ms",
    "herd until the last answer, ms",
    "against one token call",
    "from the refresh on, µs a request",
    "processor time of all threads, µs a request",
];

impl Report {
    pub(crate) fn print(&self) {
        let head = |first| {
            let mut head = vec![first];
            head.extend(HEAD);
            head
        };
        let title = format!(
            "{} requests at once for one subject, a token call of {} ms, medians of {ROUNDS} rounds:",
            thousands(HERD as f64),
            TOKEN_CALL.as_millis()
        );
        let rows = [
            self.refused.row("refused by the API".to_owned()),
            self.expired.row("known to have expired".to_owned()),
            self.bare.row("without the layer".to_owned()),
        ];
        table(&title, &head("token"), &rows);

        let title = format!("The same by size, refused, medians of {ROUNDS_OF_SIZES} rounds:");
        let rows: Vec<_> = self
            .sizes
            .iter()
            .map(|rounds| rounds.row(thousands(rounds.size as f64)))
            .collect();
        table(&title, &head("requests"), &rows);

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
        let both = [&self.refused, &self.expired];
        let most = both.map(Rounds::presentations).into_iter().max();
        let slowest = both.map(Rounds::ratio).into_iter().fold(0.0, f64::max);
        let [few, many] = &self.memory;
        let grown = (many.1.left - few.1.left) / (many.0 - few.0) as f64;
        let goals = [
            goal(
                "herd: presentations",
                most.unwrap_or(0) as f64,
                Want::AtMost,
                Some(1.0),
                1.0,
            ),
            goal(
                "herd: wall time against one token call",
                slowest,
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
