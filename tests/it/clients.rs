//! Clients of SDKs that are built around one fixed token.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::StatusCode;
use notion_auth::{
    Subject,
    provider::{CallError, Clients},
    testing::notion::MockNotionService,
};
use tower::ServiceExt;

use crate::support::{World, get};

/// An SDK whose client has a fixed token.
struct Sdk {
    token: String,
    service: MockNotionService,
    url: String,
}

#[derive(Debug, PartialEq)]
struct SdkError(StatusCode);

impl fmt::Display for SdkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SdkError {}

impl Sdk {
    async fn me(&self) -> Result<String, SdkError> {
        let mut request = get(&self.url);
        let token = format!("Bearer {}", self.token).parse().unwrap();
        request.headers_mut().insert("authorization", token);
        let version = "2026-03-11".parse().unwrap();
        request.headers_mut().insert("notion-version", version);
        match self
            .service
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
        {
            StatusCode::OK => Ok(self.token.clone()),
            status => Err(SdkError(status)),
        }
    }
}

fn is_unauthorized(error: &SdkError) -> bool {
    error.0 == StatusCode::UNAUTHORIZED
}

/// Counts the clients that are made.
fn clients(world: &World) -> (Clients<Sdk>, Arc<AtomicUsize>) {
    let made = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&made);
    let (service, base_url) = (world.notion.service(), world.notion.base_url());
    let clients = world.provider.clients(move |token| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Sdk {
            token: token.to_owned(),
            service: service.clone(),
            url: format!("{base_url}/v1/users/me"),
        })
    });
    (clients, made)
}

#[tokio::test(start_paused = true)]
async fn client_is_kept_while_its_token_lives() {
    let world = World::new();
    world.connect("ann").await;
    let (clients, made) = clients(&world);
    let ann = Subject::new("ann");
    for _ in 0..3 {
        let call = clients.run(&ann, async |sdk| sdk.me().await, is_unauthorized);
        call.await.unwrap();
    }
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn refused_call_is_repeated_once_with_a_client_for_the_new_token() {
    let world = World::new();
    let old = world.connect("ann").await;
    let (clients, made) = clients(&world);
    let ann = Subject::new("ann");
    world.notion.revoke_access_token(old.access_token.expose());
    // In a task of its own: the future is `Send`.
    let call = tokio::spawn(async move {
        let call = clients.run(&ann, async |sdk| sdk.me().await, is_unauthorized);
        call.await
    });
    assert_ne!(call.await.unwrap().unwrap(), old.access_token.expose());
    assert_eq!(made.load(Ordering::Relaxed), 2);
    assert_eq!(world.notion.ledger().refreshes().len(), 1);
    world.assert_nothing_lost("ann").await;
}

#[tokio::test(start_paused = true)]
async fn call_that_is_refused_again_returns_its_own_error() {
    let world = World::new();
    let credentials = world.connect("ann").await;
    let bot = credentials.bot_id().unwrap();
    world.notion.restrict_account(bot, true);
    let (clients, made) = clients(&world);
    let ann = Subject::new("ann");
    let call = clients.run(&ann, async |sdk| sdk.me().await, is_unauthorized);
    let error = call.await.unwrap_err();
    assert!(
        matches!(error, CallError::Call(SdkError(StatusCode::UNAUTHORIZED))),
        "{error:?}"
    );
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn other_errors_are_not_repeated() {
    let world = World::new();
    world.connect("ann").await;
    let (clients, made) = clients(&world);
    let calls = AtomicUsize::new(0);
    let call = async |_: &Sdk| {
        calls.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(SdkError(StatusCode::BAD_GATEWAY))
    };
    let ann = Subject::new("ann");
    let error = clients.run(&ann, call, is_unauthorized).await;
    assert!(matches!(error, Err(CallError::Call(_))), "{error:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(made.load(Ordering::Relaxed), 1);
    assert!(world.notion.ledger().refreshes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn subject_that_is_not_connected_gets_no_client() {
    let world = World::new();
    let (clients, made) = clients(&world);
    let nobody = Subject::new("nobody");
    let call = clients.run(&nobody, async |sdk| sdk.me().await, is_unauthorized);
    let error = call.await.unwrap_err();
    assert!(
        matches!(&error, CallError::Auth(error) if error.is_not_connected()),
        "{error}"
    );
    assert_eq!(made.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn least_recently_used_clients_are_dropped() {
    let world = World::new();
    let (clients, made) = clients(&world);
    let run = async |subject: &str| {
        let subject = Subject::new(subject);
        let call = clients.run(&subject, async |sdk| sdk.me().await, is_unauthorized);
        call.await.unwrap();
    };
    world.connect("ann").await;
    run("ann").await;
    for number in 0..1_000 {
        let subject = format!("subject {number}");
        world.connect(&subject).await;
        run(&subject).await;
        run("ann").await;
    }
    assert_eq!(made.load(Ordering::Relaxed), 1_001);
    run("subject 0").await;
    assert_eq!(made.load(Ordering::Relaxed), 1_002);
    run("ann").await;
    assert_eq!(made.load(Ordering::Relaxed), 1_002);
}
