//! The invariants of `DESIGN.md` that hold in a run, whatever happened to its replicas: I1 to I6 and I8.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use notion_auth::{
    NotionAuthProvider, ReauthorizationReason,
    provider::Failpoint,
    store::{CredentialStore, ListQuery, RecordState},
    testing::notion::{Fault, Ledger, Outcome, Presentation},
};
use tokio::time::Instant;

use super::replica::{Generation, Report, Tally};
use crate::support::{record_json, record_key};

/// How long a disruption has effects: until other processes have taken over, twice.
const AFTERMATH: Duration = Duration::from_secs(45);

pub(super) struct History {
    origin: Instant,
    /// Kills and suspensions.
    pub(super) disruptions: Vec<Duration>,
    /// Everything that excuses a second presentation: disruptions, faults, an outage.
    excuses: Vec<Duration>,
    kinds: BTreeMap<String, usize>,
    /// The subject of each bot.
    pub(super) bots: HashMap<String, String>,
    pub(super) losses: Vec<Loss>,
    refreshed: Vec<Generation>,
    invalidated: Vec<Generation>,
    alarms: Vec<String>,
    tally: Tally,
}

pub(super) struct Loss {
    pub(super) subject: String,
    pub(super) bot: String,
    pub(super) state: RecordState,
    pub(super) at: Duration,
}

impl History {
    /// `origin` is when the server was made.
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            disruptions: Vec::new(),
            excuses: Vec::new(),
            kinds: BTreeMap::new(),
            bots: HashMap::new(),
            losses: Vec::new(),
            refreshed: Vec::new(),
            invalidated: Vec::new(),
            alarms: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(super) fn note_disruption(&mut self, kind: &str) {
        self.disruptions.push(self.now());
        self.note(kind);
    }

    pub(super) fn note_faults(&mut self, faults: &[Fault]) {
        for fault in faults {
            self.note(&format!("fault {fault:?}"));
        }
    }

    pub(super) fn note(&mut self, kind: &str) {
        self.excuses.push(self.now());
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
    }

    pub(super) fn count(&mut self, tally: &Tally) {
        self.tally.accepted += tally.accepted;
        self.tally.refused += tally.refused;
        for (error, times) in &tally.transient {
            *self.tally.transient.entry(error.clone()).or_default() += times;
        }
        for (error, times) in &tally.other {
            *self.tally.other.entry(error.clone()).or_default() += times;
        }
    }

    pub(super) fn note_report(&mut self, replica: usize, report: Report) {
        match report {
            Report::Refreshed(generation) => self.refreshed.push(generation),
            Report::Invalidated(generation, _) => self.invalidated.push(generation),
            Report::Alarm(alarm) => self.alarms.push(format!("replica {replica}: {alarm}")),
            _ => {}
        }
    }

    fn is_excused(&self, from: Duration, to: Duration) -> bool {
        let from = from.saturating_sub(AFTERMATH);
        self.excuses.iter().any(|at| *at >= from && *at <= to)
    }

    pub(super) fn summary(&self, ledger: &Ledger) -> String {
        let refreshes = ledger.refreshes();
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        for loss in &self.losses {
            *labels.entry(format!("{:?}", loss.state)).or_default() += 1;
        }
        let count =
            |outcome: &Outcome| refreshes.iter().filter(|it| it.outcome == *outcome).count();
        format!(
            "{} disruptions; requests: {} accepted, {} refused, {} transient errors; refresh tokens: {} \
             presented, {} exchanged, {} presented again; lost connections: {labels:?}; faults: {:?}",
            self.disruptions.len(),
            self.tally.accepted,
            self.tally.refused,
            self.tally.transient.values().sum::<usize>(),
            refreshes.len(),
            count(&Outcome::Accepted),
            ledger.refresh_token_reuses().len(),
            self.kinds,
        )
    }
}

pub(super) async fn check(
    history: &History,
    ledger: &Ledger,
    provider: &NotionAuthProvider,
    store: &impl CredentialStore,
    subjects: usize,
) -> Vec<String> {
    let mut broken = history.alarms.clone();
    for (error, times) in &history.tally.other {
        broken.push(format!("{times} errors of another kind: {error}"));
    }
    spent_once(history, ledger, &mut broken);
    no_regression(history, &mut broken);
    no_false_death(history, ledger, &mut broken);
    no_cross_talk(history, ledger, &mut broken);
    at_rest(history, ledger, provider, subjects, &mut broken).await;
    no_leases(store, provider, subjects, &mut broken).await;
    for kind in history.kinds.keys().filter(|kind| kind.contains(" at ")) {
        let mut failpoints = Failpoint::ALL.iter().map(|it| format!("{it:?}"));
        let is_known = failpoints.any(|it| kind.ends_with(&it)) || kind.ends_with("any moment");
        if !is_known {
            broken.push(format!("nothing is known of {kind}"));
        }
    }
    broken
}

/// I1: a refresh token is presented again only after a disruption or a fault, and never by two at a time.
fn spent_once(history: &History, ledger: &Ledger, broken: &mut Vec<String>) {
    for (token, presentations) in by_token(ledger) {
        if ledger.max_parallel_presentations_of(&token) > 1 {
            broken.push(format!(
                "I1: {} was presented by two at a time",
                &token[..8]
            ));
        }
        for pair in presentations.windows(2) {
            if !history.is_excused(pair[0].at, pair[1].at) {
                broken.push(format!(
                    "I1: {} was presented again, {:?} after {:?}",
                    &token[..8],
                    pair[1].at,
                    pair[0].at
                ));
            }
        }
    }
}

fn by_token(ledger: &Ledger) -> HashMap<String, Vec<Presentation>> {
    let mut all: HashMap<String, Vec<Presentation>> = HashMap::new();
    for presentation in ledger.refreshes() {
        all.entry(presentation.token.clone())
            .or_default()
            .push(presentation);
    }
    all
}

/// I2, I5, I8: a generation of a lineage is committed once and invalidated once, whichever process does it. No process
/// reinstates here.
fn no_regression(history: &History, broken: &mut Vec<String>) {
    for (what, reported) in [
        ("committed", &history.refreshed),
        ("invalidated", &history.invalidated),
    ] {
        let mut seen = HashSet::new();
        for generation in reported {
            if !seen.insert(generation) {
                broken.push(format!("{generation:?} was {what} twice"));
            }
        }
    }
}

/// I3: a connection is lost only if a process that spent its refresh token was disrupted before the commit, and the
/// reason says so.
fn no_false_death(history: &History, ledger: &Ledger, broken: &mut Vec<String>) {
    for loss in &history.losses {
        let subject = &loss.subject;
        if ledger.living_pair(&loss.bot).is_some() {
            broken.push(format!("I3: {subject} was lost, though its grant lives"));
        }
        let refreshes = ledger.refreshes_of(&loss.bot);
        let is_spent_again = refreshes
            .iter()
            .any(|it| it.outcome == Outcome::AlreadySpent);
        if !is_spent_again {
            broken.push(format!(
                "I3: {subject} was lost, though no token was spent twice"
            ));
        }
        let is_suspension = history
            .kinds
            .keys()
            .any(|kind| kind.starts_with("suspended"));
        let is_right = match loss.state {
            RecordState::NeedsReauthorization(ReauthorizationReason::RotationLost) => true,
            // A suspended process committed a pair late that had been revoked before.
            RecordState::NeedsReauthorization(ReauthorizationReason::Revoked) => is_suspension,
            _ => false,
        };
        if !is_right || !history.is_excused(loss.at, loss.at) {
            broken.push(format!("I3: {subject} was lost as {:?}", loss.state));
        }
    }
}

/// I4: a request carries a token of its own subject.
fn no_cross_talk(history: &History, ledger: &Ledger, broken: &mut Vec<String>) {
    let owners: HashMap<u64, Option<String>> = ledger
        .presentations()
        .into_iter()
        .map(|it| (it.seq, it.bot_id))
        .collect();
    for call in ledger.api_calls() {
        let bot = owners.get(&call.seq).cloned().flatten();
        let owner = bot.and_then(|bot| history.bots.get(&bot));
        let asked = call.path.strip_prefix("/v1/");
        if owner.map(String::as_str) != asked {
            broken.push(format!(
                "I4: {} was requested with a token of {owner:?}",
                call.path
            ));
        }
    }
}

/// I3, I4: at rest, each subject has the pair that the server accepts, and its own.
async fn at_rest(
    history: &History,
    ledger: &Ledger,
    provider: &NotionAuthProvider,
    subjects: usize,
    broken: &mut Vec<String>,
) {
    let query = ListQuery::default().limit(subjects + 1);
    let listed = provider.list(&query).await.unwrap();
    if listed.len() != subjects {
        broken.push(format!("{} records are listed", listed.len()));
    }
    for status in listed {
        let subject = &status.subject;
        let credentials = provider.load_credentials(subject).await.unwrap();
        let Some(credentials) = credentials else {
            broken.push(format!("{} is not connected at rest", subject.as_str()));
            continue;
        };
        let bot = credentials.bot_id().unwrap();
        let stored = credentials
            .refresh_token
            .as_ref()
            .map(notion_auth::credentials::RefreshToken::expose);
        let living = ledger.living_pair(bot);
        if living.as_ref().map(|pair| pair.1.as_str()) != stored {
            broken.push(format!(
                "I3: the stored refresh token of {} is not the living one",
                subject.as_str()
            ));
        }
        if history.bots.get(bot).map(String::as_str) != Some(subject.as_str()) {
            broken.push(format!(
                "I4: {} has another subject's tokens",
                subject.as_str()
            ));
        }
    }
}

/// I6, for leases: at rest no record has one.
async fn no_leases(
    store: &impl CredentialStore,
    provider: &NotionAuthProvider,
    subjects: usize,
    broken: &mut Vec<String>,
) {
    let query = ListQuery::default().limit(subjects);
    for status in provider.list(&query).await.unwrap() {
        let subject = status.subject.as_str();
        let loaded = store.load(&record_key(subject)).await.unwrap();
        let lease = loaded
            .record
            .map(|record| record_json(&record)["lease"].clone());
        if lease.as_ref().is_some_and(|lease| !lease.is_null()) {
            broken.push(format!("I6: {subject} has a lease at rest: {lease:?}"));
        }
    }
}
