//! The course of a test: quiet rounds, rounds with blows, an outage of the store, and rest.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    time::Duration,
};

use notion_auth::{
    NotionAuthProvider, Subject,
    provider::Point,
    store::Filter,
    testing::{MockNotion, notion::Call},
};
use tokio::time::Instant;

use crate::progress::Progress;

use super::{
    blows::{self, Blow},
    cluster::{Cluster, PATIENCE, REPLICAS, Said},
    oracle::{self, History, Loss},
    replica::{Command, Report, Tally},
    setup::{Database, Setup, name},
};

const SUBJECTS: usize = 50;

/// Blows of one round, so that most subjects are not in doubt at any time.
const AT_ONCE: usize = 5;

fn number(variable: &str, otherwise: u64) -> u64 {
    let set = env::var(variable).ok();
    set.map_or(otherwise, |it| it.parse().expect("a number"))
}

/// A machine that is kept busy for long is slower than leases of seconds allow, so that quiet rounds are none.
fn is_long() -> bool {
    number("PROCESS_KILLS", 0) > 100
}

pub(super) struct Run {
    setup: Setup,
    notion: MockNotion,
    cluster: Cluster,
    provider: NotionAuthProvider,
    random: fastrand::Rng,
    history: History,
    round: u32,
    /// What replicas are still to do, by their place.
    armed: HashMap<usize, Blow>,
}

/// Starts replicas on that store, deals blows, and holds what happened against what is promised. `outage` takes
/// the store away for a while and brings it back.
pub(super) async fn survive(database: Database, outage: impl AsyncFn()) {
    let seed = number("PROCESS_SEED", 1);
    let blows = usize::try_from(number("PROCESS_KILLS", 12)).unwrap();
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
    let progress = Progress::of(blows as u64, "blows");
    let mut is_outage_over = false;
    while run.history.blows.len() < blows {
        let left = blows - run.history.blows.len();
        if !is_outage_over && left <= blows / 2 {
            is_outage_over = true;
            run.round_with_outage(&outage).await;
        } else {
            run.round_of_blows(left.min(AT_ONCE)).await;
        }
        let lost = format!("{} connections lost", run.history.losses.len());
        progress.show(run.history.blows.len() as u64, lost);
        run.heal().await;
    }
    run.rest().await;
    run.quiet_round().await;
    run.stop().await;
    let broken = oracle::check(&run.history, &run.notion.ledger(), &run.provider, SUBJECTS).await;
    let summary = run.history.summary(&run.notion.ledger());
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
        let mut run = Self {
            cluster: Cluster::start(&setup),
            setup,
            notion,
            provider,
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
        // Who is suspended while it writes holds up SQLite's writers until it goes on.
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
            if let Some(said) = self.cluster.hear(moment).await {
                self.listen(said);
            }
        }
    }

    /// Ends every access token, so that each subject needs a refresh.
    async fn revoke_all(&self) {
        for subject in 0..SUBJECTS {
            let subject = Subject::new(name(subject));
            // While the store is away, they stay.
            if let Ok(Some(credentials)) = self.provider.load_credentials(&subject).await {
                let token = credentials.access_token.expose();
                self.notion.revoke_access_token(token);
            }
        }
    }

    /// With nothing in the way each request goes through, by one refresh for each subject.
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

    async fn round_of_blows(&mut self, most: usize) {
        self.revoke_all().await;
        let faults = blows::faults(&mut self.random);
        self.history.note_faults(&faults);
        self.notion.script(Call::Refresh, faults);
        let blows = blows::of_a_round(&mut self.random, most);
        self.play(&blows, Duration::from_secs(3)).await;
    }

    async fn round_with_outage(&mut self, outage: &impl AsyncFn()) {
        self.revoke_all().await;
        self.history.note("outage of the store");
        let round = self.play(&[], Duration::from_secs(8));
        let (_, ()) = tokio::join!(round, outage());
        self.history.note("outage of the store over");
    }

    /// Lets all replicas send requests, and deals the blows meanwhile. Answers what the replicas say that
    /// were not struck.
    async fn play(&mut self, blows: &[(usize, Blow)], patience: Duration) -> HashMap<usize, Tally> {
        self.round += 1;
        let begun = Instant::now();
        let mut kills: BTreeMap<Instant, usize> = BTreeMap::new();
        for &(replica, blow) in blows {
            if self.cluster.is_suspended(replica) {
                continue;
            }
            match blow {
                Blow::KillAt(point, times) | Blow::SuspendAt(point, times) => {
                    self.armed.insert(replica, blow);
                    let command = Command::Arm(format!("{point:?}"), times);
                    self.cluster.send(replica, &command);
                }
                Blow::KillAfter(milliseconds) => {
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
            let said = self.cluster.hear(next.min(deadline)).await;
            if let Some(said) = said {
                let replica = said.replica;
                match self.listen(said) {
                    Heard::Struck => awaited.retain(|it| *it != replica),
                    Heard::Tally(tally) => {
                        awaited.retain(|it| *it != replica);
                        tallies.insert(replica, tally);
                    }
                    Heard::Nothing => {}
                }
            } else if let Some((_, replica)) = kills.pop_first() {
                if !self.cluster.is_suspended(replica) {
                    self.armed.remove(&replica);
                    self.cluster.kill(replica);
                    self.history.note_blow("killed at any moment");
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

    fn listen(&mut self, said: Said) -> Heard {
        let Said {
            replica,
            report,
            is_alive,
        } = said;
        match report {
            Report::At(point) if is_alive => match self.armed.remove(&replica) {
                Some(Blow::SuspendAt(..)) => {
                    self.cluster.suspend(replica);
                    self.history.note_blow(&format!("suspended at {point}"));
                    Heard::Struck
                }
                Some(Blow::KillAt(..)) => {
                    self.cluster.kill(replica);
                    self.history.note_blow(&format!("killed at {point}"));
                    Heard::Struck
                }
                // It was disarmed a moment too late.
                _ => {
                    self.cluster.send(replica, &Command::Go);
                    Heard::Nothing
                }
            },
            Report::Round(round, tally) if is_alive && round == self.round => {
                self.history.count(&tally);
                Heard::Tally(tally)
            }
            Report::Round(_, tally) => {
                self.history.count(&tally);
                Heard::Nothing
            }
            other => {
                self.history.tell(replica, other);
                Heard::Nothing
            }
        }
    }

    /// Notes who has to connect again, and connects them.
    async fn heal(&mut self) {
        let lost = self
            .provider
            .list(Filter::NeedsReauthorization, None, SUBJECTS)
            .await;
        let at = self.history.now();
        for summary in lost.unwrap_or_default() {
            let subject = summary.subject.as_str().to_owned();
            self.history.losses.push(Loss {
                bot: summary.labels.bot_id.unwrap(),
                state: summary.state,
                subject: subject.clone(),
                at,
            });
            self.connect(&subject).await;
        }
    }

    /// Gives everything time, until all requests go through again.
    async fn rest(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let requests = SUBJECTS * self.setup.tasks;
        // What is scripted and was not reached would come later.
        self.notion.unscript();
        self.history.note("rest");
        loop {
            let tallies = self.play(&[], PATIENCE).await;
            self.heal().await;
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

    async fn stop(&mut self) {
        for replica in 0..REPLICAS {
            self.cluster.send(replica, &Command::Stop);
        }
        let mut stopped = 0;
        while stopped < REPLICAS {
            let said = self.cluster.hear(Instant::now() + PATIENCE).await;
            let said = said.expect("each replica ends");
            match said.report {
                Report::Stopped(is_clean) => {
                    assert!(is_clean, "I6: a flight was in the air at rest");
                    stopped += 1;
                }
                _ => {
                    self.listen(said);
                }
            }
        }
    }
}

enum Heard {
    Nothing,
    Struck,
    Tally(Tally),
}

/// So that the names of the points are known here too.
pub(super) fn points() -> impl Iterator<Item = String> {
    Point::ALL.into_iter().map(|point| format!("{point:?}"))
}
