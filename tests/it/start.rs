//! Providers from the environment, and their start with a store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use http_body_util::Full;
use notion_auth::{
    AuthError, MemoryStore, NotionAppCredentials, NotionAuthLayer, NotionAuthProvider, Subject,
    UseIntegrationToken,
    provider::NotionAuthProviderBuilder,
    store::StoreError,
    testing::{MockNotion, TestClock},
};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    faulty_store::{FaultyStore, Hooks, Operation},
    own_process,
    support::auth_error,
};

const TOKEN: (&str, Option<&str>) = ("NOTION_TOKEN", Some("ntn_env"));
const NO_TOKEN: (&str, Option<&str>) = ("NOTION_TOKEN", None);
const CLIENT: (&str, Option<&str>) = ("NOTION_CLIENT_ID", Some("1f2e"));
const NO_CLIENT: (&str, Option<&str>) = ("NOTION_CLIENT_ID", None);
const SECRET: (&str, Option<&str>) = ("NOTION_CLIENT_SECRET", Some("s"));
const NO_SECRET: (&str, Option<&str>) = ("NOTION_CLIENT_SECRET", None);
const NO_URL: (&str, Option<&str>) = ("NOTION_API_URL", Some(""));
const NO_VERSION: (&str, Option<&str>) = ("NOTION_VERSION", None);

/// Sends a request through the layer, and returns its URI and `Authorization`.
async fn sent(layer: NotionAuthLayer, request: Request<Full<Bytes>>) -> Result<String, AuthError> {
    let echo = service_fn(|request: Request<Full<Bytes>>| async move {
        let token = request.headers()[AUTHORIZATION].to_str().unwrap();
        let sent = format!("{} {token}", request.uri());
        Ok::<_, std::convert::Infallible>(http::Response::new(sent))
    });
    match layer.layer(echo).oneshot(request).await {
        Ok(response) => Ok(response.into_body()),
        Err(error) => Err(auth_error(&error).clone()),
    }
}

fn me() -> Request<Full<Bytes>> {
    Request::get("/v1/users/me").body(Full::default()).unwrap()
}

#[tokio::test]
async fn token_in_the_environment_is_sent_with_every_request() {
    const NAME: &str = "start::token_in_the_environment_is_sent_with_every_request";
    if !own_process::is_alone(NAME, &[TOKEN, NO_CLIENT, NO_SECRET, NO_URL, NO_VERSION]) {
        return;
    }
    let layer = NotionAuthLayer::from_env().unwrap();
    let sent = sent(layer, me()).await.unwrap();
    assert_eq!(sent, "https://api.notion.com/v1/users/me Bearer ntn_env");
}

#[tokio::test]
async fn oauth_client_in_the_environment_requires_a_subject() {
    const NAME: &str = "start::oauth_client_in_the_environment_requires_a_subject";
    if !own_process::is_alone(NAME, &[NO_TOKEN, CLIENT, SECRET, NO_URL, NO_VERSION]) {
        return;
    }
    let layer = NotionAuthLayer::from_env().unwrap();
    let error = sent(layer.clone(), me()).await.unwrap_err();
    assert_eq!(error.status(), 401);
    let mut request = me();
    request.extensions_mut().insert(Subject::new("ann"));
    assert!(sent(layer, request).await.unwrap_err().is_not_connected());
}

#[tokio::test]
async fn token_beside_an_oauth_client_is_sent_on_request() {
    const NAME: &str = "start::token_beside_an_oauth_client_is_sent_on_request";
    const URL: (&str, Option<&str>) = ("NOTION_API_URL", Some("http://127.0.0.1:9"));
    if !own_process::is_alone(NAME, &[TOKEN, CLIENT, SECRET, URL, NO_VERSION]) {
        return;
    }
    let layer = NotionAuthLayer::from_env().unwrap();
    assert!(sent(layer.clone(), me()).await.is_err());
    let mut request = me();
    request.extensions_mut().insert(UseIntegrationToken::new());
    let sent = sent(layer, request).await.unwrap();
    assert_eq!(sent, "http://127.0.0.1:9/v1/users/me Bearer ntn_env");
}

#[test]
fn environment_without_token_and_client_is_an_error_that_names_both() {
    const NAME: &str = "start::environment_without_token_and_client_is_an_error_that_names_both";
    if !own_process::is_alone(NAME, &[NO_TOKEN, NO_CLIENT, NO_SECRET, NO_URL, NO_VERSION]) {
        return;
    }
    let error = NotionAuthLayer::from_env().unwrap_err();
    assert!(error.is_configuration());
    for name in ["NOTION_TOKEN", "NOTION_CLIENT_ID"] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn bad_variables_are_named_by_the_error() {
    const NAME: &str = "start::bad_variables_are_named_by_the_error";
    const BAD: (&str, Option<&str>) = ("NOTION_VERSION", Some("latest"));
    const BAD_URL: (&str, Option<&str>) = ("NOTION_API_URL", Some("http://evil.example"));
    if !own_process::is_alone(NAME, &[TOKEN, NO_CLIENT, NO_SECRET, BAD_URL, BAD]) {
        return;
    }
    let error = NotionAuthLayer::from_env().unwrap_err().to_string();
    assert!(error.contains("NOTION_VERSION"), "{error}");
    let app = NotionAppCredentials::builder().token("ntn_1").build();
    let builder = NotionAuthProvider::builder().app(app.unwrap());
    let error = builder.api_url("http://evil.example").build().unwrap_err();
    assert!(error.to_string().contains("NOTION_API_URL"), "{error}");
}

/// Counts migrations and purges.
#[derive(Default)]
struct Counted(Arc<std::sync::Mutex<Vec<&'static str>>>);

#[notion_auth::store::async_trait]
impl Hooks for Counted {
    async fn before(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        let name = match operation {
            Operation::Migrate => "migrate",
            Operation::Health => "health",
            Operation::Purge => "purge",
            _ => return Ok(()),
        };
        self.0.lock().unwrap().push(name);
        Ok(())
    }
}

/// A builder whose health check reads no root certificates.
fn builder() -> NotionAuthProviderBuilder {
    let notion = MockNotion::in_process();
    let builder = NotionAuthProvider::builder().app(notion.app_credentials().unwrap());
    builder.transport(notion.service())
}

#[tokio::test(start_paused = true)]
async fn start_migrates_checks_and_purges_each_hour_until_the_last_handle() {
    let counted = Counted::default();
    let calls = Arc::clone(&counted.0);
    let clock = TestClock::new();
    let store = FaultyStore::new(MemoryStore::with_clock(clock.clone()), counted);
    let builder = builder().store(store).clock(clock);
    let provider = builder.start().await.unwrap();
    assert_eq!(*calls.lock().unwrap(), ["migrate", "health"]);
    sleep(Duration::from_secs(2 * 60 * 60 + 60)).await;
    assert_eq!(calls.lock().unwrap()[2..], ["purge", "purge"]);
    drop(provider);
    sleep(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(calls.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn start_waits_for_a_store_that_wakes_up() {
    let clock = TestClock::new();
    let store = FaultyStore::memory();
    store.hooks.set_down(true);
    let waking = store.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(40)).await;
        waking.hooks.set_down(false);
    });
    let began = Instant::now();
    let builder = builder().store(store).clock(clock);
    builder.start().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(40));
    assert!(began.elapsed() < Duration::from_secs(50));
}

#[tokio::test(start_paused = true)]
async fn start_gives_up_after_a_minute() {
    let store = FaultyStore::memory();
    store.hooks.set_down(true);
    let began = Instant::now();
    let builder = builder().store(store).clock(TestClock::new());
    let error = builder.start().await;
    assert!(error.unwrap_err().is_transient());
    assert!(began.elapsed() >= Duration::from_secs(55));
    assert!(began.elapsed() <= Duration::from_secs(65));
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_hourly_purge() {
    // Several times, because a race would show in some runs only.
    for _ in 0..20 {
        let counted = Counted::default();
        let calls = Arc::clone(&counted.0);
        let builder = builder().store(FaultyStore::new(MemoryStore::new(), counted));
        let provider = builder.start().await.unwrap();
        provider.shutdown(Duration::from_secs(1)).await.unwrap();
        sleep(Duration::from_secs(3 * 60 * 60)).await;
        assert_eq!(*calls.lock().unwrap(), ["migrate", "health"]);
    }
}
