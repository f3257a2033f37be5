use std::os::unix::fs::PermissionsExt as _;

use http::StatusCode;

use super::{
    ask::{self, Answer},
    program::{ANN, Gateway},
};

async fn sign_in(gateway: &Gateway, key: &str) -> Answer {
    ask::post(&format!("{}/connect/sign-in", gateway.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &gateway.url)
        .body(format!("key={key}"))
        .send()
        .await
}

#[tokio::test]
async fn a_visitor_signs_in_with_a_key_connects_and_disconnects() {
    let gateway = Gateway::start().await;
    let page = format!("{}/connect", gateway.url);
    let door = ask::get(&page).send().await;
    assert!(door.text().contains("Sign in"));
    assert_eq!(door.header("cache-control"), "private, no-store");
    let policy = door.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }

    let signed_in = sign_in(&gateway, ANN).await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER);
    let visitor = signed_in.cookie();
    assert!(!visitor.contains(ANN));
    let begun = ask::get(&format!("{page}/authorize?return_to=/connect"))
        .header("cookie", visitor)
        .send()
        .await;
    let consented = gateway
        .notion
        .consent(begun.header("location"))
        .expect("consent");
    let ended = ask::get(&consented)
        .header("cookie", &format!("{visitor}; {}", begun.cookie()))
        .header("accept", "text/html")
        .send()
        .await;
    assert!(
        ended.header("location").starts_with("/connect?"),
        "{ended:?}"
    );
    let shown = ask::get(&page).header("cookie", visitor).send().await;
    assert!(shown.text().contains("is connected"), "{}", shown.text());

    let disconnect =
        || ask::post(&format!("{page}/disconnect?return_to=/connect")).header("cookie", visitor);
    assert_eq!(disconnect().send().await.status, StatusCode::FORBIDDEN);
    let done = disconnect()
        .header("origin", &gateway.url)
        .header("accept", "text/html")
        .send()
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    let shown = ask::get(&page).header("cookie", visitor).send().await;
    assert!(
        shown.text().contains("No workspace is connected"),
        "{}",
        shown.text()
    );
}

#[tokio::test]
async fn another_sites_form_signs_nobody_in() {
    let gateway = Gateway::start().await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("accept", "*/*"),
    ] {
        let answer = ask::post(&format!("{}/connect/sign-in", gateway.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .body(format!("key={ANN}"))
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_forged_cookie_are_nobodys() {
    let gateway = Gateway::start().await;
    let answer = sign_in(&gateway, "nobody-has-this-key-0123").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.headers.contains_key("set-cookie"));
    let status = format!("{}/connect/status", gateway.url);
    let answer = ask::get(&status)
        .bearer("nobody-has-this-key-0123")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let real = sign_in(&gateway, ANN).await;
    let (name, _) = real.cookie().split_once('=').expect("a cookie");
    let forged = format!("{name}=9999999999.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let answer = ask::get(&status).header("cookie", &forged).send().await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}

#[tokio::test]
async fn what_is_kept_is_for_its_owner_alone_to_read() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    for name in ["gateway.db", "gateway.db.keys"] {
        let file = gateway.directory.path().join(name);
        let mode = std::fs::metadata(file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn where_every_key_has_one_token_there_is_nothing_to_connect_and_it_says_so() {
    let gateway = Gateway::start_with(&[
        ("NOTION_CLIENT_ID", ""),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_TOKEN", "ntn_of_the_integration"),
    ])
    .await;
    for path in ["/connect", "/connect/", "/connect/authorize"] {
        let answer = ask::get(&format!("{}{path}", gateway.url)).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let message = answer.json()["message"].to_string();
        assert!(message.contains("NOTION_TOKEN"), "{message}");
        assert!(!message.contains("/connect"), "{message}");
    }
}
