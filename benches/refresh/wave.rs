//! Many subjects that need a refresh each, against a bare client that makes the same calls.

use std::time::Duration;

use http::{Request, StatusCode};
use notion_auth::{NotionAuthProvider, Subject};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::{
    api::{Api, Client},
    bare::Bare,
    crowd::at_a_time,
    heap::{Heap, counted},
    notion::{Notion, runtime, runtime_of_threads},
    support::{
        cpu,
        goal::{Want, goal},
        inner::{name, request},
        progress,
        statistics::median,
        table::{table, thousands},
    },
};

/// Each call leaves a port behind for a minute, and each round has a server of its own, so that the
/// ports of one round are enough.
const SUBJECTS: usize = 10_000;
const ROUNDS: usize = 7;

/// Enough that neither side waits for the other, and few enough for any server's backlog.
const IN_FLIGHT: usize = 64;

pub(crate) struct Report {
    threads: Pairs,
    one_thread: Pairs,
    connected: Heap,
    refreshed: Heap,
}

/// What a refresh took.
struct Speed {
    wall: Duration,
    /// The client's thread.
    cpu: Option<Duration>,
}

pub(crate) fn measure() -> Report {
    progress::show("wave: memory");
    let (connected, refreshed) = memory();
    let (mut threads, mut one_thread) = (Pairs::default(), Pairs::default());
    for round in 0..=ROUNDS {
        progress::show(&format!("wave: {round} of {ROUNDS}"));
        for (pairs, runtime) in [
            (&mut threads, runtime_of_threads as fn() -> Runtime),
            (&mut one_thread, runtime),
        ] {
            let pair = (round_of_ours(&runtime()), round_of_bare(&runtime()));
            // The first one warms up.
            if round > 0 {
                pairs.0.push(pair);
            }
        }
    }
    Report {
        threads,
        one_thread,
        connected,
        refreshed,
    }
}

/// Subjects whose tokens are at hand, and no good.
struct Wave {
    _provider: NotionAuthProvider,
    client: Client,
}

impl Wave {
    fn new(notion: &Notion) -> Self {
        let provider = notion.provider().build().expect("a provider");
        let mut ended = Vec::with_capacity(SUBJECTS);
        runtime().block_on(async {
            for number in 0..SUBJECTS {
                let grant = notion.mock.connect();
                let subject = Subject::new(name(number));
                let stored = provider.store_credentials(&subject, grant).await;
                stored.expect("the credentials are stored");
                let acquired = provider.acquire(&subject).await.expect("a token");
                ended.push(acquired.expose_token().to_owned());
            }
        });
        let client = Api::new(ended, 1).behind(&provider);
        Self {
            _provider: provider,
            client,
        }
    }

    fn run(&self, runtime: &Runtime, requests: Vec<Request<()>>) -> Speed {
        let client = self.client.clone();
        speed(runtime, requests, move |request| {
            let answer = client.clone().oneshot(request);
            async move {
                let answer = answer.await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::OK);
            }
        })
    }
}

fn requests() -> Vec<Request<()>> {
    (0..SUBJECTS).map(request).collect()
}

fn speed<I, F, W>(runtime: &Runtime, items: Vec<I>, work: W) -> Speed
where
    I: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
    W: Fn(I) -> F + Clone + Send + 'static,
{
    let before = cpu::of_this_thread();
    let wall = runtime.block_on(at_a_time(IN_FLIGHT, items, work));
    let cpu = before.and_then(|before| Some(cpu::of_this_thread()? - before));
    Speed { wall, cpu }
}

fn round_of_ours(runtime: &Runtime) -> Speed {
    let notion = Notion::start(Duration::ZERO);
    let wave = Wave::new(&notion);
    let speed = wave.run(runtime, requests());
    check(&notion);
    speed
}

fn round_of_bare(runtime: &Runtime) -> Speed {
    let notion = Notion::start(Duration::ZERO);
    let grants = (0..SUBJECTS).map(|_| notion.mock.grant());
    let tokens = grants
        .map(|grant| grant.refresh_token().expect("a refresh token").to_owned())
        .collect();
    let bare = Bare::of(&notion.mock);
    let speed = speed(runtime, tokens, move |token| bare.clone().refresh(token));
    check(&notion);
    speed
}

fn check(notion: &Notion) {
    let ledger = notion.mock.ledger();
    assert_eq!(ledger.refreshes().len(), SUBJECTS, "one for each subject");
    assert!(ledger.refresh_token_reuses().is_empty(), "each token once");
}

/// What subjects take when they are connected, and what a refresh of each adds.
fn memory() -> (Heap, Heap) {
    let notion = Notion::start(Duration::ZERO);
    // What is made once is made before.
    drop(Wave::new(&notion));
    let (provider, connected) = counted(|| {
        let provider = notion.provider().build().expect("a provider");
        runtime().block_on(async {
            for number in 0..SUBJECTS {
                let subject = Subject::new(name(number));
                let stored = provider.store_credentials(&subject, notion.mock.connect());
                stored.await.expect("the credentials are stored");
            }
        });
        provider
    });
    // What the API is told is not the provider's.
    let ended = runtime().block_on(async {
        let mut ended = Vec::new();
        for number in 0..SUBJECTS {
            let acquired = provider.acquire(&Subject::new(name(number))).await;
            ended.push(acquired.expect("a token").expose_token().to_owned());
        }
        ended
    });
    let wave = Wave {
        client: Api::new(ended, 1).behind(&provider),
        _provider: provider,
    };
    let (_, refreshed) = counted(|| wave.run(&runtime(), requests()));
    (connected, refreshed)
}

/// A round through the layer, and one of the bare client beside it.
#[derive(Default)]
struct Pairs(Vec<(Speed, Speed)>);

impl Pairs {
    fn ratio(&self) -> f64 {
        let ratio =
            |(ours, bare): &(Speed, Speed)| bare.wall.as_secs_f64() / ours.wall.as_secs_f64();
        median(self.0.iter().map(ratio))
    }

    fn per_second(&self, of: fn(&(Speed, Speed)) -> &Speed) -> String {
        let speeds = self.0.iter().map(of);
        thousands(median(
            speeds.map(|speed| SUBJECTS as f64 / speed.wall.as_secs_f64()),
        ))
    }

    /// Microseconds of processor time for a refresh.
    fn cpu(&self, of: fn(&(Speed, Speed)) -> &Speed) -> String {
        let speeds = self.0.iter().map(of);
        let cpu: Vec<f64> = speeds
            .filter_map(|speed| Some(speed.cpu?.as_secs_f64() * 1e6 / SUBJECTS as f64))
            .collect();
        if cpu.is_empty() {
            "not known".to_owned()
        } else {
            format!("{:.1}", median(cpu))
        }
    }
}

impl Report {
    pub(crate) fn print(&self) {
        let title = format!(
            "{} subjects, a refresh for each, {IN_FLIGHT} at a time, medians of {ROUNDS} rounds:",
            thousands(SUBJECTS as f64)
        );
        let row = |name: &str, of: fn(&(Speed, Speed)) -> &Speed| {
            vec![
                name.to_owned(),
                self.threads.per_second(of),
                self.one_thread.per_second(of),
                self.one_thread.cpu(of),
            ]
        };
        let ratios = vec![
            "against the bare client".to_owned(),
            format!("{:.2}", self.threads.ratio()),
            format!("{:.2}", self.one_thread.ratio()),
            String::new(),
        ];
        let head = [
            "",
            "a second, all threads",
            "a second, one thread",
            "that thread's processor time, µs a refresh",
        ];
        let rows = [
            row("through the layer", |pair| &pair.0),
            row("bare client", |pair| &pair.1),
            ratios,
        ];
        table(&title, &head, &rows);

        let row = |name: &str, heap: &Heap| {
            vec![
                name.to_owned(),
                thousands(heap.most),
                thousands(heap.left),
                thousands(heap.left / SUBJECTS as f64),
            ]
        };
        table(
            "The heap, in bytes, store in memory and cache together:",
            &["", "at most", "afterwards", "afterwards, a subject"],
            &[
                row("subjects are connected", &self.connected),
                row("the wave, beyond that", &self.refreshed),
            ],
        );
    }

    pub(crate) fn goals(&self) -> bool {
        goal(
            "wave: refreshes per second against a bare client",
            self.threads.ratio(),
            Want::AtLeast,
            Some(0.7),
            0.9,
        )
    }
}
