//! How browsers and clients reach the gateway: behind a path, at a redirect URI of the operator's choice, in the LAN.

use http::StatusCode;

use super::{
    ask::{self, Answer},
    program::{ANN, Gateway, connecting},
    wait::eventually,
};

/// Connects a workspace through these paths, as the browser sees them and as the server in front passes them on.
async fn connect(gateway: &Gateway, passed_on: &str, redirect_uri: &str) -> Answer {
    let key = connecting(ANN);
    let url = format!("{}{passed_on}", gateway.url);
    let begun = ask::get(&format!("{url}/connect/authorize"))
        .bearer(&key)
        .send()
        .await;
    let consented = gateway
        .notion
        .consent(begun.header("location"))
        .expect("consent");
    let (_, query) = consented.split_once('?').expect("a query");
    assert!(consented.starts_with(redirect_uri), "{consented}");
    let path = redirect_uri.strip_prefix(&gateway.url).expect("its own");
    ask::get(&format!("{}{path}?{query}", gateway.url))
        .bearer(&key)
        .header("cookie", begun.cookie())
        .send()
        .await
}

#[tokio::test]
async fn a_path_before_the_gateways_is_in_all_that_browsers_get() {
    // The server in front may leave the path or remove it.
    for passed_on in ["/notion", ""] {
        let gateway = Gateway::start_at("/notion", None).await;
        let callback = format!("{}/notion/connect/callback", gateway.url);
        let door = ask::get(&format!("{}{passed_on}/connect", gateway.url))
            .send()
            .await;
        assert!(
            door.text().contains("action=\"/notion/connect/sign-in\""),
            "{}",
            door.text()
        );
        let done = connect(&gateway, passed_on, &callback).await;
        assert!(
            done.header("location").starts_with("/notion/connect?"),
            "{done:?}"
        );
        let me = format!("{}{passed_on}/v1/users/me", gateway.url);
        assert_eq!(
            ask::get(&me).bearer(ANN).send().await.status,
            StatusCode::OK
        );
        let path = format!("path=\"{passed_on}/v1/users/me\"");
        eventually(|| gateway.process.said().contains(&path)).await;
    }
}

#[tokio::test]
async fn the_redirect_uri_may_have_a_path_of_its_own() {
    let gateway = Gateway::start_at("", Some("/oauth/notion/done")).await;
    let callback = format!("{}/oauth/notion/done", gateway.url);
    let done = connect(&gateway, "", &callback).await;
    assert!(
        done.header("location").contains("notion=connected"),
        "{done:?}"
    );
    assert_eq!(gateway.me(ANN).send().await.status, StatusCode::OK);
    // The access log has the path that the operator chose.
    let path = "path=\"/oauth/notion/done\"";
    eventually(|| gateway.process.said().contains(path)).await;
}

#[tokio::test]
async fn a_base_url_that_ends_with_a_slash_works() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    for (path, status) in [
        ("//v1/users/me", StatusCode::OK),
        ("///v1/users?page_size=1", StatusCode::OK),
        ("///v1/users?page_size=1000", StatusCode::BAD_REQUEST),
        ("//healthz", StatusCode::OK),
        ("//v1/oauth/token", StatusCode::FORBIDDEN),
        ("//nothing", StatusCode::NOT_FOUND),
    ] {
        let url = format!("{}{path}", gateway.url);
        let answer = ask::get(&url).bearer(ANN).send().await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_browser_that_came_by_another_address_gets_one_message_with_the_way_out() {
    let gateway = Gateway::start().await;
    let page = format!("{}/connect", gateway.url);
    let in_the_lan = ask::get(&page)
        .header("host", "192.168.1.5:8080")
        .send()
        .await;
    assert_eq!(in_the_lan.status, StatusCode::MISDIRECTED_REQUEST);
    let foreign = ask::post(&format!("{page}/sign-in"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "https://evil.example")
        .body(format!("key={}", connecting(ANN)))
        .send()
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    for (answer, words) in [
        (in_the_lan, "only a browser on the gateway's own machine"),
        (foreign, "set GATEWAY_PUBLIC_URL"),
    ] {
        let text = answer.text();
        assert!(text.contains(words) && text.contains(&page), "{text}");
    }
}
