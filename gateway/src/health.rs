//! `/healthz` and `/readyz`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, RETRY_AFTER},
    },
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use notion_auth::{AuthError, NotionAuthProvider};
use tokio::sync::Mutex;

use crate::envelope;

/// Anybody may ask for the readiness, so the store is asked once for all questions within this time.
const FRESH: Duration = Duration::from_secs(1);

type Answered = (Instant, Result<(), AuthError>);

#[derive(Clone)]
pub(crate) struct Health {
    provider: NotionAuthProvider,
    store: Arc<Mutex<Option<Answered>>>,
    is_draining: Arc<AtomicBool>,
    asked: Arc<std::sync::Mutex<Option<Instant>>>,
}

impl Health {
    pub(crate) fn of(provider: NotionAuthProvider) -> Self {
        Self {
            provider,
            store: Arc::default(),
            is_draining: Arc::default(),
            asked: Arc::default(),
        }
    }

    /// Makes the gateway not ready from now on.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Whether a load balancer asks for the readiness: it did so within `time`.
    pub(crate) fn is_watched(&self, time: Duration) -> bool {
        let asked = self
            .asked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() <= time)
    }

    async fn ask(self) -> Result<(), AuthError> {
        // Concurrent questions wait here, and find the answer.
        let mut store = self.store.lock().await;
        match &*store {
            Some((at, answer)) if at.elapsed() <= FRESH => answer.clone(),
            _ => {
                let answer = self.provider.health().await;
                *store = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    }
}

/// The process runs. A failing store is no reason to restart it.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Routes until the store answers. Otherwise a program that starts processes and asks for their health would end one
/// that waits for its database.
pub(crate) fn starting() -> Router {
    const STARTING: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "starting\n");

    refusing(
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(async || STARTING)),
    )
}

/// Adds the answer of all other paths while the gateway starts.
pub(crate) fn refusing(router: Router) -> Router {
    let refuse = async || {
        let mut refusal = envelope::refusal(
            "starting",
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            "the gateway is starting, and its credential store does not answer yet",
        );
        let retry_after = HeaderValue::from_static("1");
        refusal.headers_mut().insert(RETRY_AFTER, retry_after);
        *refusal
    };
    // Connections that remain open would be served by these routes later as well.
    let close = async |mut response: Response| {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        response
    };
    router
        .fallback(refuse)
        .layer(middleware::map_response(close))
}

/// New requests can be served.
pub(crate) async fn readyz(State(health): State<Health>) -> Response {
    *health
        .asked
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
    if health.is_draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    // In a task, so that a caller that goes away does not take the answer from those who wait.
    match tokio::spawn(health.ask()).await {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(error)) => error.to_response().into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
