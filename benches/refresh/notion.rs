//! Notion's token endpoint and API.

use std::{
    collections::HashSet,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use notion_auth::{
    HttpsConfig, NotionAppCredentials, NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject,
    provider::NotionAuthProviderBuilder, testing::MockNotion,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Barrier,
};
use tower::{Layer, Service};

use crate::{
    harness::{API, name},
    tls::TlsServer,
    work::runtime,
};

/// `MockNotion` on a socket and its own thread, so that it uses no time of a measured thread.
pub(crate) struct Notion {
    pub(crate) mock: MockNotion,
    pub(crate) tls: Option<TlsServer>,
    runtime: Runtime,
}

impl Notion {
    pub(crate) fn start(token_delay: Duration) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mock = MockNotion::builder()
            .token_delay(token_delay)
            // Searching for older connections would check every connection.
            .reconnect_ends_older(false);
        Self {
            mock: runtime.block_on(mock.start()).expect("a port of 127.0.0.1"),
            tls: None,
            runtime,
        }
    }

    pub(crate) fn with_tls(mut self) -> Self {
        self.tls = Some(self.runtime.block_on(TlsServer::start(&self.mock)));
        self
    }

    pub(crate) fn token_url(&self) -> String {
        let url = self.mock.token_url();
        match &self.tls {
            Some(tls) => url.replace(&self.mock.base_url(), &tls.origin),
            None => url,
        }
    }

    /// Returns the builder of a provider that refreshes here by the built-in transport.
    pub(crate) fn provider(&self) -> NotionAuthProviderBuilder {
        let builder = self.mock.provider_builder().expect("app credentials");
        let builder = builder.api_url(API);
        let Some(tls) = &self.tls else {
            return builder;
        };
        let app = NotionAppCredentials::builder()
            .client_id(self.mock.client_id())
            .client_secret(self.mock.client_secret())
            .redirect_uri(self.mock.redirect_uri())
            .authorization_url(self.mock.authorization_url())
            .token_url(self.token_url());
        let config = HttpsConfig::from_vars(|_| None).add_root_certificate(&tls.authority);
        builder
            .app(app.build().expect("app credentials"))
            .https(config.expect("a certificate"))
    }
}

/// Stores credentials of this many subjects.
pub(crate) fn connect(mock: &MockNotion, provider: &NotionAuthProvider, subjects: usize) {
    runtime().block_on(async {
        for number in 0..subjects {
            let subject = Subject::new(name(number));
            let stored = provider.store_credentials(&subject, mock.connect());
            stored.await.expect("the credentials are stored");
        }
    });
}

/// An in-process API that answers 401 to revoked tokens and 200 to others.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

struct Shared {
    /// As in the `Authorization` header.
    ended: HashSet<Vec<u8>>,
    refusals: AtomicUsize,
    refused_together: usize,
    barrier: Barrier,
    first_refusal: OnceLock<Instant>,
}

pub(crate) type ApiClient = NotionAuth<Api>;

impl Api {
    /// Creates an API that sends its first 401 only when this many are due, as if the requests had been
    /// sent at the same time. After a 401, a token is not sent again.
    pub(crate) fn new(ended: impl IntoIterator<Item = String>, refused_together: usize) -> Self {
        let ended = ended.into_iter();
        let ended = ended.map(|token| format!("Bearer {token}").into_bytes());
        Self(Arc::new(Shared {
            ended: ended.collect(),
            refusals: AtomicUsize::new(0),
            refused_together,
            barrier: Barrier::new(refused_together),
            first_refusal: OnceLock::new(),
        }))
    }

    /// Returns the measured client.
    pub(crate) fn behind(&self, provider: &NotionAuthProvider) -> ApiClient {
        let layer = NotionAuthLayer::refreshing(provider.clone());
        layer.layer(self.clone())
    }

    /// Returns the number of 401 responses, and the time of the first one.
    pub(crate) fn refusals(&self) -> (usize, Option<Instant>) {
        let count = self.0.refusals.load(Ordering::Relaxed);
        (count, self.0.first_refusal.get().copied())
    }
}

impl Service<Request<()>> for Api {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let mut response = Response::new(());
            let token = request.headers().get(AUTHORIZATION);
            if token.is_none_or(|token| shared.ended.contains(token.as_bytes())) {
                let before = shared.refusals.fetch_add(1, Ordering::Relaxed);
                if before + 1 == shared.refused_together {
                    shared.first_refusal.get_or_init(Instant::now);
                }
                shared.barrier.wait().await;
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                let id = HeaderValue::from_static("1");
                response.headers_mut().insert("x-notion-request-id", id);
            }
            Ok(response)
        })
    }
}
