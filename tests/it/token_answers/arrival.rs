//! A transport that changes how the responses of the OAuth endpoints arrive.

use std::{
    collections::VecDeque,
    io::Write as _,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use notion_auth::{
    AuthError, BoxError, Event, NotionUserCredentials, Subject,
    oauth::{OAuthError, OAuthFlow},
    store::{CredentialStore as _, Lineage},
    testing::{
        MockNotion,
        notion::{Call, Fault, MockNotionService},
    },
};
use serde_json::Value;
use tokio::time::{Sleep, sleep};
use tower::{Service, ServiceExt as _};

use crate::support::{World, record_json, record_key, send};

/// A response as it arrives.
pub(super) struct Arrival {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: VecDeque<Piece>,
}

pub(super) enum Piece {
    Data(Bytes),
    Pause(Duration),
    /// The connection breaks.
    Break,
}

impl Arrival {
    /// Returns a 200 response with this body, as JSON.
    pub(super) fn of(body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/json; charset=utf-8")],
            body: VecDeque::from([Piece::Data(body.into())]),
        }
    }

    pub(super) fn json(body: &Value) -> Self {
        Self::of(body.to_string())
    }

    pub(super) fn gzip(body: impl AsRef<[u8]>) -> Self {
        Self::of(gzip(body)).header("content-encoding", "gzip")
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(it, _)| *it != name);
        self.headers.push((name, value));
        self
    }

    /// Appends to the body.
    pub(super) fn then(mut self, piece: Piece) -> Self {
        self.body.push_back(piece);
        self
    }
}

pub(super) fn gzip(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Converts the correct response to the one that arrives.
pub(super) type Change = fn(Value) -> Arrival;

/// A transport to Notion whose next response arrives as scripted.
#[derive(Clone)]
struct Line {
    notion: MockNotionService,
    next: Arc<Mutex<VecDeque<Change>>>,
}

impl Service<Request<Full<Bytes>>> for Line {
    type Response = Response<Pieces>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let line = self.clone();
        Box::pin(async move {
            let (head, body) = line.notion.oneshot(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            let change = line.next.lock().unwrap().pop_front();
            let Some(change) = change.filter(|_| head.status == StatusCode::OK) else {
                let body = Pieces::of(VecDeque::from([Piece::Data(body)]));
                return Ok(Response::from_parts(head, body));
            };
            let arrival = change(serde_json::from_slice(&body)?);
            let mut response = Response::new(Pieces::of(arrival.body));
            *response.status_mut() = StatusCode::from_u16(arrival.status)?;
            for (name, value) in arrival.headers {
                let value = HeaderValue::from_static(value);
                response.headers_mut().append(name, value);
            }
            Ok(response)
        })
    }
}

pub(super) struct Pieces {
    left: VecDeque<Piece>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pieces {
    fn of(left: VecDeque<Piece>) -> Self {
        Self { left, pause: None }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            return Poll::Ready(match self.left.pop_front() {
                None => None,
                Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
                Some(Piece::Break) => Some(Err("reset by peer".into())),
                Some(Piece::Pause(time)) => {
                    self.pause = Some(Box::pin(sleep(time)));
                    continue;
                }
            });
        }
    }
}

/// A world whose next token response arrives as scripted, with the subject `ann`.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) ann: Subject,
    next: Arc<Mutex<VecDeque<Change>>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Scene {
    pub(super) fn new() -> Self {
        let notion = MockNotion::in_process();
        let next = Arc::<Mutex<VecDeque<Change>>>::default();
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let line = Line {
            notion: notion.service(),
            next: Arc::clone(&next),
        };
        let seen = Arc::clone(&events);
        let world = World::with(notion, |builder| {
            builder
                .transport(line)
                .observer(move |event: &Event| seen.lock().unwrap().push(event.clone()))
        });
        Self {
            world,
            ann: Subject::new("ann"),
            next,
            events,
        }
    }

    /// Creates a scene whose subject is connected.
    pub(super) async fn connected() -> Self {
        let scene = Self::new();
        scene.world.connect("ann").await;
        scene
    }

    pub(super) fn next_arrives(&self, change: Change) {
        self.next.lock().unwrap().push_back(change);
    }

    pub(super) fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.world.notion.script(Call::Token, faults);
    }

    pub(super) fn flow(&self) -> &OAuthFlow {
        self.world.provider.oauth()
    }

    /// Returns a code, as in a callback.
    pub(super) fn code(&self) -> String {
        let authorization = self.flow().authorize(&self.ann).unwrap();
        let url = authorization.url.as_str();
        let callback = self.world.notion.consent(url).unwrap();
        let (_, code) = callback.split_once("code=").unwrap();
        code.split('&').next().unwrap().to_owned()
    }

    /// Exchanges a code and stores the credentials.
    pub(super) async fn exchange(&self) -> Result<(), OAuthError> {
        let credentials = self.flow().exchange_code(&self.code()).await?;
        let stored = self
            .world
            .provider
            .store_credentials(&self.ann, credentials);
        stored.await.expect("what arrived is stored");
        Ok(())
    }

    /// Sends a request of the subject.
    pub(super) async fn request(&self) -> Result<u16, AuthError> {
        match send(self.world.client(), self.world.get("ann")).await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => Err(AuthError::find(&*error).expect("an AuthError").clone()),
        }
    }

    /// Makes the API refuse the subject's access token.
    pub(super) async fn refuse(&self) {
        let stored = self.stored().await;
        let token = stored.access_token.expose();
        self.world.notion.revoke_access_token(token);
    }

    pub(super) async fn stored(&self) -> NotionUserCredentials {
        let stored = self.world.provider.load_credentials(&self.ann).await;
        stored.unwrap().expect("credentials are stored")
    }

    /// Returns the JSON of the stored record.
    pub(super) async fn record(&self) -> Value {
        let loaded = self.world.store.load(&record_key("ann")).await.unwrap();
        record_json(&loaded.record.expect("a record"))
    }

    /// Returns the stored generation, and whether it is leased.
    pub(super) async fn generation(&self) -> (u64, bool) {
        let record = self.record().await;
        let generation = record["generation"].as_u64().expect("a number");
        (generation, !record["lease"].is_null())
    }

    pub(super) async fn lineage(&self) -> Lineage {
        let status = self.world.provider.status(&self.ann).await.unwrap();
        status.expect("a record").lineage.expect("it is readable")
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Returns how often a refresh token reached Notion.
    pub(super) fn refreshes(&self) -> usize {
        self.world.notion.ledger().refreshes().len()
    }
}

/// Returns the OAuth error that caused an error.
pub(super) fn cause(error: &AuthError) -> &OAuthError {
    let source = std::error::Error::source(error);
    let cause = source.and_then(|source| source.downcast_ref());
    cause.unwrap_or_else(|| panic!("no OAuthError: {error:?}"))
}
