//! What must hold of a run, whatever was done to its replicas.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use notion_auth::{
    NotionAuthProvider, ReauthorizationReason,
    store::{Filter, RecordState},
    testing::notion::{Fault, Ledger, Outcome, Presentation},
};
use tokio::time::Instant;

use super::{
    replica::{Report, Tally},
    run::points,
};

/// How long what was done to a replica shows: until others have taken over, twice.
const AFTERMATH: Duration = Duration::from_secs(25);

pub(super) struct History {
    origin: Instant,
    /// Kills and suspensions.
    pub(super) blows: Vec<Duration>,
    /// Everything that excuses a second presentation: blows, faults, an outage.
    excuses: Vec<Duration>,
    kinds: BTreeMap<String, usize>,
    /// Whose each bot was.
    pub(super) bots: HashMap<String, String>,
    pub(super) losses: Vec<Loss>,
    refreshed: Vec<(String, u64)>,
    condemned: Vec<(String, u64)>,
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
            blows: Vec::new(),
            excuses: Vec::new(),
            kinds: BTreeMap::new(),
            bots: HashMap::new(),
            losses: Vec::new(),
            refreshed: Vec::new(),
            condemned: Vec::new(),
            alarms: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(super) fn note_blow(&mut self, kind: &str) {
        self.blows.push(self.now());
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

    pub(super) fn tell(&mut self, replica: usize, report: Report) {
        match report {
            Report::Refreshed(subject, generation) => self.refreshed.push((subject, generation)),
            Report::Condemned(subject, generation, _) => self.condemned.push((subject, generation)),
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
            "{} blows; requests: {} accepted, {} refused, {} transient errors; refresh tokens: {} \
             presented, {} exchanged, {} presented again; lost connections: {labels:?}; what was done: {:?}",
            self.blows.len(),
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
    for kind in history.kinds.keys().filter(|kind| kind.contains(" at ")) {
        let is_known = points().any(|point| kind.ends_with(&point)) || kind.ends_with("any moment");
        if !is_known {
            broken.push(format!("nothing is known of {kind}"));
        }
    }
    broken
}

/// I1: a refresh token is presented again only where something has happened to who presented it.
fn spent_once(history: &History, ledger: &Ledger, broken: &mut Vec<String>) {
    for (token, presentations) in by_token(ledger) {
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

/// I2, I5, I8: a generation is made once, and condemned once, by whichever process.
fn no_regression(history: &History, broken: &mut Vec<String>) {
    for (what, told) in [
        ("made", &history.refreshed),
        ("condemned", &history.condemned),
    ] {
        let mut seen = HashSet::new();
        for it in told {
            if !seen.insert(it) {
                broken.push(format!("generation {} of {} was {what} twice", it.1, it.0));
            }
        }
    }
}

/// I3: a connection is lost only if its refresh token was spent by somebody to whom something happened
/// before the successor was saved, and it is called so.
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
            // Who was suspended saved late what had been revoked meanwhile.
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
                "I4: {} was asked for with a token of {owner:?}",
                call.path
            ));
        }
    }
}

/// At rest, each subject is connected with the pair that lives.
async fn at_rest(
    history: &History,
    ledger: &Ledger,
    provider: &NotionAuthProvider,
    subjects: usize,
    broken: &mut Vec<String>,
) {
    let listed = provider
        .list(Filter::All, None, subjects + 1)
        .await
        .unwrap();
    if listed.len() != subjects {
        broken.push(format!("{} records are listed", listed.len()));
    }
    for summary in listed {
        let subject = &summary.subject;
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
                "I3: what is stored of {} does not live",
                subject.as_str()
            ));
        }
        if history.bots.get(bot).map(String::as_str) != Some(subject.as_str()) {
            broken.push(format!(
                "I4: {} has somebody else's tokens",
                subject.as_str()
            ));
        }
    }
}
