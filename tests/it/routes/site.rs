//! A host with the routes, and browsers that visit it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::{
    Method, Request, Response, StatusCode,
    header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE},
};
use http_body_util::BodyExt as _;
use notion_auth::{
    Event, Keyring, MemoryStore, NotionAuthProvider, NotionOAuthService, Subject,
    provider::NotionAuthProviderBuilder,
    routes::{AuthenticatedByHeader, Body, FlowProblem, NotionOAuthServiceBuilder},
    testing::{
        MockNotion, TestClock,
        notion::{Call, MockNotionBuilder, TokenKind},
    },
};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
pub(crate) const JSON: &str = "application/json";
pub(crate) const KEY: [u8; 32] = [7; 32];

/// One replica of a host, and what is told to it.
pub(crate) struct Site {
    pub(crate) notion: MockNotion,
    pub(crate) clock: TestClock,
    pub(crate) store: MemoryStore,
    pub(crate) provider: NotionAuthProvider,
    pub(crate) routes: NotionOAuthService,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(MockNotion::builder(), |builder| builder)
    }

    pub(crate) fn with(
        notion: MockNotionBuilder,
        set: impl FnOnce(NotionOAuthServiceBuilder) -> NotionOAuthServiceBuilder,
    ) -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::with_clock(clock.clone());
        Self::on(notion.in_process(), clock, store, keys(), set)
    }

    /// Another replica, on the same store.
    pub(crate) fn replica(
        &self,
        set: impl FnOnce(NotionOAuthServiceBuilder) -> NotionOAuthServiceBuilder,
    ) -> Self {
        let (clock, store) = (self.clock.clone(), self.store.clone());
        Self::on(self.notion.clone(), clock, store, keys(), set)
    }

    /// A replica with keys of its own.
    pub(crate) fn replica_with_keys(&self, keys: Keyring) -> Self {
        let (clock, store) = (self.clock.clone(), self.store.clone());
        Self::on(self.notion.clone(), clock, store, keys, |builder| builder)
    }

    fn on(
        notion: MockNotion,
        clock: TestClock,
        store: MemoryStore,
        keys: Keyring,
        set: impl FnOnce(NotionOAuthServiceBuilder) -> NotionOAuthServiceBuilder,
    ) -> Self {
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let told = Arc::clone(&events);
        let provider = provider(&notion)
            .keys(keys)
            .store(store.clone())
            .clock(clock.clone())
            .observer(move |event: &Event| told.lock().unwrap().push(event.clone()))
            .build()
            .expect("the settings are valid");
        let builder = provider
            .routes()
            .default_return_target("/settings")
            .return_target("billing", "/billing?tab=notion");
        let routes = set(builder).build().expect("the settings are valid");
        Self {
            notion,
            clock,
            store,
            provider,
            routes,
            events,
        }
    }

    /// A browser whose user is signed in as this.
    pub(crate) fn browser(&self, subject: &str) -> Browser {
        Browser {
            routes: self.routes.clone(),
            cookies: BTreeMap::new(),
            subject: Some(subject.into()),
        }
    }

    pub(crate) fn stranger(&self) -> Browser {
        Browser {
            subject: None,
            ..self.browser("nobody")
        }
    }

    /// The problems that were told.
    pub(crate) fn problems(&self) -> Vec<FlowProblem> {
        let events = self.events.lock().unwrap();
        let problems = events.iter().filter_map(|event| match event {
            Event::FlowFailed { problem, .. } => Some(*problem),
            _ => None,
        });
        problems.collect()
    }

    pub(crate) async fn is_connected(&self, subject: &str) -> bool {
        let subject = Subject::new(subject);
        let stored = self.provider.load_credentials(&subject).await;
        stored.expect("the store answers").is_some()
    }

    /// The tokens that were given to Notion to be revoked.
    pub(crate) fn revoked(&self) -> Vec<String> {
        let presentations = self.notion.ledger().presentations();
        let revoked = presentations
            .into_iter()
            .filter(|it| it.endpoint == Call::Revoke)
            .map(|it| it.token);
        revoked.collect()
    }

    /// How many codes were exchanged, or tried to be.
    pub(crate) fn exchanges(&self) -> usize {
        let presentations = self.notion.ledger().presentations();
        let codes = presentations
            .iter()
            .filter(|it| it.token_kind == TokenKind::Code);
        codes.count()
    }
}

fn keys() -> Keyring {
    Keyring::new([KEY]).expect("a key")
}

pub(crate) fn provider(notion: &MockNotion) -> NotionAuthProviderBuilder {
    notion
        .provider_builder()
        .expect("the mock's app is valid")
        .keys(keys())
        .transport(notion.service())
        .jitter_seed(7)
}

/// A browser: it keeps cookies, and its user is signed in or not.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) routes: NotionOAuthService,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) subject: Option<Subject>,
}

/// A response that was read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) head: http::response::Parts,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) async fn get(&mut self, target: &str) -> Seen {
        self.send(Method::GET, target, &[(ACCEPT.as_str(), HTML)])
            .await
    }

    /// As a form of the host's page sends it.
    pub(crate) async fn post(&mut self, target: &str) -> Seen {
        let headers = [(ACCEPT.as_str(), HTML), ("sec-fetch-site", "same-origin")];
        self.send(Method::POST, target, &headers).await
    }

    pub(crate) async fn json(&mut self, target: &str) -> Value {
        let seen = self
            .send(Method::GET, target, &[(ACCEPT.as_str(), JSON)])
            .await;
        seen.json()
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Seen {
        let response = self.request(method, target, headers);
        let response = response.await;
        self.take_cookies(&response);
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Seen {
            status: head.status,
            head,
            text: String::from_utf8(bytes.to_vec()).expect("text"),
        }
    }

    /// The request, which can be dropped before it is answered.
    pub(crate) fn request(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = Response<Body>> + use<> {
        let mut request = Request::builder().method(method).uri(path(target));
        for (name, value) in headers {
            if *name == "by-header" {
                request = request.extension(AuthenticatedByHeader);
            } else {
                request = request.header(*name, *value);
            }
        }
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if let Some(subject) = &self.subject {
            request = request.extension(subject.clone());
        }
        let request = request.body(()).expect("a request");
        let routes = self.routes.clone();
        async move {
            routes
                .oneshot(request)
                .await
                .unwrap_or_else(|never| match never {})
        }
    }

    fn take_cookies(&mut self, response: &Response<Body>) {
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            let (pair, attributes) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Begins a flow, and answers where Notion's page is.
    pub(crate) async fn authorize(&mut self, query: &str) -> String {
        let seen = self.get(&format!("/notion/authorize{query}")).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{seen:?}");
        seen.location().to_owned()
    }

    /// Connects, and answers what the callback did.
    pub(crate) async fn connect(&mut self, notion: &MockNotion, workspace: &str) -> Seen {
        let page = self.authorize("").await;
        let callback = notion.consent_for(&page, workspace).expect("a callback");
        self.get(&callback).await
    }
}

impl Seen {
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        let location = self.head.headers.get(LOCATION).expect("a redirect");
        location.to_str().expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let cookies = self.head.headers.get_all(SET_COOKIE).into_iter();
        cookies
            .map(|cookie| cookie.to_str().expect("text"))
            .collect()
    }
}

/// The path and query of what may be a whole URL.
fn path(target: &str) -> &str {
    target.strip_prefix("https://app.example").unwrap_or(target)
}
