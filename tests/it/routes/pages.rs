//! The built-in pages, as the people who connect a workspace read them.

use http::{Method, StatusCode};
use notion_auth::{
    Subject,
    routes::{FlowProblem, NotionOAuthServiceBuilder},
    testing::notion::{Call, Fault},
};
use serde_json::json;

use super::site::{Browser, HTML, Site};

/// The text of a page, without markup.
async fn read(browser: &mut Browser, target: &str) -> String {
    let seen = browser.get(target).await;
    let body = seen.text.split_once("<body>").expect("a body").1;
    let mut text = String::new();
    let mut is_text = true;
    for character in body.chars() {
        match character {
            '<' => is_text = false,
            '>' => is_text = true,
            '\n' => text.push(' '),
            other if is_text => text.push(other),
            _ => {}
        }
    }
    text
}

#[tokio::test(start_paused = true)]
async fn status_page_says_which_workspace_and_account_are_connected() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let none = read(&mut ann, "/notion/status").await;
    assert!(none.contains("Notion is not connected"), "{none}");
    assert!(none.contains("Connect Notion"), "{none}");

    ann.connect(&site.notion, "Acme").await;
    let page = read(&mut ann, "/notion/status").await;
    assert!(page.contains("Connected to Acme"), "{page}");
    assert!(page.contains("Notion accountOwner of Acme"), "{page}");
    assert!(page.contains("Nothing in Notion is deleted"), "{page}");
    assert_eq!(ann.json("/notion/status").await["account"], "Owner of Acme");
}

#[tokio::test(start_paused = true)]
async fn account_is_a_name_or_an_address_or_left_out() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let subject = Subject::new("ann");
    for (owner, account) in [
        (
            json!({"type": "user", "user": {"name": "Ann", "person": {"email": "a@x"}}}),
            Some("Ann"),
        ),
        (
            json!({"type": "user", "user": {"name": " ", "person": {"email": "a@x"}}}),
            Some("a@x"),
        ),
        (json!({"type": "user", "user": {"id": "x"}}), None),
        (json!({"type": "workspace", "workspace": true}), None),
        (json!(null), None),
    ] {
        let mut credentials = site.notion.connect();
        credentials.raw.insert("owner".to_owned(), owner.clone());
        let stored = site.provider.store_credentials(&subject, credentials).await;
        stored.expect("the store answers");
        let status = ann.json("/notion/status").await;
        assert_eq!(status["account"].as_str(), account, "{owner}");
        let page = read(&mut ann, "/notion/status").await;
        assert_eq!(page.contains("Notion account"), account.is_some(), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_do_not_change_the_direction_of_the_text_around_them() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "שלום").await;
    let page = ann.get("/notion/status").await;
    assert!(page.text.contains("<bdi>שלום</bdi>"), "{page:?}");
    assert!(page.text.contains("<bdi>Owner of שלום</bdi>"), "{page:?}");
    assert!(page.text.contains("<title>Notion is connected</title>"));
}

#[tokio::test(start_paused = true)]
async fn page_of_a_problem_says_what_is_still_connected() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let denial = "/notion/callback?error=access_denied";
    let page = read(&mut ann, denial).await;
    assert!(!page.contains("Still connected"), "{page}");
    ann.connect(&site.notion, "Acme").await;
    let page = read(&mut ann, denial).await;
    assert!(page.contains("Connecting was cancelled"), "{page}");
    assert!(page.contains("Still connectedAcme"), "{page}");
    assert!(page.contains("Notion accountOwner of Acme"), "{page}");
    let page = read(&mut site.stranger(), denial).await;
    assert!(!page.contains("Acme"), "{page}");

    let strict = site.replica(NotionOAuthServiceBuilder::refuse_another_identity);
    ann.routes = strict.routes.clone();
    let page = ann.authorize("").await;
    let callback = site.notion.consent_for(&page, "Beta").expect("a callback");
    let page = read(&mut ann, &callback).await;
    assert!(page.contains("Still connectedAcme"), "{page}");
    assert!(page.contains("Show the connection"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn page_of_a_token_that_cannot_be_sent_does_not_say_that_nothing_changed() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let invalid = json!({"access_token": "two words"});
    site.notion
        .script(Call::TokenExchange, [Fault::Members(invalid)]);
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let page = read(&mut ann, &callback).await;
    assert!(page.contains("Please connect again"), "{page}");
    assert!(!page.contains("Still connected"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn page_of_an_ended_connection_says_why_without_technical_words() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let subject = Subject::new("ann");
    let stored = site.provider.load_credentials(&subject).await;
    let stored = stored.expect("an answer").expect("a connection");
    site.notion.revoke_grant(stored.access_token.expose());
    site.provider.refresh(&subject).await.expect_err("revoked");
    let page = read(&mut ann, "/notion/status").await;
    assert!(page.contains("Connect Acme again"), "{page}");
    assert!(page.contains("no longer lets this site use"), "{page}");
    assert!(page.contains("Notion accountOwner of Acme"), "{page}");
    for word in ["token", "grant", "OAuth", "refresh", "credential"] {
        assert!(!page.contains(word), "{word}: {page}");
    }
}

#[tokio::test(start_paused = true)]
async fn sentences_of_problems_have_no_technical_words() {
    for target in [
        "/notion/authorize?return_to=//x",
        "/notion/callback",
        "/notion/callback?code=x",
        "/notion/callback?code=x&state=y",
        "/notion/callback?code=x&state=y&iss=z",
        "/notion/callback?error=server_error",
        "/notion/nothing",
    ] {
        let site = Site::new();
        let page = read(&mut site.browser("ann"), target).await;
        for word in ["token", "state", "OAuth", "parameter", "issuer", "code"] {
            assert!(!page.contains(word), "{word}: {page}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn page_of_a_failed_disconnect_comes_back_to_the_connection() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let headers = [("accept", HTML), ("sec-fetch-site", "cross-site")];
    let seen = ann.send(Method::POST, "/notion/disconnect", &headers).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert!(seen.text.contains("href=\"/notion/status\""), "{seen:?}");
    assert_eq!(site.problems(), [FlowProblem::CrossSite]);
}

#[tokio::test(start_paused = true)]
async fn return_target_is_kept_from_page_to_page() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    for connected in [false, true] {
        let seen = ann.get("/notion/status?return_to=billing").await;
        assert!(seen.text.contains("href=\"/billing?tab=notion\""));
        let action = match connected {
            false => "href=\"/notion/authorize?return_to=billing\"",
            true => "action=\"/notion/disconnect?return_to=billing\"",
        };
        assert!(seen.text.contains(action), "{seen:?}");
        let page = ann.authorize("?return_to=billing").await;
        let callback = site.notion.consent(&page).expect("a callback");
        let mut again = ann.clone();
        ann.get(&callback).await;
        let seen = again.get(&callback).await;
        let status = "href=\"/notion/status?return_to=billing\"";
        assert!(seen.text.contains(status), "{seen:?}");
    }
}
