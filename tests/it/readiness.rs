//! The inner service is only called when it is ready, on every path of a request.

use std::{
    future::{Ready, poll_fn, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode};
use notion_auth::{
    BoxError, Mode, NotionAuth, NotionAuthLayer, Subject, UseIntegrationToken,
    testing::{MockNotion, notion::MockNotionService},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit};

use crate::support::{Body, World, get};

/// Answers depending on the token, and panics if it, or a clone, is called before it was ready.
#[derive(Debug, Default)]
struct Strict {
    is_ready: bool,
    refused: Option<String>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            is_ready: false,
            refused: self.refused.clone(),
        }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(self.is_ready, "called without being ready");
        self.is_ready = false;
        let token = request.headers()["authorization"].to_str().unwrap();
        let mut response = Response::new(Body::default());
        if self.refused.as_deref() == Some(token) {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let id = HeaderValue::from_static("1");
            response.headers_mut().insert("x-notion-request-id", id);
        }
        ready(Ok(response))
    }
}

#[tokio::test(start_paused = true)]
async fn no_path_calls_a_service_that_is_not_ready() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    let refused = Some(format!("Bearer {}", credentials.access_token.expose()));
    let layer = NotionAuthLayer::refreshing(world.provider.clone());
    let mut service = layer.layer(Strict {
        is_ready: false,
        refused,
    });
    let send = async |service: &mut NotionAuth<Strict>, request| {
        service.ready().await?.call(request).await
    };
    let hasty = {
        let mut request = world.get("ann");
        request.extensions_mut().insert(Mode::FailFast);
        request
    };

    // A replayed request, a hit, a miss, errors, and each after the other.
    let answer = send(&mut service, world.get("ann")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(send(&mut service, hasty).await.unwrap().status(), 200);
    for _ in 0..2 {
        send(&mut service, world.get("nobody")).await.unwrap_err();
        let elsewhere = get("https://evil.example/");
        send(&mut service, elsewhere).await.unwrap_err();
        let answer = send(&mut service, world.get("ann")).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let other = world.another_provider();
    let ben = world.notion.connect();
    other.store_credentials(&"ben".into(), ben).await.unwrap();
    let answer = send(&mut service, world.get("ben")).await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Is as ready as a test says. A call ends the readiness.
#[derive(Debug, Clone)]
struct Switched(Arc<Mutex<Poll<Result<(), &'static str>>>>);

impl Switched {
    fn turn(&self, readiness: Poll<Result<(), &'static str>>) {
        *self.0.lock().unwrap() = readiness;
    }
}

impl Service<Request<Body>> for Switched {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.lock().unwrap().map_err(BoxError::from)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(request.headers().contains_key("authorization"));
        self.turn(Poll::Pending);
        ready(Ok(Response::new(Body::default())))
    }
}

#[tokio::test(start_paused = true)]
async fn layer_is_ready_exactly_when_the_inner_service_is() {
    let world = World::new();
    world.connect("ann").await;
    let inner = Switched(Arc::new(Mutex::new(Poll::Pending)));
    let layer = NotionAuthLayer::refreshing(world.provider.clone()).without_replay();
    let mut service = layer.layer(inner.clone());
    let readiness = async |service: &mut NotionAuth<Switched, _>| {
        poll_fn(|cx| Poll::Ready(service.poll_ready(cx))).await
    };
    assert!(readiness(&mut service).await.is_pending());
    assert!(readiness(&mut service).await.is_pending());
    inner.turn(Poll::Ready(Ok(())));
    assert!(matches!(readiness(&mut service).await, Poll::Ready(Ok(()))));

    let response = service.call(world.get("ann")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(readiness(&mut service).await.is_pending());

    inner.turn(Poll::Ready(Err("broken")));
    let error = service.ready().await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn layer_works_around_a_limit_of_one_and_a_buffer() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let client = ServiceBuilder::new()
        .layer(NotionAuthLayer::refreshing(world.provider.clone()))
        .buffer(2)
        .concurrency_limit(1)
        .service(world.notion.service());
    let limited = ServiceBuilder::new()
        .layer(NotionAuthLayer::refreshing(world.provider.clone()))
        .concurrency_limit(1)
        .service(world.notion.service());
    let mut revoked = credentials.access_token.expose().to_owned();
    for _ in 0..3 {
        world.notion.revoke_access_token(&revoked);
        let mut requests = JoinSet::new();
        for number in 0..60 {
            let request = if number % 10 == 9 {
                let mut request = world.get("nobody");
                request.extensions_mut().insert(UseIntegrationToken::new());
                request
            } else {
                world.get("ann")
            };
            if number % 2 == 0 {
                requests.spawn(client.clone().oneshot(request));
            } else {
                requests.spawn(limited.clone().oneshot(request));
            }
        }
        let answers = requests.join_all().await;
        let is_good = |it: &&Result<Response<_>, _>| it.as_ref().is_ok_and(|it| it.status() == 200);
        assert_eq!(answers.iter().filter(is_good).count(), 54, "{answers:?}");
        // After the minimum interval.
        sleep(Duration::from_secs(61)).await;
        let subject = Subject::new("ann");
        let acquired = world.provider.acquire(&subject).await.unwrap();
        acquired.expose().clone_into(&mut revoked);
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 3);
}

/// A client that sends one request at a time.
type OneAtATime = NotionAuth<ConcurrencyLimit<MockNotionService>>;

fn one_at_a_time(world: &World) -> OneAtATime {
    ServiceBuilder::new()
        .layer(NotionAuthLayer::refreshing(world.provider.clone()))
        .concurrency_limit(1)
        .service(world.notion.service())
}

#[tokio::test(start_paused = true)]
async fn request_waiting_for_credentials_holds_no_inner_permit() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(8))
        .in_process();
    let world = World::with(notion, |b| b);
    world.connect_expiring("ann", Duration::ZERO).await;
    world.connect("ben").await;
    let client = one_at_a_time(&world);
    let waiting = tokio::spawn(client.clone().oneshot(world.get("ann")));
    sleep(Duration::from_secs(1)).await;

    let start = Instant::now();
    let answer = client.clone().oneshot(world.get("ben")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(start.elapsed(), Duration::ZERO, "ben waited for ann");
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn request_waiting_for_a_refresh_holds_no_inner_permit() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(8))
        .in_process();
    let world = World::with(notion, |b| b);
    let ann = world.connect("ann").await;
    world.connect("ben").await;
    world.notion.revoke_access_token(ann.access_token.expose());
    let client = one_at_a_time(&world);
    let waiting = tokio::spawn(client.clone().oneshot(world.get("ann")));
    sleep(Duration::from_secs(1)).await;

    let start = Instant::now();
    let answer = client.clone().oneshot(world.get("ben")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(start.elapsed(), Duration::ZERO, "ben waited for ann");
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn api_and_token_endpoint_may_share_a_limit_of_one() {
    let notion = MockNotion::in_process();
    let limited = ConcurrencyLimit::new(notion.service(), 1);
    let transport = limited.clone();
    let world = World::with(notion, |builder| builder.transport(transport));
    let layer = NotionAuthLayer::refreshing(world.provider.clone());
    let client = layer.layer(limited);

    // Expired, so that it is refreshed before the request. Refused, so that it is refreshed afterwards.
    world.connect_expiring("ann", Duration::ZERO).await;
    let ben = world.connect("ben").await;
    world.notion.revoke_access_token(ben.access_token.expose());
    for subject in ["ann", "ben"] {
        let answer = client.clone().oneshot(world.get(subject)).await;
        assert_eq!(answer.unwrap().status(), 200, "{subject}");
    }
    assert_eq!(world.notion.ledger().refreshes().len(), 2);
}

/// Calls a client and keeps it.
async fn begin(
    kept: &mut OneAtATime,
    request: Request<Body>,
) -> <OneAtATime as Service<Request<Body>>>::Future {
    let ready = ServiceExt::<Request<Body>>::ready(kept).await;
    ready.unwrap().call(request)
}

/// Asserts that a clone of a client works while the client is kept.
async fn goes_on(world: &World, clone: OneAtATime) {
    let answer = timeout(Duration::from_secs(1), clone.oneshot(world.get("ann"))).await;
    answer.expect("the kept one holds the only place").unwrap();
}

#[tokio::test(start_paused = true)]
async fn service_kept_after_an_error_holds_no_permit() {
    let world = World::new();
    world.connect("ann").await;
    let nobodys = get(&format!("{}/v1/users/me", world.notion.base_url()));
    for refused in [nobodys, get("https://evil.example/")] {
        let mut kept = one_at_a_time(&world);
        let answer = begin(&mut kept, refused).await;
        // Before the error is returned, and after.
        goes_on(&world, kept.clone()).await;
        answer.await.unwrap_err();
        goes_on(&world, kept.clone()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn service_kept_after_a_miss_holds_no_permit() {
    let world = World::new();
    world.connect("ann").await;
    let ben = world.notion.connect();
    let other = world.another_provider();
    other.store_credentials(&"ben".into(), ben).await.unwrap();
    let mut kept = one_at_a_time(&world);
    for subject in ["ben", "nobody"] {
        let answer = begin(&mut kept, world.get(subject)).await;
        goes_on(&world, kept.clone()).await;
        assert_eq!(answer.await.is_ok(), subject == "ben");
        goes_on(&world, kept.clone()).await;
    }
}
