//! `/healthz`. Anybody may ask, so the store is asked once for all who do within a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use notion_auth::{AuthError, NotionAuthProvider};
use tokio::sync::Mutex;

const FRESH: Duration = Duration::from_secs(1);

type Answered = (Instant, Result<(), AuthError>);

#[derive(Clone)]
pub(crate) struct Health {
    provider: NotionAuthProvider,
    last: Arc<Mutex<Option<Answered>>>,
}

impl Health {
    pub(crate) fn of(provider: NotionAuthProvider) -> Self {
        Self {
            provider,
            last: Arc::default(),
        }
    }
}

pub(crate) async fn healthz(State(health): State<Health>) -> Response {
    // Who comes while it is asked waits here, and finds the answer.
    let mut last = health.last.lock().await;
    if last.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH) {
        let answer = health.provider.health().await;
        *last = Some((Instant::now(), answer));
    }
    match &*last {
        Some((_, Err(error))) => error.to_response().into_response(),
        _ => "ok\n".into_response(),
    }
}
