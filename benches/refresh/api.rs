use std::{
    collections::HashSet,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use notion_auth::{CloneBody, NotionAuth, NotionAuthLayer, NotionAuthProvider};
use tokio::sync::Barrier;
use tower::{Layer, Service};

/// The API, in process: answers 401 to tokens that have ended and 200 to others.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    /// As they stand in the header.
    ended: HashSet<Vec<u8>>,
    refusals: AtomicUsize,
    refused_together: usize,
    barrier: Barrier,
    first_refusal: OnceLock<Instant>,
}

pub(crate) type Client = NotionAuth<Api, CloneBody>;

impl Api {
    /// It answers the first 401 when so many are to be answered, as if their requests had been on
    /// their way at the same time: after a 401 the token is sent no more.
    pub(crate) fn new(ended: impl IntoIterator<Item = String>, refused_together: usize) -> Self {
        let ended = ended
            .into_iter()
            .map(|token| format!("Bearer {token}").into_bytes());
        Self {
            shared: Arc::new(Shared {
                ended: ended.collect(),
                refusals: AtomicUsize::new(0),
                refused_together,
                barrier: Barrier::new(refused_together),
                first_refusal: OnceLock::new(),
            }),
        }
    }

    /// The client that is measured.
    pub(crate) fn behind(&self, provider: &NotionAuthProvider) -> Client {
        NotionAuthLayer::refreshing(provider.clone())
            .replaying(CloneBody)
            .layer(self.clone())
    }

    /// How many requests were answered with 401.
    pub(crate) fn refusals(&self) -> usize {
        self.shared.refusals.load(Ordering::Relaxed)
    }

    /// When it began to answer with 401.
    pub(crate) fn first_refusal(&self) -> Option<Instant> {
        self.shared.first_refusal.get().copied()
    }
}

impl Shared {
    async fn refuse(&self) {
        let before = self.refusals.fetch_add(1, Ordering::Relaxed);
        if before + 1 == self.refused_together {
            self.first_refusal.get_or_init(Instant::now);
        }
        if self.refused_together > 1 {
            self.barrier.wait().await;
        }
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
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut response = Response::new(());
            let token = request.headers().get(AUTHORIZATION);
            if token.is_none_or(|token| shared.ended.contains(token.as_bytes())) {
                shared.refuse().await;
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                let id = HeaderValue::from_static("1");
                response.headers_mut().insert("x-notion-request-id", id);
            }
            Ok(response)
        })
    }
}
