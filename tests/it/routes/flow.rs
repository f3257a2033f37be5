//! Flows from their start to their end.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use http::{Method, StatusCode};
use notion_auth::{
    Event, Keyring, NotionAppCredentials, NotionAuthProvider, Subject,
    routes::FlowProblem,
    store::{StoreError, async_trait},
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};

use serde_json::Value;

use super::site::{JSON, KEY, Site};
use crate::{
    faulty_store::{FaultyStore, Hooks, Operation},
    support::edit_record,
};

#[tokio::test(start_paused = true)]
async fn visitor_connects_sees_the_connection_and_disconnects() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    assert_eq!(ann.json("/notion/status").await["connected"], false);

    let page = ann.authorize("").await;
    for part in [
        "owner=user",
        "response_type=code",
        "redirect_uri=https%3A%2F%2Fapp.example%2Fnotion%2Fcallback",
        "state=",
    ] {
        assert!(page.contains(part), "{page}");
    }
    let callback = site.notion.consent_for(&page, "Acme").expect("a callback");
    let done = ann.get(&callback).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(done.location(), "/settings?notion=connected");
    let connected = done.head.extensions.get::<notion_auth::routes::Connected>();
    assert_eq!(connected.expect("who connected").subject, "ann".into());
    assert!(ann.cookies.is_empty(), "the flow's cookie is cleared");

    let status = ann.json("/notion/status").await;
    assert_eq!(status["connected"], true);
    assert_eq!(status["workspace"]["name"], "Acme");
    assert!(status["workspace"]["id"].is_string(), "{status}");
    assert!(status["connected_at"].is_u64(), "{status}");
    assert!(status["needs_reauthorization"].is_null(), "{status}");

    let gone = ann.post("/notion/disconnect?return_to=billing").await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);
    assert_eq!(gone.location(), "/billing?tab=notion&notion=disconnected");
    assert!(!site.is_connected("ann").await);
    let again = ann.post("/notion/disconnect").await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "idempotent");
    let events = site.events.lock().unwrap().clone();
    let ends = events
        .iter()
        .filter(|event| matches!(event, Event::Disconnected { .. }));
    assert_eq!(ends.count(), 1, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn status_says_why_a_connection_must_be_renewed_and_shows_no_token() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let subject = Subject::new("ann");
    let stored = site.provider.load_credentials(&subject).await;
    let stored = stored.expect("an answer").expect("a connection");
    let token = stored.access_token.expose().to_owned();
    site.notion.revoke_grant(&token);
    site.provider.refresh(&subject).await.expect_err("revoked");

    let status = ann.json("/notion/status").await;
    assert_eq!(status["connected"], false);
    assert_eq!(status["needs_reauthorization"], "revoked");
    assert_eq!(status["workspace"]["name"], "Acme");
    let page = ann.get("/notion/status").await;
    assert!(page.text.contains("Connect again"), "{page:?}");
    for secret in [&token, stored.refresh_token.as_ref().expect("one").expose()] {
        assert!(!status.to_string().contains(secret));
        assert!(!page.text.contains(secret));
    }
    ann.connect(&site.notion, "Acme").await;
    assert_eq!(ann.json("/notion/status").await["connected"], true);
}

#[tokio::test(start_paused = true)]
async fn invalid_token_is_stored_and_shown_to_the_user() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let odd = serde_json::json!({"access_token": "two words"});
    site.notion
        .script(Call::TokenExchange, [Fault::Members(odd)]);
    let page = ann.authorize("").await;
    let callback = site.notion.consent_for(&page, "Acme").expect("a callback");
    let seen = ann.get(&callback).await;
    assert_eq!(seen.status, StatusCode::BAD_GATEWAY);
    assert!(
        seen.text.contains("use the access that Notion sent"),
        "{seen:?}"
    );
    assert_eq!(site.problems(), [FlowProblem::InvalidToken]);

    assert!(site.is_connected("ann").await);
    let status = ann.json("/notion/status").await;
    let reason = status["invalid_token"].as_str().expect("a reason");
    assert!(reason.contains("at position 4"), "{status}");
    let page = ann.get("/notion/status").await;
    assert!(page.text.contains("Connect again"), "{page:?}");
    ann.connect(&site.notion, "Acme").await;
    let status = ann.json("/notion/status").await;
    assert!(status["invalid_token"].is_null(), "{status}");
}

#[tokio::test(start_paused = true)]
async fn flow_started_on_one_replica_completes_on_another() {
    let one = Site::new();
    let other = one.replica(|builder| builder);
    let mut ann = one.browser("ann");
    let page = ann.authorize("").await;
    let callback = one.notion.consent(&page).expect("a callback");
    ann.routes = other.routes.clone();
    let done = ann.get(&callback).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    assert!(one.is_connected("ann").await);
}

#[tokio::test(start_paused = true)]
async fn keys_change_in_steps_without_breaking_flows() {
    let site = Site::new();
    let ring = |keys: &[[u8; 32]]| Keyring::new(keys.iter().copied()).expect("keys");
    let (old, new) = (KEY, [8; 32]);
    let steps = [&[old][..], &[old, new], &[new, old], &[new]];
    for step in steps.windows(2) {
        // Replicas of one step and of the next serve the same browser.
        for (begins, ends) in [(step[0], step[1]), (step[1], step[0])] {
            let (begins, ends) = (ring(begins), ring(ends));
            let begins = site.replica_with_keys(begins);
            let ends = site.replica_with_keys(ends);
            let mut ann = begins.browser("ann");
            let page = ann.authorize("").await;
            let callback = site.notion.consent(&page).expect("a callback");
            ann.routes = ends.routes.clone();
            assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn flow_completes_if_the_browser_leaves_while_the_nonce_is_consumed() {
    let store = FaultyStore::memory();
    let site = Site::new();
    let provider = super::site::provider(&site.notion)
        .store(store.clone())
        .build()
        .expect("a provider");
    let routes = provider.routes().build().expect("routes");
    let mut ann = site.browser("ann");
    ann.routes = routes;
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    store.hooks.set_nonce_delay(Duration::from_secs(2));
    let target = callback.strip_prefix("https://app.example").expect("ours");
    let answer = ann.request(Method::GET, target, &[]);
    let left = tokio::time::timeout(Duration::from_secs(1), answer).await;
    assert!(left.is_err(), "the store takes two seconds");
    provider
        .shutdown(Duration::from_secs(10))
        .await
        .expect("it waits for the flow");
    let stored = provider.load_credentials(&"ann".into()).await;
    assert!(stored.expect("the store answers").is_some());
}

/// Counts purges, each of which takes 50 seconds.
#[derive(Default)]
struct SlowPurges(AtomicUsize);

#[async_trait]
impl Hooks for SlowPurges {
    async fn before(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        if matches!(operation, Operation::Purge) {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn neither_a_flow_nor_a_shutdown_waits_for_the_hourly_purge() {
    let site = Site::new();
    let store = FaultyStore::new(site.store.clone(), SlowPurges::default());
    let provider = super::site::provider(&site.notion)
        .store(store.clone())
        .clock(site.clock.clone())
        .build()
        .expect("a provider");
    let mut ann = site.browser("ann");
    ann.routes = provider.routes().build().expect("routes");
    let purges = || store.hooks.0.load(Ordering::Relaxed);
    for (pause, purged) in [(0, 1), (3000, 1), (700, 2)] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let began = tokio::time::Instant::now();
        let done = ann.connect(&site.notion, "Acme").await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
        let idle = provider.shutdown(Duration::from_secs(1));
        idle.await.expect("no flow is left");
        tokio::task::yield_now().await;
        assert_eq!(purges(), purged);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

/// Fails so many reads after the first nonce.
struct FailedReads {
    left: AtomicUsize,
    has_begun: AtomicBool,
}

#[async_trait]
impl Hooks for FailedReads {
    async fn before(&self, operation: Operation<'_>) -> Result<(), StoreError> {
        let down = || Err(StoreError::unavailable("faulty", "down"));
        match operation {
            Operation::ConsumeNonce => self.has_begun.store(true, Ordering::Relaxed),
            Operation::Load(_) if self.has_begun.load(Ordering::Relaxed) => {
                let left = self.left.load(Ordering::Relaxed);
                self.left.store(left.saturating_sub(1), Ordering::Relaxed);
                return if left > 0 { down() } else { Ok(()) };
            }
            _ => {}
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn store_that_fails_for_a_moment_costs_no_exchanged_code() {
    for (failures, is_connected) in [(0, true), (1, true), (3, true), (4, false)] {
        let hooks = FailedReads {
            left: AtomicUsize::new(failures),
            has_begun: AtomicBool::new(false),
        };
        let site = Site::new();
        let provider = super::site::provider(&site.notion)
            .store(FaultyStore::new(site.store.clone(), hooks))
            .build()
            .expect("a provider");
        let mut ann = site.browser("ann");
        ann.routes = provider.routes().build().expect("routes");
        let done = ann.connect(&site.notion, "Acme").await;
        let expected = if is_connected {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        assert_eq!(done.status, expected, "{failures}");
        assert_eq!(site.is_connected("ann").await, is_connected, "{failures}");
        assert_eq!(site.revoked().is_empty(), is_connected, "{failures}");
    }
}

#[tokio::test(start_paused = true)]
async fn connection_is_stored_if_the_browser_leaves() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let delay = Fault::Delay(Duration::from_secs(2));
    site.notion.script(Call::TokenExchange, [delay]);
    let target = callback.strip_prefix("https://app.example").expect("ours");
    let answer = ann.request(Method::GET, target, &[]);
    let left = tokio::time::timeout(Duration::from_secs(1), answer).await;
    assert!(left.is_err(), "the answer takes two seconds");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(site.is_connected("ann").await);
}

#[tokio::test(start_paused = true)]
async fn problem_is_reported_once_if_the_browser_leaves() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    for waits in [false, true] {
        let page = ann.authorize("").await;
        let callback = site.notion.consent(&page).expect("a callback");
        let refusal = Fault::refuse(400, "invalid_grant");
        let refusal = Fault::after_delay(Duration::from_secs(2), refusal);
        site.notion.script(Call::TokenExchange, [refusal]);
        let target = callback.strip_prefix("https://app.example").expect("ours");
        let answer = ann.request(Method::GET, target, &[]);
        let patience = Duration::from_secs(if waits { 10 } else { 1 });
        let answered = tokio::time::timeout(patience, answer).await;
        assert_eq!(answered.is_ok(), waits);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(site.problems(), [FlowProblem::ExchangeFailed]);
        site.events.lock().unwrap().clear();
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_beats_a_refresh_in_flight() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let delay = Fault::DelayAfter(Duration::from_secs(3));
    site.notion.script(Call::Refresh, [delay]);
    let (provider, subject) = (site.provider.clone(), Subject::new("ann"));
    let refresh = tokio::spawn(async move { provider.refresh(&subject).await.map(drop) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let done = ann.connect(&site.notion, "Acme").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    // It ends one way or the other; what counts is what is stored.
    let _ = refresh.await.expect("no panic");
    let stored = site.provider.load_credentials(&"ann".into()).await;
    let stored = stored.expect("an answer").expect("a connection");
    let token = stored.access_token.expose();
    assert!(site.notion.ledger().is_access_token_live(token));
}

#[tokio::test(start_paused = true)]
async fn flows_of_two_tabs_both_complete() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let first = ann.authorize("?return_to=/first").await;
    let second = ann.authorize("?return_to=/second").await;
    let first = site.notion.consent(&first).expect("a callback");
    let second = site.notion.consent(&second).expect("a callback");
    assert_eq!(
        ann.get(&second).await.location(),
        "/second?notion=connected"
    );
    assert_eq!(ann.get(&first).await.location(), "/first?notion=connected");
}

#[tokio::test(start_paused = true)]
async fn failed_exchange_is_reported_and_changes_nothing() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    for fault in [
        Fault::refuse(400, "invalid_grant"),
        Fault::StatusBefore(500),
        Fault::DropBefore,
    ] {
        site.notion.script(Call::TokenExchange, [fault]);
        let failed = ann.connect(&site.notion, "Acme").await;
        assert_eq!(failed.status, StatusCode::BAD_GATEWAY, "{failed:?}");
        assert!(failed.text.contains("Start again"), "{failed:?}");
        assert!(ann.cookies.is_empty(), "a code is good for one call");
        assert!(site.is_connected("ann").await);
    }
    site.notion
        .script(Call::TokenExchange, [Fault::refuse(401, "invalid_client")]);
    let failed = ann.connect(&site.notion, "Acme").await;
    assert_eq!(
        failed.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "{failed:?}"
    );
    let problem = FlowProblem::Misconfigured;
    let subject = Some("ann".into());
    let expected = Event::FlowFailed { subject, problem };
    let events = site.events.lock().unwrap().clone();
    assert!(events.contains(&expected), "{events:?}");
    // Refreshes are not paused, because a visitor can cause this.
    assert!(!events.contains(&Event::AppRejected), "{events:?}");
    site.provider.refresh(&"ann".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failed_revocation_is_reported_and_the_connection_is_deleted() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    site.notion
        .always(Call::Revoke, Some(Fault::StatusBefore(500)));
    let headers = [("accept", JSON), ("sec-fetch-site", "same-origin")];
    let seen = ann.send(Method::POST, "/notion/disconnect", &headers).await;
    assert_eq!(seen.json()["connected"], false);
    assert_eq!(seen.json()["revoked"], false);
    assert!(!site.is_connected("ann").await);
}

#[tokio::test(start_paused = true)]
async fn disconnect_of_an_unreadable_record_reports_no_revocation() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    edit_record(&site.store, "ann", |json| json["payload"] = "".into()).await;

    let status = ann.json("/notion/status").await;
    // Not "connect again", because a key that was missing makes the connection usable.
    assert_eq!(status["connected"], false);
    assert_eq!(status["needs_reauthorization"], Value::Null);
    assert_eq!(status["workspace"]["name"], "Acme");
    let headers = [("accept", JSON), ("sec-fetch-site", "same-origin")];
    let seen = ann.send(Method::POST, "/notion/disconnect", &headers).await;
    assert_eq!(seen.json()["connected"], false);
    assert_eq!(seen.json()["revoked"], false);
    assert!(!site.is_connected("ann").await);
}

#[test]
fn routes_of_half_an_oauth_client_are_refused_at_build() {
    let app = || {
        NotionAppCredentials::builder()
            .token("ntn_1")
            .redirect_uri("https://app.example/notion/callback")
    };
    for (app, is_whole) in [
        (app(), false),
        (app().client_id("id"), false),
        (app().client_secret("secret"), false),
        (app().client_id("id").client_secret("secret"), true),
    ] {
        let provider = NotionAuthProvider::builder()
            .app(app.build().expect("valid"))
            .keys(Keyring::random())
            .build()
            .expect("a provider");
        match provider.routes().build() {
            Ok(_) => assert!(is_whole),
            Err(error) => {
                assert!(!is_whole && error.is_configuration(), "{error}");
                let text = error.to_string();
                assert!(
                    text.contains("NOTION_CLIENT_ID, NOTION_CLIENT_SECRET"),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn invalid_settings_are_refused_at_build() {
    let build = |redirect_uri: &str, keys: bool| {
        let notion = MockNotion::builder()
            .redirect_uri(redirect_uri)
            .in_process();
        let builder = if keys {
            super::site::provider(&notion)
        } else {
            notion.provider_builder().expect("a builder")
        };
        let provider = builder.build().expect("a provider");
        let built = provider.routes().build();
        built.map(drop).map_err(|error| error.to_string())
    };
    build("https://app.example/callback", true).expect("mounted at the root");
    build("http://localhost:3000/notion/callback", true).expect("for development");
    let error = build("https://app.example/notion/callback", false).expect_err("no keys");
    assert!(error.contains("Keyring::from_env()"), "{error}");
    for uri in [
        "https://app.example/notion/callback?tenant=1",
        "https://app.example/notion/callback/",
    ] {
        let error = build(uri, true).expect_err(uri);
        assert!(error.contains("NOTION_REDIRECT_URI"), "{error}");
    }
}
