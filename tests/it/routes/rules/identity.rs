//! Rules 12 and 13: who connects, and where the client secret goes.

use std::time::Duration;

use http::StatusCode;
use notion_auth::{
    Event, NotionUserCredentials, Subject, oauth::CallbackAnswer, routes::FlowProblem,
    testing::MockNotion,
};

use super::super::site::{Site, provider};
use crate::faulty_store::FaultyStore;

#[tokio::test(start_paused = true)]
async fn rule_12_refused_identity_is_reported_and_revoked() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder.refuse_another_identity()
    });
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let refused = ann.connect(&site.notion, "Beta").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let revoked = site.revoked();
    assert_eq!(revoked.len(), 2, "access and refresh token");
    for token in &revoked {
        assert!(!site.notion.ledger().is_access_token_live(token));
        assert!(!site.notion.ledger().is_refresh_token_live(token));
    }
    assert!(site.events.lock().unwrap().iter().any(|event| matches!(
        event,
        Event::IdentityChanged {
            is_refused: true,
            ..
        }
    )));
    let stored = site.provider.load_credentials(&"ann".into()).await;
    let stored = stored.expect("an answer").expect("a connection");
    assert_eq!(stored.workspace_name.as_deref(), Some("Acme"));
    let token = stored.access_token.expose();
    assert!(site.notion.ledger().is_access_token_live(token));
}

#[tokio::test(start_paused = true)]
async fn rule_12_another_user_and_another_workspace_are_each_reported() {
    let site = Site::new();
    let subject = Subject::new("ann");
    let first = site.notion.connect();
    let changed = |workspace: bool| {
        let mut credentials = first.clone();
        if workspace {
            credentials.workspace_id = Some("another".to_owned());
        } else {
            credentials
                .raw
                .insert("bot_id".to_owned(), "another".into());
        }
        credentials
    };
    let changes = |site: &Site| {
        let events = site.events.lock().unwrap();
        let changes = events.iter();
        let changes = changes.filter(|it| matches!(it, Event::IdentityChanged { .. }));
        changes.count()
    };
    for (credentials, count) in [
        (first.clone(), 0),
        (first.clone(), 0),
        (changed(true), 1),
        (first.clone(), 2),
        (changed(false), 3),
    ] {
        let stored = site.provider.store_credentials(&subject, credentials).await;
        stored.expect("the store answers");
        assert_eq!(changes(&site), count);
    }
}

/// Both tokens, sorted.
fn tokens(credentials: &NotionUserCredentials) -> Vec<String> {
    let refresh_token = credentials.refresh_token.as_ref().expect("one").expose();
    let mut tokens = vec![
        credentials.access_token.expose().to_owned(),
        refresh_token.to_owned(),
    ];
    tokens.sort();
    tokens
}

/// The tokens that were revoked, sorted, once nothing more happens.
async fn revoked(site: &Site) -> Vec<String> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut revoked = site.revoked();
    revoked.sort();
    revoked
}

#[tokio::test(start_paused = true)]
async fn rule_12_replaced_pair_of_another_bot_is_revoked_after_the_new_one_is_saved() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let subject = Subject::new("ann");
    ann.connect(&site.notion, "Acme").await;
    let first = site.provider.load_credentials(&subject).await;
    let first = first.expect("an answer").expect("a connection");
    ann.connect(&site.notion, "Acme").await;
    assert_eq!(revoked(&site).await, [""; 0], "the same bot's pair stays");
    let second = site.provider.load_credentials(&subject).await;
    let second = second.expect("an answer").expect("a connection");
    assert_eq!(first.bot_id(), second.bot_id());

    ann.connect(&site.notion, "Beta").await;
    assert_eq!(revoked(&site).await, tokens(&second));
    let third = site.provider.load_credentials(&subject).await;
    let third = third.expect("an answer").expect("a connection");
    let ledger = site.notion.ledger();
    assert!(ledger.is_access_token_live(third.access_token.expose()));

    // The same without the routes.
    let fourth = site.notion.connect();
    let stored = site.provider.store_credentials(&subject, fourth).await;
    stored.expect("the store answers");
    assert_eq!(revoked(&site).await.len(), 4);
    assert!(
        !site
            .notion
            .ledger()
            .is_access_token_live(third.access_token.expose())
    );
}

#[tokio::test(start_paused = true)]
async fn rule_12_replaced_pair_stays_while_its_bot_has_another_connection() {
    let site = Site::new();
    site.browser("ben").connect(&site.notion, "Acme").await;
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    ann.connect(&site.notion, "Beta").await;
    assert_eq!(revoked(&site).await, [""; 0]);
    let bens = site.provider.load_credentials(&"ben".into()).await;
    assert!(bens.expect("an answer").is_some());
}

#[tokio::test(start_paused = true)]
async fn rule_12_refused_pair_stays_while_its_bot_has_another_connection() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder
            .refuse_another_identity()
            .name_subject(|signed_in, credentials| {
                let workspace = credentials.workspace_name.as_deref();
                signed_in.filter(|_| workspace != Some("Banned")).cloned()
            })
    });
    // A replica that accepts them.
    let other = site.replica(|builder| builder);
    for (subject, workspace) in [("ben", "Acme"), ("cleo", "Banned"), ("ann", "Beta")] {
        let mut browser = other.browser(subject);
        browser.connect(&site.notion, workspace).await;
    }
    let mut ann = site.browser("ann");
    for (workspace, problem) in [
        ("Acme", FlowProblem::IdentityRefused),
        ("Banned", FlowProblem::NotAccepted),
    ] {
        ann.connect(&site.notion, workspace).await;
        assert_eq!(site.problems().last(), Some(&problem));
        assert_eq!(revoked(&site).await, [""; 0], "{workspace}");
    }
    ann.connect(&site.notion, "Gamma").await;
    assert_eq!(revoked(&site).await.len(), 2, "access and refresh token");
}

#[tokio::test(start_paused = true)]
async fn rule_12_replaced_pair_of_an_unknown_bot_or_issuer_stays() {
    let site = Site::new();
    let subject = Subject::new("ann");
    let store = |credentials| site.provider.store_credentials(&subject, credentials);
    let mut unknown = site.notion.connect();
    unknown.raw.remove("bot_id");
    store(unknown).await.expect("the store answers");
    let known = site.notion.connect();
    store(known.clone()).await.expect("the store answers");
    let mut unknown = known;
    unknown.raw.remove("bot_id");
    unknown.workspace_id = Some("another".to_owned());
    store(unknown).await.expect("the store answers");
    store(site.notion.connect())
        .await
        .expect("the store answers");
    assert_eq!(revoked(&site).await, [""; 0]);

    let other = MockNotion::builder().client_id("another-app").in_process();
    let adopts = provider(&other)
        .store(site.store.clone())
        .clock(site.clock.clone())
        .adopt_other_issuers()
        .build()
        .expect("a provider");
    let stored = adopts.store_credentials(&subject, other.connect()).await;
    stored.expect("the store answers");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(other.ledger().presentations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn rule_12_store_that_fails_to_save_the_new_pair_leaves_the_old_one_valid() {
    let store = FaultyStore::memory();
    let site = Site::new();
    let provider = provider(&site.notion)
        .store(store.clone())
        .build()
        .expect("a provider");
    let subject = Subject::new("ann");
    let first = site.notion.connect();
    let stored = provider.store_credentials(&subject, first.clone()).await;
    stored.expect("the store answers");
    store.hooks.set_down(true);
    let stored = provider.store_credentials(&subject, site.notion.connect());
    stored.await.expect_err("the store is down");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let ledger = site.notion.ledger();
    assert!(ledger.is_access_token_live(first.access_token.expose()));
}

#[tokio::test(start_paused = true)]
async fn rule_13_an_issuer_in_the_callback_must_match() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let cookies = ann.cookies.clone();
    let issuer = url::Url::parse(&page).expect("a URL").origin();
    let issuer = issuer.ascii_serialization();
    let encoded =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    for (query, problem) in [
        ("&iss=".to_owned(), FlowProblem::WrongIssuer),
        ("&iss".to_owned(), FlowProblem::WrongIssuer),
        (
            format!("&iss={}", encoded("https://evil.example")),
            FlowProblem::WrongIssuer,
        ),
        (
            format!("&iss={}", encoded(&format!("{issuer}/"))),
            FlowProblem::WrongIssuer,
        ),
        (
            format!("&iss={}", encoded(&issuer.to_uppercase())),
            FlowProblem::WrongIssuer,
        ),
        (
            format!(
                "&error=access_denied&iss={}",
                encoded("https://evil.example")
            ),
            FlowProblem::WrongIssuer,
        ),
        (
            format!("&iss={0}&iss={0}", encoded(&issuer)),
            FlowProblem::DuplicateParameter,
        ),
    ] {
        let seen = ann.get(&format!("{callback}{query}")).await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{query} {seen:?}");
        assert!(seen.text.contains(&problem.to_string()), "{seen:?}");
        assert_eq!(site.problems().last(), Some(&problem), "{query}");
        assert!(!seen.text.contains("evil"), "{seen:?}");
    }
    assert_eq!(site.exchanges(), 0);
    assert_eq!(ann.cookies, cookies);
    let seen = ann
        .get(&format!("{callback}&iss={}", encoded(&issuer)))
        .await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn rule_13_an_exchange_without_the_routes_checks_the_issuer() {
    let site = Site::new();
    let oauth = site.provider.oauth();
    let subject = Subject::new("ann");
    let authorization = oauth.authorize(&subject).expect("a flow");
    let callback = site.notion.consent(authorization.url.as_str());
    let callback = callback.expect("a callback");
    let foreign = format!("{callback}&iss=https%3A%2F%2Fevil.example");
    let foreign = CallbackAnswer::from_url(&foreign).expect("a code and a state");
    let pending = authorization.pending.clone();
    let error = oauth.exchange(pending, &subject, foreign).await;
    let error = error.expect_err("another issuer");
    assert!(error.is_wrong_issuer(), "{error}");
    assert!(!error.to_string().contains("evil"), "{error}");
    assert_eq!(site.exchanges(), 0);
    let issuer = authorization.url.origin().ascii_serialization();
    let own = format!("{callback}&iss={issuer}");
    let own = CallbackAnswer::from_url(&own).expect("a code and a state");
    let exchanged = oauth.exchange(authorization.pending, &subject, own).await;
    exchanged.expect("the own issuer");
}

#[test]
fn rule_13_oauth_urls_are_https_or_on_this_machine() {
    use notion_auth::{NotionAppCredentials, NotionAuthProvider};

    for url in [
        "http://api.notion.com/v1/oauth/token",
        "ftp://127.0.0.1/",
        "http://10.0.0.1/",
    ] {
        let builder = NotionAppCredentials::builder()
            .client_id("id")
            .client_secret("secret");
        assert!(builder.token_url(url).build().is_err(), "{url}");
        let builder = NotionAppCredentials::builder()
            .client_id("id")
            .client_secret("secret");
        assert!(builder.authorization_url(url).build().is_err(), "{url}");
        let app = || {
            let builder = NotionAppCredentials::builder()
                .client_id("id")
                .client_secret("secret");
            builder.build().expect("an app")
        };
        assert!(
            NotionAuthProvider::builder()
                .app(app())
                .revoke_url(url)
                .build()
                .is_err()
        );
        assert!(
            NotionAuthProvider::builder()
                .app(app())
                .introspect_url(url)
                .build()
                .is_err()
        );
    }
}
