//! Many subjects that need a refresh each, against a bare client that makes the same calls.

use std::time::Duration;

use http::{Request, StatusCode};
use notion_auth::{NotionAuthProvider, Subject};
use tower::ServiceExt;

use crate::{
    api::{Api, Client},
    bare::Bare,
    crowd::at_a_time,
    heap::{Heap, counted},
    notion::{Notion, runtime},
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
    ours: Vec<Speed>,
    bare: Vec<Speed>,
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
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        progress::show(&format!("wave: {round} of {ROUNDS}"));
        let both = (round_of_ours(), round_of_bare());
        // The first one warms up.
        if round > 0 {
            ours.push(both.0);
            bare.push(both.1);
        }
    }
    Report {
        ours,
        bare,
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

    fn run(&self, requests: Vec<Request<()>>) -> Speed {
        let client = self.client.clone();
        speed(requests, move |request| {
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

fn speed<I, F, W>(items: Vec<I>, work: W) -> Speed
where
    I: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
    W: Fn(I) -> F + Clone + Send + 'static,
{
    let runtime = runtime();
    let before = cpu::of_this_thread();
    let wall = runtime.block_on(at_a_time(IN_FLIGHT, items, work));
    let cpu = before.and_then(|before| Some(cpu::of_this_thread()? - before));
    Speed { wall, cpu }
}

fn round_of_ours() -> Speed {
    let notion = Notion::start(Duration::ZERO);
    let wave = Wave::new(&notion);
    let speed = wave.run(requests());
    check(&notion);
    speed
}

fn round_of_bare() -> Speed {
    let notion = Notion::start(Duration::ZERO);
    let grants = (0..SUBJECTS).map(|_| notion.mock.grant());
    let tokens = grants
        .map(|grant| grant.refresh_token().expect("a refresh token").to_owned())
        .collect();
    let bare = Bare::of(&notion.mock);
    let speed = speed(tokens, move |token| bare.clone().refresh(token));
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
    let (_, refreshed) = counted(|| wave.run(requests()));
    (connected, refreshed)
}

impl Report {
    fn ratio(&self) -> f64 {
        let pairs = self.ours.iter().zip(&self.bare);
        median(pairs.map(|(ours, bare)| bare.wall.as_secs_f64() / ours.wall.as_secs_f64()))
    }

    pub(crate) fn print(&self) {
        let title = format!(
            "{} subjects, a refresh for each, {IN_FLIGHT} at a time, medians of {ROUNDS} rounds:",
            thousands(SUBJECTS as f64)
        );
        let row = |name: &str, speeds: &[Speed]| {
            let per_second = median(
                speeds
                    .iter()
                    .map(|speed| SUBJECTS as f64 / speed.wall.as_secs_f64()),
            );
            let cpu: Vec<f64> = speeds
                .iter()
                .filter_map(|speed| Some(speed.cpu?.as_secs_f64() * 1e6 / SUBJECTS as f64))
                .collect();
            let cpu = if cpu.is_empty() {
                "not known".to_owned()
            } else {
                format!("{:.1}", median(cpu))
            };
            vec![name.to_owned(), thousands(per_second), cpu]
        };
        let rows = [
            row("through the layer", &self.ours),
            row("bare client", &self.bare),
        ];
        let head = [
            "",
            "refreshes a second",
            "the client's processor time, µs a refresh",
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
            self.ratio(),
            Want::AtLeast,
            Some(0.7),
            0.9,
        )
    }
}
