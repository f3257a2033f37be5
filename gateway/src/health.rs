//! `/healthz`. Anybody may ask, so the store is asked once for all who do within a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::StatusCode,
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

    async fn ask(self) -> Result<(), AuthError> {
        // Who comes while it is asked waits here, and finds the answer.
        let mut last = self.last.lock().await;
        match &*last {
            Some((at, answer)) if at.elapsed() <= FRESH => answer.clone(),
            _ => {
                let answer = self.provider.health().await;
                *last = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    }
}

pub(crate) async fn healthz(State(health): State<Health>) -> Response {
    // In a task, so that who hangs up does not take the answer from those who wait.
    match tokio::spawn(health.ask()).await {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(error)) => error.to_response().into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
