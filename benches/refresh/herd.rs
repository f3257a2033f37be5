//! One herd: many requests at once for one subject whose access token is no good any more.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use notion_auth::{NotionAuthProvider, Subject, provider::Event};
use tokio::{sync::watch, time::timeout};
use tower::ServiceExt;

use crate::{
    api::{Api, Client},
    crowd::all_at_once,
    notion::Notion,
    support::{
        cpu,
        inner::{name, request},
    },
};

/// How the token is no good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Every request is on its way with it when the API begins to answer them with 401.
    Refused,
    /// It is known to have expired before a request is sent.
    Expired,
}

/// How a herd went. It starts with the first 401, or the first request if that need not be sent to
/// know.
pub(crate) struct Run {
    /// From its start until the new pair was there to be used.
    pub(crate) refreshed: Duration,
    /// From its start until the last answer.
    pub(crate) whole: Duration,
    pub(crate) presentations: usize,
    /// What all threads took, sending included.
    pub(crate) cpu: Option<Duration>,
}

/// A provider before `MockNotion`, and the moment of its last refresh.
pub(crate) struct Scene {
    notion: Notion,
    provider: NotionAuthProvider,
    last_refresh: Arc<Mutex<Option<Instant>>>,
    subjects: usize,
}

impl Scene {
    pub(crate) fn new(token_call: Duration) -> Self {
        let notion = Notion::start(token_call);
        let last_refresh = Arc::new(Mutex::new(None));
        let note = Arc::clone(&last_refresh);
        let provider = notion.provider().observer(move |event: &Event| {
            if let Event::Refreshed { .. } = event {
                *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
        });
        Self {
            provider: provider.build().expect("a provider"),
            notion,
            last_refresh,
            subjects: 0,
        }
    }

    /// How long one refresh of one subject takes when nothing else happens.
    pub(crate) async fn one_token_call(&mut self) -> Duration {
        let (number, _) = self.connect(Stale::Refused).await;
        let subject = Subject::new(name(number));
        let start = Instant::now();
        let refreshed = self.provider.refresh(&subject).await;
        let time = start.elapsed();
        refreshed.expect("a refresh");
        time
    }

    /// A new subject with a stale token, and the API that knows so.
    pub(crate) async fn prepare(&mut self, stale: Stale, size: usize) -> Herd {
        let (subject, bot_id) = self.connect(stale).await;
        let acquired = self.notion.mock.ledger().living_pair(&bot_id);
        let (access_token, _) = acquired.expect("the subject is connected");
        self.notion.mock.revoke_access_token(&access_token);
        let api = Api::new([access_token], size);
        Herd {
            client: api.behind(&self.provider),
            api,
            subject,
            bot_id,
            stale,
            size,
        }
    }

    async fn connect(&mut self, stale: Stale) -> (usize, String) {
        self.subjects += 1;
        let mut credentials = self.notion.mock.connect();
        let bot_id = credentials.bot_id().expect("a bot").to_owned();
        if stale == Stale::Expired {
            credentials.expires_at = Some(SystemTime::now() - Duration::from_secs(60));
        }
        let subject = Subject::new(name(self.subjects));
        let stored = self.provider.store_credentials(&subject, credentials).await;
        stored.expect("the credentials are stored");
        (self.subjects, bot_id)
    }

    /// Sends all requests at once, each as a task, and sees that each is answered with 200.
    pub(crate) async fn run(&self, herd: &Herd) -> Run {
        let cpu = cpu::of_all_threads();
        let client = herd.client.clone();
        let (start, end) = all_at_once(herd.subjects(), move |subject| {
            let client = client.clone();
            async move {
                let answer = client.oneshot(request(subject)).await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::OK);
            }
        })
        .await;
        let cpu = cpu.and_then(|before| Some(cpu::of_all_threads()? - before));
        herd.check();
        let start = herd.api.first_refusal().unwrap_or(start);
        self.report(herd, start, end, cpu)
    }

    /// The least that such a herd takes: the same tasks with a deadline each wait for a channel, on
    /// which the end of the refresh is told, and then send the request with nothing around it.
    pub(crate) async fn run_bare(&self, herd: &Herd) -> Run {
        let (sender, receiver) = watch::channel(false);
        let (provider, subject) = (self.provider.clone(), Subject::new(name(herd.subject)));
        let refresh = async move {
            provider.refresh(&subject).await.expect("a refresh");
            sender.send(true).expect("somebody waits");
        };
        let cpu = cpu::of_all_threads();
        let refresh = tokio::spawn(refresh);
        let api = herd.api.clone();
        let (start, end) = all_at_once(herd.subjects(), move |subject| {
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
        .await;
        let cpu = cpu.and_then(|before| Some(cpu::of_all_threads()? - before));
        refresh.await.expect("a refresh");
        self.report(herd, start, end, cpu)
    }

    fn report(&self, herd: &Herd, start: Instant, end: Instant, cpu: Option<Duration>) -> Run {
        let refreshed = self.last_refresh.lock();
        let refreshed = refreshed.unwrap_or_else(PoisonError::into_inner);
        let presentations = self.notion.mock.ledger().refreshes_of(&herd.bot_id);
        Run {
            refreshed: refreshed.expect("there was a refresh") - start,
            whole: end - start,
            presentations: presentations.len(),
            cpu,
        }
    }
}

pub(crate) struct Herd {
    client: Client,
    api: Api,
    subject: usize,
    bot_id: String,
    stale: Stale,
    size: usize,
}

impl Herd {
    /// One for each request. The request is made by its task, as a server's would be.
    fn subjects(&self) -> Vec<usize> {
        vec![self.subject; self.size]
    }

    fn check(&self) {
        let refused = match self.stale {
            Stale::Refused => self.size,
            Stale::Expired => 0,
        };
        assert_eq!(self.api.refusals(), refused, "as many were to be refused");
    }
}
