use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use http::{Request, Response};
use notion_auth::{
    AuthError, BoxError, Event, MemoryStore, NotionAuthLayer, NotionAuthProvider, Subject,
    store::CredentialStore,
    testing::{MockNotion, TestClock, notion::MockBody},
};
use tower::{Layer, ServiceExt, service_fn};

use super::{
    history::{History, Sent},
    life::{Life, Stop},
    record::{Record, key},
    store::{ProcessStore, StoreFaults},
    wire::{Wire, WireFaults},
};
use crate::support::{Body, get};

/// Processes that share one store and one Notion.
pub(super) struct Cluster {
    pub(super) notion: MockNotion,
    pub(super) store: MemoryStore,
    pub(super) history: History,
    pub(super) store_faults: StoreFaults,
    pub(super) wire_faults: WireFaults,
    pub(super) processes: Vec<Process>,
    /// An operator's process, to which nothing happens.
    pub(super) operator: Process,
    /// The events of each process, those before its restarts too.
    pub(super) told: Vec<Arc<Mutex<Vec<Event>>>>,
    seed: u64,
}

pub(super) struct Process {
    pub(super) provider: NotionAuthProvider,
    pub(super) clock: TestClock,
    pub(super) life: Arc<Life>,
    /// Whether this process alone cannot reach the store.
    pub(super) cut_off: Arc<AtomicBool>,
}

impl Cluster {
    pub(super) fn new(notion: MockNotion, processes: usize, seed: u64) -> Self {
        let store = MemoryStore::with_clock(TestClock::new());
        let history = History::default();
        let mut told = Vec::new();
        let operator = Process::start(
            &notion,
            &store,
            &history,
            StoreFaults::default(),
            WireFaults::default(),
            seed,
            &mut told,
        );
        let mut cluster = Self {
            notion,
            store,
            history,
            store_faults: StoreFaults::default(),
            wire_faults: WireFaults::default(),
            processes: Vec::new(),
            operator,
            told,
            seed,
        };
        for _ in 0..processes {
            let process = cluster.start();
            cluster.processes.push(process);
        }
        cluster
    }

    fn start(&mut self) -> Process {
        self.seed = self.seed.wrapping_add(1);
        Process::start(
            &self.notion,
            &self.store,
            &self.history,
            self.store_faults.clone(),
            self.wire_faults.clone(),
            self.seed,
            &mut self.told,
        )
    }

    /// The process starts again, with nothing but what is in the store.
    pub(super) fn restart(&mut self, index: usize) {
        let process = self.start();
        let old = std::mem::replace(&mut self.processes[index], process);
        old.life.stop(Stop::Die);
    }

    /// Connects the subject through the operator, and answers its bot, which is always the same.
    pub(super) async fn connect(&self, subject: &Subject) -> String {
        let grant = self.notion.grant_for(subject.as_str());
        let bot = grant.bot_id().to_owned();
        let credentials = serde_json::from_value(grant.answer).unwrap();
        self.operator
            .provider
            .store_credentials(subject, credentials)
            .await
            .unwrap();
        bot
    }

    pub(super) async fn record(&self, subject: &Subject) -> Option<Record> {
        let loaded = self.store.load(&key(subject)).await.unwrap();
        loaded.record.as_ref().map(Record::of)
    }

    /// Ends the subject's living access token without notice.
    pub(super) fn refuse(&self, bot: &str) {
        if let Some((access, _)) = self.notion.ledger().living_pair(bot) {
            self.notion.revoke_access_token(&access);
        }
    }

    /// A request of the subject through a process.
    pub(super) fn request(
        &self,
        process: &Process,
        subject: &Subject,
    ) -> impl Future<Output = Result<Response<MockBody>, BoxError>> + Send + 'static {
        let history = self.history.clone();
        let notion = self.notion.service();
        let api = service_fn(move |request: Request<Body>| {
            let token = request.headers()["authorization"].to_str().unwrap();
            let token = token.trim_start_matches("Bearer ").to_owned();
            let subject = request.extensions().get::<Subject>().unwrap().clone();
            {
                let mut events = history.events();
                let after_saves = events.saves.len();
                events.requests.push(Sent {
                    subject,
                    token,
                    after_saves,
                });
            }
            notion.clone().oneshot(request)
        });
        let layer = NotionAuthLayer::refreshing(process.provider.clone());
        let mut request = get(&format!("{}/v1/users/me", self.notion.base_url()));
        request.extensions_mut().insert(subject.clone());
        layer.layer(api).oneshot(request)
    }

    /// A request, and what it comes to: a status, or an error of ours.
    pub(super) async fn ask(&self, process: usize, subject: &Subject) -> Result<u16, AuthError> {
        match self.request(&self.processes[process], subject).await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => Err(AuthError::find(&*error).expect("an AuthError").clone()),
        }
    }
}

impl Process {
    fn start(
        notion: &MockNotion,
        store: &MemoryStore,
        history: &History,
        store_faults: StoreFaults,
        wire_faults: WireFaults,
        seed: u64,
        told: &mut Vec<Arc<Mutex<Vec<Event>>>>,
    ) -> Self {
        let clock = TestClock::new();
        let life = Arc::new(Life::new(history.clone()));
        let events = Arc::new(Mutex::new(Vec::new()));
        told.push(Arc::clone(&events));
        let points = Arc::clone(&life);
        let cut_off = Arc::<AtomicBool>::default();
        let provider = notion
            .provider_builder()
            .unwrap()
            .transport(Wire::new(
                notion,
                Arc::clone(&life),
                wire_faults,
                history.clone(),
            ))
            .store(ProcessStore {
                inner: store.clone(),
                life: Arc::clone(&life),
                faults: store_faults,
                cut_off: Arc::clone(&cut_off),
                history: history.clone(),
                notion: notion.clone(),
            })
            .clock(clock.clone())
            .jitter_seed(seed)
            .observer(move |event: &Event| events.lock().unwrap().push(event.clone()))
            .failpoint(move |failpoint| {
                let life = Arc::clone(&points);
                async move { life.reach(failpoint).await }
            })
            .build()
            .unwrap();
        Self {
            provider,
            clock,
            life,
            cut_off,
        }
    }
}

/// Long enough for every lease, late commit and back-off to be over.
pub(super) const AGES: Duration = Duration::from_secs(900);
