//! The process that is started: sends requests when told to, and says what came of them.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, Write, stdin, stdout},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use notion_auth::{
    AuthError, BoxError, CloneBody, Event, NotionAuthLayer, NotionAuthProvider, Subject,
    provider::Point,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tower::{ServiceBuilder, ServiceExt};

use super::setup::{Setup, VARIABLE, name};

/// A line that a replica is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// Send a request in each task, and say what came of them.
    Round(u32),
    /// Stop at the point named so, when it is reached for the so many-th time, until `Go`.
    Arm(String, u32),
    Go,
    /// Finish what is under way, and end.
    Stop,
}

/// A line that a replica writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Ready,
    /// It waits at the point that it was armed for.
    At(String),
    Round(u32, Tally),
    Refreshed(String, u64),
    Condemned(String, u64, String),
    /// Something that must not happen.
    Alarm(String),
    Stopped(bool),
}

/// What came of a round's requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// They had a token that Notion took.
    pub(super) accepted: usize,
    /// Notion's 401 came back.
    pub(super) refused: usize,
    /// Errors of ours that will pass, with their causes.
    pub(super) transient: BTreeMap<String, usize>,
    /// The subjects that are to connect again.
    pub(super) reauthorize: Vec<String>,
    pub(super) other: BTreeMap<String, usize>,
}

/// What comes before each report, since the test harness writes to the same stream.
pub(super) const MARK: &str = "@replica ";

fn report(report: &Report) {
    let line = serde_json::to_string(report).unwrap();
    let mut out = stdout().lock();
    // Who listens may be gone; then stdin has ended too.
    let _ = writeln!(out, "\n{MARK}{line}");
    let _ = out.flush();
}

#[test]
#[ignore = "is started by the tests beside, as a process of its own"]
fn replica() {
    let Ok(setup) = env::var(VARIABLE) else {
        return;
    };
    let setup: Setup = serde_json::from_str(&setup).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(setup));
}

#[derive(Clone)]
struct Trap {
    armed: Arc<Mutex<Option<(String, u32)>>>,
    going: watch::Sender<u64>,
}

impl Trap {
    fn springs(&self, point: Point) -> bool {
        let mut armed = self.armed.lock().unwrap();
        let Some((at, times)) = armed.as_mut() else {
            return false;
        };
        if *at != format!("{point:?}") {
            return false;
        }
        *times -= 1;
        let is_now = *times == 0;
        if is_now {
            *armed = None;
        }
        is_now
    }

    async fn pass(self, point: Point) {
        if self.springs(point) {
            let mut going = self.going.subscribe();
            report(&Report::At(format!("{point:?}")));
            let _ = going.changed().await;
        }
    }
}

async fn run(setup: Setup) {
    let trap = Trap {
        armed: Arc::default(),
        going: watch::Sender::new(0),
    };
    let interrupt = trap.clone();
    let provider = setup
        .provider()
        .await
        .interrupt(move |point| interrupt.clone().pass(point))
        .observer(tell)
        .build()
        .unwrap();
    let mut commands = commands();
    report(&Report::Ready);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Round(number) => {
                tokio::spawn(round(setup.clone(), provider.clone(), number));
            }
            Command::Arm(point, times) => *trap.armed.lock().unwrap() = Some((point, times)),
            Command::Go => trap.going.send_modify(|count| *count += 1),
            Command::Stop => {
                let ended = provider.shutdown(Duration::from_secs(20)).await;
                report(&Report::Stopped(ended.is_ok()));
                return;
            }
        }
    }
}

fn tell(event: &Event) {
    match event {
        Event::Refreshed {
            subject,
            generation,
        } => report(&Report::Refreshed(subject.as_str().to_owned(), *generation)),
        Event::NeedsReauthorization {
            subject,
            generation,
            reason,
        } => report(&Report::Condemned(
            subject.as_str().to_owned(),
            *generation,
            format!("{reason:?}"),
        )),
        Event::StoreRegressed { .. } | Event::AppRejected => {
            report(&Report::Alarm(format!("{event:?}")));
        }
        _ => {}
    }
}

/// A thread reads, since a blocked read cannot be given up; without a parent there is nothing to do.
fn commands() -> mpsc::UnboundedReceiver<Command> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { break };
            let command = serde_json::from_str(&line).unwrap();
            if sender.send(command).is_err() {
                break;
            }
        }
    });
    receiver
}

async fn round(setup: Setup, provider: NotionAuthProvider, number: u32) {
    let client = ServiceBuilder::new()
        .layer(NotionAuthLayer::refreshing(provider).replaying(CloneBody))
        .concurrency_limit(16)
        .service(notion_auth::https_client());
    let mut requests = Vec::new();
    for _ in 0..setup.tasks {
        for subject in 0..setup.subjects {
            let subject = name(subject);
            let mut request = Request::get(format!("{}/v1/{subject}", setup.notion))
                .body(Full::<Bytes>::default())
                .unwrap();
            request.extensions_mut().insert(Subject::new(&*subject));
            let client = client.clone();
            requests.push((
                subject,
                tokio::spawn(async move { client.oneshot(request).await.map(|it| it.status()) }),
            ));
        }
    }
    let mut tally = Tally::default();
    for (subject, request) in requests {
        count(&mut tally, subject, request.await.unwrap());
    }
    tally.reauthorize.sort_unstable();
    tally.reauthorize.dedup();
    report(&Report::Round(number, tally));
}

fn count(tally: &mut Tally, subject: String, answer: Result<StatusCode, BoxError>) {
    match answer {
        Ok(StatusCode::UNAUTHORIZED) => tally.refused += 1,
        // Notion has no such path, and says so to those with a good token.
        Ok(StatusCode::BAD_REQUEST) => tally.accepted += 1,
        Ok(status) => *tally.other.entry(status.to_string()).or_default() += 1,
        Err(error) => match AuthError::find(&*error) {
            Some(auth) if auth.is_transient() => {
                *tally.transient.entry(without_subject(auth)).or_default() += 1;
            }
            Some(auth) if auth.needs_reauthorization().is_some() => tally.reauthorize.push(subject),
            _ => *tally.other.entry(error.to_string()).or_default() += 1,
        },
    }
}

fn without_subject(error: &AuthError) -> String {
    let text = error.to_string();
    let mut text = text
        .split_once(": ")
        .map_or(text.clone(), |it| it.1.to_owned());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
