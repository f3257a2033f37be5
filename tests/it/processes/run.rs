//! The course of a test: quiet rounds, rounds with disruptions, an outage of the store, and rest.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    time::Duration,
};

use notion_auth::{
    NotionAuthProvider, Subject,
    store::{CredentialStore as _, Filter, ListQuery},
    testing::{MockNotion, notion::Call},
};
use tokio::time::Instant;

use crate::{
    faulty_store::FaultyStore,
    progress::Progress,
    support::{record_json, record_key, record_of},
};

use super::{
    cluster::{Cluster, PATIENCE, REPLICAS, Received},
    disruptions::{self, Disruption},
    oracle::{self, History, Loss},
    replica::{Command, Report, Tally},
    setup::{Database, Setup, name},
};

const SUBJECTS: usize = 50;

/// Disruptions of one round, so that most subjects are not in doubt at any time.
const AT_ONCE: usize = 5;

fn number(variable: &str, otherwise: u64) -> u64 {
    let set = env::var(variable).ok();
    set.map_or(otherwise, |it| it.parse().expect("a number"))
}

/// A machine that is busy for long is too slow for leases of seconds, so quiet rounds prove nothing.
fn is_long() -> bool {
    number("PROCESS_KILLS", 0) > 100
}

pub(super) struct Run {
    setup: Setup,
    notion: MockNotion,
    cluster: Cluster,
    provider: NotionAuthProvider,
    /// The same store, past all providers.
    store: FaultyStore<()>,
    random: fastrand::Rng,
    history: History,
    round: u32,
    /// What is still to happen to replicas.
    armed: HashMap<usize, Disruption>,
}

/// Starts replicas on the store, disrupts them, and checks the invariants. `outage` takes the store down for a while
/// and brings it back.
pub(super) async fn survive(database: Database, outage: impl AsyncFn()) {
    let seed = number("PROCESS_SEED", 1);
    let disruptions = usize::try_from(number("PROCESS_KILLS", 12)).unwrap();
    let tasks = usize::try_from(number("PROCESS_TASKS", 20)).unwrap();
    // Nine processes at a time are enough for two cores.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let started = Instant::now();
    let mut run = Run::start(database, tasks, seed, started).await;
    // Until each replica has opened its connections.
    run.play(&[], PATIENCE).await;
    for _ in 0..2 {
        run.quiet_round().await;
    }
    let progress = Progress::of(disruptions as u64, "disruptions");
    let mut is_outage_over = false;
    while run.history.disruptions.len() < disruptions {
        let left = disruptions - run.history.disruptions.len();
        if !is_outage_over && left <= disruptions / 2 {
            is_outage_over = true;
            run.round_with_outage(&outage).await;
        } else {
            run.disrupted_round(left.min(AT_ONCE)).await;
        }
        let lost = format!("{} connections lost", run.history.losses.len());
        progress.show(run.history.disruptions.len() as u64, &lost);
        run.reconnect_lost().await;
    }
    run.rest().await;
    run.quiet_round().await;
    run.stop().await;
    let ledger = run.notion.ledger();
    let broken = oracle::check(&run.history, &ledger, &run.provider, &run.store, SUBJECTS).await;
    let summary = run.history.summary(&ledger);
    println!("seed {seed}, {:.0?}: {summary}", started.elapsed());
    assert!(broken.is_empty(), "{summary}\n{}", broken.join("\n"));
}

impl Run {
    async fn start(database: Database, tasks: usize, seed: u64, origin: Instant) -> Self {
        let notion = MockNotion::builder()
            .family_revocation(true)
            .start()
            .await
            .unwrap();
        let setup = Setup::new(database, &notion, SUBJECTS, tasks);
        let provider = setup.provider().await.build().unwrap();
        let store = setup.database.open().await;
        let mut run = Self {
            cluster: Cluster::start(&setup),
            setup,
            notion,
            provider,
            store,
            random: fastrand::Rng::with_seed(seed),
            history: History::new(origin),
            round: 0,
            armed: HashMap::new(),
        };
        for subject in 0..SUBJECTS {
            run.connect(&name(subject)).await;
        }
        run
    }

    async fn connect(&mut self, subject: &str) {
        let credentials = self.notion.connect();
        let bot = credentials.bot_id().unwrap().to_owned();
        self.history.bots.insert(bot, subject.to_owned());
        let subject = Subject::new(subject);
        let deadline = Instant::now() + PATIENCE;
        // A process that is suspended while it writes blocks SQLite's other writers until it continues.
        loop {
            let stored = self
                .provider
                .store_credentials(&subject, credentials.clone());
            let Err(error) = stored.await else { return };
            assert!(
                error.is_transient() && Instant::now() < deadline,
                "{error:?}"
            );
            let moment = Instant::now() + Duration::from_millis(500);
            if let Some(received) = self.cluster.receive(moment).await {
                self.handle(received);
            }
        }
    }

    /// Ends every access token, so that each subject needs a refresh.
    async fn revoke_all(&self) {
        for subject in 0..SUBJECTS {
            let subject = Subject::new(name(subject));
            // While the store is down, tokens stay.
            if let Ok(Some(credentials)) = self.provider.load_credentials(&subject).await {
                self.end_streak(subject.as_str()).await;
                let token = credentials.access_token.expose();
                self.notion.revoke_access_token(token);
            }
        }
    }

    /// Lets the next refusal refresh at once, as if the generation had lived for a minute.
    async fn end_streak(&self, subject: &str) {
        let key = record_key(subject);
        loop {
            let Ok(loaded) = self.store.load(&key).await else {
                return;
            };
            let Some(record) = loaded.record else { return };
            let mut json = record_json(&record);
            json["streak"] = 0.into();
            let new = record_of(&json);
            match self
                .store
                .compare_and_swap(&key, Some(record.revision), &new)
                .await
            {
                Ok(true) | Err(_) => return,
                // A replica changed the record.
                Ok(false) => {}
            }
        }
    }

    /// I5: without faults each request succeeds, by one refresh for each subject.
    async fn quiet_round(&mut self) {
        let before = self.notion.ledger().refreshes().len();
        self.revoke_all().await;
        let tallies = self.play(&[], PATIENCE).await;
        let refreshes = self.notion.ledger().refreshes().len() - before;
        let requests = SUBJECTS * self.setup.tasks;
        assert_eq!(tallies.len(), REPLICAS, "each replica is done");
        if is_long() {
            return;
        }
        for tally in tallies.values() {
            assert_eq!(
                tally.accepted, requests,
                "each request is answered: {tally:?}"
            );
        }
        assert_eq!(refreshes, SUBJECTS, "one refresh for each subject");
    }

    async fn disrupted_round(&mut self, most: usize) {
        self.revoke_all().await;
        let faults = disruptions::faults(&mut self.random);
        self.history.note_faults(&faults);
        self.notion.script(Call::Refresh, faults);
        let disruptions = disruptions::of_a_round(&mut self.random, most);
        self.play(&disruptions, Duration::from_secs(3)).await;
    }

    async fn round_with_outage(&mut self, outage: &impl AsyncFn()) {
        self.revoke_all().await;
        self.history.note("outage of the store");
        let round = self.play(&[], Duration::from_secs(8));
        let (_, ()) = tokio::join!(round, outage());
        self.history.note("outage of the store over");
    }

    /// Lets all replicas send requests, and disrupts some of them. Returns the tallies of the others.
    async fn play(
        &mut self,
        disruptions: &[(usize, Disruption)],
        patience: Duration,
    ) -> HashMap<usize, Tally> {
        self.round += 1;
        let begun = Instant::now();
        let mut kills: BTreeMap<Instant, usize> = BTreeMap::new();
        for &(replica, disruption) in disruptions {
            if self.cluster.is_suspended(replica) {
                continue;
            }
            match disruption {
                Disruption::KillAt(failpoint, times) | Disruption::SuspendAt(failpoint, times) => {
                    self.armed.insert(replica, disruption);
                    let command = Command::Arm(format!("{failpoint:?}"), times);
                    self.cluster.send(replica, &command);
                }
                Disruption::KillAfter(milliseconds) => {
                    kills.insert(begun + Duration::from_millis(milliseconds), replica);
                }
            }
        }
        let mut awaited: Vec<usize> = (0..REPLICAS)
            .filter(|replica| !self.cluster.is_suspended(*replica))
            .collect();
        for replica in &awaited {
            self.cluster.send(*replica, &Command::Round(self.round));
        }
        let mut tallies = HashMap::new();
        let deadline = begun + patience;
        while !(awaited.is_empty() && kills.is_empty()) && Instant::now() < deadline {
            let next = kills.keys().next().copied().unwrap_or(deadline);
            let received = self.cluster.receive(next.min(deadline)).await;
            if let Some(received) = received {
                let replica = received.replica;
                match self.handle(received) {
                    Handled::Disrupted => awaited.retain(|it| *it != replica),
                    Handled::Tally(tally) => {
                        awaited.retain(|it| *it != replica);
                        tallies.insert(replica, tally);
                    }
                    Handled::Nothing => {}
                }
            } else if let Some((_, replica)) = kills.pop_first() {
                if !self.cluster.is_suspended(replica) {
                    self.armed.remove(&replica);
                    self.cluster.kill(replica);
                    self.history.note_disruption("killed at any moment");
                    awaited.retain(|it| *it != replica);
                }
            }
        }
        for replica in std::mem::take(&mut self.armed).into_keys() {
            let disarmed = Command::Arm(String::new(), 0);
            self.cluster.send(replica, &disarmed);
        }
        tallies
    }

    fn handle(&mut self, received: Received) -> Handled {
        let Received {
            replica,
            report,
            is_alive,
        } = received;
        match report {
            Report::At(failpoint) if is_alive => match self.armed.remove(&replica) {
                Some(Disruption::SuspendAt(..)) => {
                    self.cluster.suspend(replica);
                    self.history
                        .note_disruption(&format!("suspended at {failpoint}"));
                    Handled::Disrupted
                }
                Some(Disruption::KillAt(..)) => {
                    self.cluster.kill(replica);
                    self.history
                        .note_disruption(&format!("killed at {failpoint}"));
                    Handled::Disrupted
                }
                // The replica was disarmed a moment too late.
                _ => {
                    self.cluster.send(replica, &Command::Continue);
                    Handled::Nothing
                }
            },
            Report::Round(round, tally) if is_alive && round == self.round => {
                self.history.count(&tally);
                Handled::Tally(tally)
            }
            Report::Round(_, tally) => {
                self.history.count(&tally);
                Handled::Nothing
            }
            other => {
                self.history.note_report(replica, other);
                Handled::Nothing
            }
        }
    }

    /// Notes the connections that were lost, and makes them again.
    async fn reconnect_lost(&mut self) {
        let query = ListQuery::default()
            .filter(Filter::NeedsReauthorization)
            .limit(SUBJECTS);
        let lost = self.provider.list(&query).await;
        let at = self.history.now();
        for status in lost.unwrap_or_default() {
            let subject = status.subject.as_str().to_owned();
            self.history.losses.push(Loss {
                bot: status.bot_id.unwrap(),
                state: status.state,
                subject: subject.clone(),
                at,
            });
            self.connect(&subject).await;
        }
    }

    /// Waits until all requests succeed again.
    async fn rest(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let requests = SUBJECTS * self.setup.tasks;
        // Scripted faults that were not reached would come later.
        self.notion.unscript();
        self.history.note("rest");
        loop {
            let tallies = self.play(&[], PATIENCE).await;
            self.reconnect_lost().await;
            let is_well = |tally: &Tally| tally.accepted == requests;
            if tallies.len() == REPLICAS && tallies.values().all(is_well) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "requests still fail: {tallies:?}"
            );
        }
    }

    /// I6, for refresh tasks: each replica ends without one.
    async fn stop(&mut self) {
        for replica in 0..REPLICAS {
            self.cluster.send(replica, &Command::Stop);
        }
        let mut stopped = 0;
        while stopped < REPLICAS {
            let received = self.cluster.receive(Instant::now() + PATIENCE).await;
            let received = received.expect("each replica ends");
            match received.report {
                Report::Stopped(is_clean) => {
                    assert!(is_clean, "I6: a refresh task ran at rest");
                    stopped += 1;
                }
                _ => {
                    self.handle(received);
                }
            }
        }
    }
}

enum Handled {
    Nothing,
    Disrupted,
    Tally(Tally),
}
