//! The process that is started: it sends requests on command, and reports their outcomes.

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
    AuthError, BoxError, Event, NotionAuthLayer, NotionAuthProvider, Subject, provider::Failpoint,
    store::Lineage,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tower::{ServiceBuilder, ServiceExt};

use super::setup::{Setup, VARIABLE, name};

/// A line that a replica is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// Send a request in each task, and report their outcomes.
    Round(u32),
    /// Stop at the failpoint of this name, when it is reached for the nth time, until `Continue`.
    Arm(String, u32),
    Continue,
    /// Complete the refreshes under way, and end.
    Stop,
}

/// A line that a replica writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Ready,
    /// It waits at the failpoint that it was armed for.
    At(String),
    Round(u32, Tally),
    Refreshed(Generation),
    Invalidated(Generation, String),
    /// Something that must not happen.
    Alarm(String),
    Stopped(bool),
}

/// A generation of a subject's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Generation {
    pub(super) subject: String,
    pub(super) lineage: String,
    pub(super) number: u64,
}

impl Generation {
    fn new(subject: &Subject, lineage: Lineage, number: u64) -> Self {
        Self {
            subject: subject.as_str().to_owned(),
            lineage: lineage.to_string(),
            number,
        }
    }
}

/// The outcomes of a round's requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// The server accepted the token.
    pub(super) accepted: usize,
    /// The server's 401 came back.
    pub(super) refused: usize,
    /// Transient errors of this crate, with their causes.
    pub(super) transient: BTreeMap<String, usize>,
    /// The subjects whose users must connect again.
    pub(super) reauthorize: Vec<String>,
    pub(super) other: BTreeMap<String, usize>,
}

/// Precedes each report, because the test harness writes to the same stream.
pub(super) const MARK: &str = "@replica ";

fn report(report: &Report) {
    let line = serde_json::to_string(report).unwrap();
    let mut out = stdout().lock();
    // The parent may be gone; then stdin has ended too.
    let _ = writeln!(out, "\n{MARK}{line}");
    let _ = out.flush();
}

#[test]
#[ignore = "started by the other tests as a process of its own"]
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

/// Stops a refresh at a failpoint.
#[derive(Clone)]
struct Stopper {
    armed: Arc<Mutex<Option<(String, u32)>>>,
    continued: watch::Sender<u64>,
}

impl Stopper {
    fn stops_at(&self, failpoint: Failpoint) -> bool {
        let mut armed = self.armed.lock().unwrap();
        let Some((at, times)) = armed.as_mut() else {
            return false;
        };
        if *at != format!("{failpoint:?}") {
            return false;
        }
        *times -= 1;
        let is_now = *times == 0;
        if is_now {
            *armed = None;
        }
        is_now
    }

    async fn pass(self, failpoint: Failpoint) {
        if self.stops_at(failpoint) {
            let mut continued = self.continued.subscribe();
            report(&Report::At(format!("{failpoint:?}")));
            let _ = continued.changed().await;
        }
    }
}

async fn run(setup: Setup) {
    let stopper = Stopper {
        armed: Arc::default(),
        continued: watch::Sender::new(0),
    };
    let hook = stopper.clone();
    let provider = setup
        .provider()
        .await
        .failpoint(move |failpoint| hook.clone().pass(failpoint))
        .observer(report_event)
        .build()
        .unwrap();
    let mut commands = commands();
    report(&Report::Ready);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Round(number) => {
                tokio::spawn(round(setup.clone(), provider.clone(), number));
            }
            Command::Arm(failpoint, times) => {
                *stopper.armed.lock().unwrap() = Some((failpoint, times));
            }
            Command::Continue => stopper.continued.send_modify(|count| *count += 1),
            Command::Stop => {
                let ended = provider.shutdown(Duration::from_secs(20)).await;
                report(&Report::Stopped(ended.is_ok()));
                return;
            }
        }
    }
}

fn report_event(event: &Event) {
    match event {
        Event::Refreshed {
            subject,
            lineage,
            generation,
        }
        | Event::Recovered {
            subject,
            lineage,
            generation,
        } => report(&Report::Refreshed(Generation::new(
            subject,
            *lineage,
            *generation,
        ))),
        Event::NeedsReauthorization {
            subject,
            lineage,
            generation,
            reason,
        } => report(&Report::Invalidated(
            Generation::new(subject, *lineage, *generation),
            format!("{reason:?}"),
        )),
        Event::StoreRegressed { .. } | Event::AppRejected => {
            report(&Report::Alarm(format!("{event:?}")));
        }
        _ => {}
    }
}

/// Reads in a thread, because a blocked read can't be cancelled. Without a parent the process ends.
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
        .layer(NotionAuthLayer::refreshing(provider))
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
        // The server has no such path, and says so only to requests with a good token.
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
