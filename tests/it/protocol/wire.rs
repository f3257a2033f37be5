use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use notion_auth::{
    BoxError,
    oauth::NotSent,
    testing::notion::{MockNotion, MockNotionService},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceExt};

use super::{
    history::{History, Presentation, Reply},
    life::Life,
};

/// A process's way to Notion's OAuth endpoints.
#[derive(Clone)]
pub(super) struct Wire {
    notion: MockNotionService,
    life: Arc<Life>,
    faults: WireFaults,
    history: History,
}

/// What becomes of the next refreshes, call by call, for all processes that share this.
#[derive(Clone, Default)]
pub(super) struct WireFaults {
    next: Arc<Mutex<VecDeque<WireFault>>>,
    /// What becomes of all others.
    always: Arc<Mutex<Option<WireFault>>>,
    calls: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireFault {
    None,
    /// No byte left us.
    NotSent,
    /// Lost on the way there.
    LostBefore,
    /// Lost on the way back: the server has done it.
    LostAfter,
    /// No answer in time, though the server has done it.
    SilentAfter,
    /// An answer that comes late, but in time.
    Late(Duration),
    Status500Before,
    Status500After,
    GarbledAfter,
    RateLimited,
    /// The same, with leave to come again at once.
    RateLimitedForNoTime,
    /// A definite refusal that is not about the grant.
    InvalidRequest,
    InvalidClient,
}

impl WireFault {
    pub(super) const ALL: [Self; 12] = [
        Self::None,
        Self::NotSent,
        Self::LostBefore,
        Self::LostAfter,
        Self::SilentAfter,
        Self::Late(Duration::from_secs(6)),
        Self::Status500Before,
        Self::Status500After,
        Self::GarbledAfter,
        Self::RateLimited,
        Self::InvalidRequest,
        Self::InvalidClient,
    ];
}

impl WireFaults {
    pub(super) fn push(&self, fault: WireFault) {
        self.next.lock().unwrap().push_back(fault);
    }

    pub(super) fn always(&self, fault: Option<WireFault>) {
        *self.always.lock().unwrap() = fault;
    }

    pub(super) fn clear(&self) {
        self.next.lock().unwrap().clear();
        self.always(None);
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn next(&self) -> WireFault {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let next = self.next.lock().unwrap().pop_front();
        let always = *self.always.lock().unwrap();
        next.or(always).unwrap_or(WireFault::None)
    }
}

impl Wire {
    pub(super) fn new(
        notion: &MockNotion,
        life: Arc<Life>,
        faults: WireFaults,
        history: History,
    ) -> Self {
        Self {
            notion: notion.service(),
            life,
            faults,
            history,
        }
    }

    async fn refresh(
        self,
        token: String,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, BoxError> {
        let fault = self.faults.next();
        if matches!(fault, WireFault::LostBefore | WireFault::Status500Before) {
            // The process that presented it cannot know that it never came.
            self.history.excuse();
        }
        match fault {
            WireFault::NotSent => return Err(NotSent::new("no route").into()),
            WireFault::LostBefore => return Err("reset".into()),
            WireFault::Status500Before => return Ok(answer(500, "{}")),
            WireFault::RateLimited => return Ok(answer(429, "{}")),
            WireFault::RateLimitedForNoTime => {
                let mut response = answer(429, "{}");
                let at_once = HeaderValue::from_static("0");
                response.headers_mut().insert(RETRY_AFTER, at_once);
                return Ok(response);
            }
            WireFault::InvalidRequest => {
                return Ok(answer(400, r#"{"error":"invalid_request"}"#));
            }
            WireFault::InvalidClient => return Ok(answer(401, r#"{"error":"invalid_client"}"#)),
            _ => {}
        }
        let index = {
            let mut events = self.history.events();
            events.presentations.push(Presentation {
                token,
                at: Instant::now(),
                until: None,
                result: Reply::Lost,
            });
            events.presentations.len() - 1
        };
        // Also when the call is given up: then this is dropped.
        let _presented = Presented {
            history: self.history.clone(),
            index,
        };
        let response = self.notion.clone().oneshot(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.life.pass().await;
        match fault {
            WireFault::LostAfter => return Err("reset".into()),
            WireFault::SilentAfter => sleep(Duration::from_secs(60)).await,
            WireFault::Status500After => return Ok(answer(500, "{}")),
            WireFault::GarbledAfter => return Ok(answer(200, r#"{"access_token":"#)),
            WireFault::Late(time) => sleep(time).await,
            _ => {}
        }
        self.life.pass().await;
        self.history.events().presentations[index].result = reply(head.status, &body);
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

/// A call whose end is noted.
struct Presented {
    history: History,
    index: usize,
}

impl Drop for Presented {
    fn drop(&mut self) {
        self.history.events().presentations[self.index].until = Some(Instant::now());
    }
}

fn reply(status: StatusCode, body: &[u8]) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match (&body["refresh_token"], &body["error"]) {
        (Value::String(token), _) if status.is_success() => Reply::Pair(token.clone()),
        (_, error) if *error == json!("invalid_grant") => Reply::InvalidGrant,
        _ => Reply::Refused,
    }
}

fn answer(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

impl Service<Request<Full<Bytes>>> for Wire {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let json: Value = serde_json::from_slice(&body)?;
            let request = Request::from_parts(head, Full::new(body));
            match &json["refresh_token"] {
                Value::String(token) => wire.refresh(token.clone(), request).await,
                _ => {
                    let response = wire.notion.oneshot(request).await?;
                    let (head, body) = response.into_parts();
                    let body = body.collect().await?.to_bytes();
                    Ok(Response::from_parts(head, Full::new(body)))
                }
            }
        })
    }
}
