//! Thundering burst: many simultaneous requests for one subject whose access token is not valid any more.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use notion_auth::{NotionAuthProvider, Subject, provider::Event};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{
    harness::{Goals, Reports, name, number, repeats, report, request, summary},
    notion::{Api, ApiClient, Notion},
    work::{all_at_once, counted, cpu_of_all_threads, runtime, runtime_of_threads},
};

const BURST: usize = 10_000;
const TOKEN_CALL: Duration = Duration::from_millis(50);

/// Rounds of one process. Several processes are measured, because their speeds differ.
const ROUNDS: usize = 7;

/// More sizes than the goals need, to check that twice the size takes twice the time.
const SIZES: [usize; 5] = [1_000, 5_000, BURST, 20_000, 40_000];

/// Sizes whose memory is compared.
const MEMORY_SIZES: [usize; 2] = [BURST / 10, BURST];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every request is in progress with the token when the API begins to answer 401.
    Refused,
    /// The token is known to have expired before a request is sent.
    Expired,
    /// The minimum cost of such a burst: the same tasks wait with a deadline for a channel that announces
    /// the refresh, and then send the request without the layer.
    Bare,
}

const KINDS: [(&str, Kind); 3] = [
    ("refused by the API", Kind::Refused),
    ("known to have expired", Kind::Expired),
    ("without the layer", Kind::Bare),
];

const PRESENTATIONS: &str = "presentations, most";
const WHOLE: &str = "the last answer, ms";
const RATIO: &str = "against one token call";

/// Reported figures. A burst starts with the first 401, or with the first request if the expiry is known.
const FIGURES: [&str; 7] = [
    PRESENTATIONS,
    "one token call alone, ms",
    "refreshed, ms",
    WHOLE,
    RATIO,
    "from the refresh on, µs a request",
    "processor time of all threads, µs a request",
];

/// Measures each kind and size in one process.
pub(crate) fn measure() {
    let runtime = runtime_of_threads();
    let mut scene = Scene::new();
    let mut rounds = |name: &str, kind, size, count| {
        let round = |_| {
            runtime.block_on(async {
                let burst = scene.prepare(kind, size).await;
                scene.run(&burst).await
            })
        };
        // The first round warms up.
        let runs: Vec<_> = (0..=count).map(round).skip(1).collect();
        for (at, figure) in FIGURES.into_iter().enumerate() {
            let values = runs.iter().map(|run| run[at]);
            report(name, figure, summary(figure, values));
        }
    };
    for (name, kind) in KINDS {
        rounds(name, kind, BURST, ROUNDS);
    }
    for size in SIZES {
        rounds(&number(size as f64), Kind::Refused, size, 1);
    }
}

/// Reports the heap after bursts of two sizes, after a first one that leaves one-time allocations.
pub(crate) fn measure_memory() {
    let mut scene = Scene::new();
    let mut heap_of = |size| {
        let burst = runtime().block_on(scene.prepare(Kind::Refused, size));
        // The runtime is dropped too, because its queues keep their size.
        counted(|| runtime().block_on(scene.run(&burst))).1
    };
    heap_of(BURST);
    for size in MEMORY_SIZES {
        let (heap, name) = (heap_of(size), number(size as f64));
        let most = heap.bytes_max as f64;
        report(&name, "at most", most);
        report(&name, "at most, a request", most / size as f64);
        report(&name, "afterwards", heap.bytes_current as f64);
    }
}

/// A provider with `MockNotion`, and the time of its last refresh.
struct Scene {
    notion: Notion,
    provider: NotionAuthProvider,
    end_of_refresh: Arc<Mutex<Option<Instant>>>,
    subjects: usize,
}

struct Burst {
    kind: Kind,
    size: usize,
    /// Time of a refresh of one subject when nothing else happens.
    alone: Duration,
    subject: usize,
    bot_id: String,
    api: Api,
    client: ApiClient,
}

impl Scene {
    fn new() -> Self {
        let notion = Notion::start(TOKEN_CALL);
        let end_of_refresh = Arc::new(Mutex::new(None));
        let note = Arc::clone(&end_of_refresh);
        let provider = notion.provider().observer(move |event: &Event| {
            if let Event::Refreshed { .. } = event {
                *note.lock().expect("no observer panicked") = Some(Instant::now());
            }
        });
        Self {
            provider: provider.build().expect("a provider"),
            notion,
            end_of_refresh,
            subjects: 0,
        }
    }

    /// Makes one token call alone, and then creates a subject with a stale token, and an API that refuses
    /// it.
    async fn prepare(&mut self, kind: Kind, size: usize) -> Burst {
        let (number, _) = self.connect(None).await;
        let subject = Subject::new(name(number));
        let start = Instant::now();
        let refreshed = self.provider.refresh(&subject).await;
        let alone = start.elapsed();
        refreshed.expect("a refresh");

        let expired = SystemTime::now() - Duration::from_secs(60);
        let expires_at = (kind != Kind::Refused).then_some(expired);
        let (subject, bot_id) = self.connect(expires_at).await;
        // A hit reads a coarse clock, which accepts credentials with an immediate expiry until its next
        // tick.
        sleep(Duration::from_millis(20)).await;
        let mock = &self.notion.mock;
        let (access_token, _) = mock.ledger().living_pair(&bot_id).expect("a pair");
        mock.revoke_access_token(&access_token);
        // Only requests of the first kind are refused. Any other refused request would wait for the others
        // forever.
        let refused_together = if kind == Kind::Refused { size } else { 1 };
        let api = Api::new([access_token], refused_together);
        Burst {
            kind,
            size,
            alone,
            subject,
            bot_id,
            client: api.behind(&self.provider),
            api,
        }
    }

    async fn connect(&mut self, expires_at: Option<SystemTime>) -> (usize, String) {
        self.subjects += 1;
        let mut credentials = self.notion.mock.connect();
        let bot_id = credentials.bot_id().expect("a bot").to_owned();
        credentials.expires_at = expires_at.or(credentials.expires_at);
        let subject = Subject::new(name(self.subjects));
        let stored = self.provider.store_credentials(&subject, credentials).await;
        stored.expect("the credentials are stored");
        (self.subjects, bot_id)
    }

    /// Returns the [`FIGURES`].
    async fn run(&self, burst: &Burst) -> [f64; 7] {
        let cpu = cpu_of_all_threads();
        let (start, end) = match burst.kind {
            Kind::Bare => self.send_bare(burst).await,
            Kind::Refused | Kind::Expired => Self::send(burst).await,
        };
        let cpu = (cpu_of_all_threads() - cpu) * 1e6;
        let refused = usize::from(burst.kind == Kind::Refused) * burst.size;
        let (refusals, first_refusal) = burst.api.refusals();
        assert_eq!(refusals, refused, "as many were to be refused");
        let start = first_refusal.unwrap_or(start);
        let end_of_refresh = *self.end_of_refresh.lock().expect("no observer panicked");
        let refreshed = end_of_refresh.expect("there was a refresh") - start;
        let presentations = self.notion.mock.ledger().refreshes_of(&burst.bot_id);
        let [alone, refreshed, whole] =
            [burst.alone, refreshed, end - start].map(|time| time.as_secs_f64() * 1e3);
        [
            presentations.len() as f64,
            alone,
            refreshed,
            whole,
            whole / alone,
            (whole - refreshed).max(0.0) * 1e3 / burst.size as f64,
            cpu / burst.size as f64,
        ]
    }

    /// Sends all requests at once, each in its own task, which also creates the request as a server would.
    /// Checks that each is answered with 200.
    async fn send(burst: &Burst) -> (Instant, Instant) {
        let client = burst.client.clone();
        all_at_once(vec![burst.subject; burst.size], move |subject| {
            let client = client.clone();
            async move {
                let answer = client.oneshot(request(subject)).await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::OK);
            }
        })
        .await
    }

    async fn send_bare(&self, burst: &Burst) -> (Instant, Instant) {
        let (sender, receiver) = watch::channel(false);
        let (provider, subject) = (self.provider.clone(), Subject::new(name(burst.subject)));
        tokio::spawn(async move {
            provider.refresh(&subject).await.expect("a refresh");
            sender.send(true).expect("a receiver");
        });
        let api = burst.api.clone();
        all_at_once(vec![burst.subject; burst.size], move |subject| {
            let (mut receiver, api) = (receiver.clone(), api.clone());
            async move {
                let mut request = request(subject);
                let refreshed = receiver.wait_for(|is_refreshed| *is_refreshed);
                let waited = timeout(Duration::from_secs(15), refreshed).await;
                drop(waited.expect("in time").expect("a refresh"));
                let token = HeaderValue::from_static("Bearer another");
                request.headers_mut().insert(AUTHORIZATION, token);
                let Ok(answer) = api.oneshot(request).await;
                assert_eq!(answer.status(), StatusCode::OK);
            }
        })
        .await
    }
}

pub(crate) fn print(reports: &Reports, goals: &mut Goals) {
    let title = format!(
        "10,000 requests at once for one subject, a token call of 50 ms; medians of {ROUNDS} rounds, and of {} processes:",
        repeats()
    );
    let [refused, expired, bare] = KINDS.map(|(name, _)| name);
    let figures = FIGURES.join(" | ");
    reports.table(
        &title,
        &format!("token | {figures}"),
        &[refused, expired, bare],
    );
    reports.table(
        "The same by size, refused by the API:",
        &format!("requests | {figures}"),
        &SIZES.map(|size| number(size as f64)),
    );
    let worst = |figure| {
        reports
            .get(refused, figure)
            .max(reports.get(expired, figure))
    };
    goals.set("burst: presentations", worst(PRESENTATIONS));
    goals.set(
        "burst: wall time against the same without the layer",
        worst(WHOLE) / reports.get(bare, WHOLE),
    );
}

pub(crate) fn print_memory(reports: &Reports, goals: &mut Goals) {
    let names = MEMORY_SIZES.map(|size| number(size as f64));
    reports.table(
        "The heap over a burst, in bytes, on one thread:",
        "requests | at most | at most, a request | afterwards",
        &names,
    );
    let [few, many] = names.map(|name| reports.get(&name, "afterwards"));
    let waiters = MEMORY_SIZES[1] - MEMORY_SIZES[0];
    goals.set(
        "burst: bytes left on the heap by each waiter",
        (many - few) / waiters as f64,
    );
}
