//! Notion's token endpoint and its API.

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
    NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject, provider::NotionAuthProviderBuilder,
    testing::MockNotion,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Barrier,
};
use tower::{Layer, Service};

use crate::{
    harness::{API, name},
    work::runtime,
};

/// `MockNotion` on a socket, on a thread of its own: it takes no time of a thread that is measured.
pub(crate) struct Notion {
    pub(crate) mock: MockNotion,
    _runtime: Runtime,
}

impl Notion {
    pub(crate) fn start(token_delay: Duration) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mock = MockNotion::builder()
            .token_delay(token_delay)
            // Looking for older ones takes a look at every connection that there is.
            .reconnect_ends_older(false);
        Self {
            mock: runtime.block_on(mock.start()).expect("a port of 127.0.0.1"),
            _runtime: runtime,
        }
    }

    /// A provider that refreshes here by the built-in transport, and has its API elsewhere.
    pub(crate) fn provider(&self) -> NotionAuthProviderBuilder {
        let builder = self.mock.provider_builder().expect("app credentials");
        builder.api_url(API)
    }
}

/// Stores credentials of so many subjects.
pub(crate) fn connect(mock: &MockNotion, provider: &NotionAuthProvider, subjects: usize) {
    runtime().block_on(async {
        for number in 0..subjects {
            let subject = Subject::new(name(number));
            let stored = provider.store_credentials(&subject, mock.connect());
            stored.await.expect("the credentials are stored");
        }
    });
}

/// The API, in process: answers 401 to tokens that have ended and 200 to others.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

struct Shared {
    /// As they stand in the header.
    ended: HashSet<Vec<u8>>,
    refusals: AtomicUsize,
    refused_together: usize,
    barrier: Barrier,
    first_refusal: OnceLock<Instant>,
}

pub(crate) type ApiClient = NotionAuth<Api>;

impl Api {
    /// It answers the first 401 when so many are to be answered, as if their requests had been on their way at the same
    /// time: after a 401 the token is sent no more.
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

    /// The client that is measured.
    pub(crate) fn behind(&self, provider: &NotionAuthProvider) -> ApiClient {
        let layer = NotionAuthLayer::refreshing(provider.clone());
        layer.layer(self.clone())
    }

    /// How many requests were answered with 401, and when it began to answer so.
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
