use std::future::IntoFuture as _;

use axum::Router;
use http::{HeaderMap, StatusCode};
use notion_auth::testing::notion::{Call, Fault};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::{
    ask::{self, Sending},
    program::{ANN, BOB, CLEO, Gateway},
};

fn me(gateway: &Gateway) -> Sending {
    ask::get(&format!("{}/v1/users/me", gateway.url))
}

#[tokio::test]
async fn a_key_becomes_its_subjects_token_and_goes_no_further() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    let answer = gateway.me(ANN).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json()["object"], "user");
    let call = gateway.notion.ledger().api_calls().pop().expect("a call");
    assert!(call.token.is_some_and(|token| token != ANN));
    assert_eq!(call.notion_version.as_deref(), Some("2026-03-11"));
}

#[tokio::test]
async fn what_is_for_one_hop_or_for_the_gateway_alone_stays_there() {
    let (notion, mut requests) = recording().await;
    let gateway = Gateway::start_with(&[
        ("NOTION_API_URL", &notion),
        ("NOTION_CLIENT_ID", ""),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_TOKEN", "ntn_of_the_integration"),
    ])
    .await;
    let answer = gateway
        .me(ANN)
        .header("cookie", "a=b")
        .header("connection", "x-mine, authorization")
        .header("x-mine", "1")
        .header("proxy-authorization", "Basic YTpi")
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-forwarded-access-token", "ann's")
        .header("x-auth-request-access-token", "ann's")
        .header("cf-access-jwt-assertion", "ann's")
        .header("x-original-url", "/v1/oauth/token")
        .header("x-passes", "1")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cf-ray"), "ray");
    assert_eq!(answer.header("x-notion-request-id"), "id");
    for name in [
        "alt-svc",
        "clear-site-data",
        "keep-alive",
        "nel",
        "public-key-pins",
        "report-to",
        "set-cookie",
        "strict-transport-security",
    ] {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    let got = requests.recv().await.expect("a request");
    assert_eq!(got["authorization"], "Bearer ntn_of_the_integration");
    assert_eq!(got["x-passes"], "1");
    for name in [
        "cookie",
        "x-mine",
        "proxy-authorization",
        "x-forwarded-for",
        "x-forwarded-access-token",
        "x-auth-request-access-token",
        "cf-access-jwt-assertion",
        "x-original-url",
    ] {
        assert!(!got.contains_key(name), "{name}");
    }
    assert!(!format!("{got:?}").contains(ANN));
}

/// A Notion that tells the headers of what it gets.
pub(super) async fn recording() -> (String, UnboundedReceiver<HeaderMap>) {
    let (sender, received) = unbounded_channel();
    let answer = move |headers: HeaderMap| async move {
        let _ = sender.send(headers);
        [
            ("cf-ray", "ray"),
            ("x-notion-request-id", "id"),
            ("set-cookie", "a=b"),
            ("keep-alive", "timeout=5"),
            ("alt-svc", "h3=\":443\""),
            ("clear-site-data", "\"*\""),
            ("nel", "{}"),
            ("public-key-pins", "max-age=1"),
            ("report-to", "{}"),
            ("strict-transport-security", "max-age=1"),
        ]
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = axum::serve(listener, Router::new().fallback(answer));
    tokio::spawn(server.into_future());
    (url, received)
}

#[tokio::test]
async fn without_a_key_or_without_a_connection_nothing_is_sent() {
    let gateway = Gateway::start().await;
    for sending in [
        me(&gateway),
        me(&gateway).bearer("nobody-has-this-key-0123"),
        me(&gateway).header("authorization", &format!("Basic {ANN}")),
        gateway.me(ANN).bearer(ANN),
        gateway.me(BOB),
    ] {
        let answer = sending.send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["code"], "unauthorized");
    }
    assert!(gateway.notion.ledger().api_calls().is_empty());
}

#[tokio::test]
async fn the_oauth_endpoints_are_not_reached_however_they_are_spelled() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    for path in [
        "/v1/oauth/token",
        "/v1/%6fauth/token",
        "/v1/OAuth/revoke",
        "/v1//oauth/token",
        "/v1/users/../oauth/token",
        "/v1/users/%2e%2e/oauth/token",
        "/v1/users%2f..%2foauth/token",
        "/v1/%2e/oauth/token",
        "/v1/oauth%2ftoken",
        "/v1/%5Coauth/token",
        "/v1/%256fauth/token",
        "/v1/oauth%252ftoken",
        "/v1/oauth;x/token",
        "/v1/users/%252e%252e/oauth/token",
        "/v1/users/..;/oauth/token",
        &format!("/v1/users/%{}41/oauth/token", "25".repeat(20_000)),
    ] {
        let answer = ask::post(&format!("{}{path}", gateway.url))
            .bearer(ANN)
            .header("content-type", "application/json")
            .body("{}")
            .send()
            .await;
        assert!(answer.status.is_client_error(), "{path}");
        assert!(
            answer.text().contains("gateway: "),
            "{path}: {}",
            answer.text()
        );
    }
    assert!(gateway.notion.ledger().api_calls().is_empty());
}

#[tokio::test]
async fn json_is_sent_again_after_a_401_and_a_long_or_other_body_is_not() {
    let gateway = Gateway::start().await;
    let long = json!({ "query": "x".repeat(600 * 1024) }).to_string();
    let cases = [
        (
            "ann",
            ANN,
            "application/json; charset=utf-8",
            "{}".to_owned(),
            StatusCode::OK,
        ),
        (
            "bob",
            BOB,
            "application/json",
            long,
            StatusCode::UNAUTHORIZED,
        ),
        (
            "cleo",
            CLEO,
            "application/octet-stream",
            "x".to_owned(),
            StatusCode::UNAUTHORIZED,
        ),
    ];
    for (refreshes, (name, key, kind, body, status)) in cases.into_iter().enumerate() {
        gateway.connect(key).await;
        assert_eq!(gateway.me(key).send().await.status, StatusCode::OK);
        let token = gateway
            .notion
            .ledger()
            .api_calls()
            .pop()
            .expect("a call")
            .token;
        gateway.notion.revoke_access_token(&token.expect("a token"));
        let answer = ask::post(&format!("{}/v1/search", gateway.url))
            .bearer(key)
            .header("content-type", kind)
            .body(body)
            .send()
            .await;
        assert_eq!(answer.status, status, "{name}");
        assert!(
            !answer.text().contains("gateway"),
            "{name}: {}",
            answer.text()
        );
        // Whatever became of that request, the next one has the new token.
        let answer = gateway.me(key).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert_eq!(
            gateway.notion.ledger().refreshes().len(),
            refreshes + 1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_notion_says_of_limits_and_requests_comes_through() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    gateway.notion.script(
        Call::Api,
        [Fault::RateLimited {
            retry_after: Some(7),
        }],
    );
    let answer = gateway.me(ANN).send().await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "7");
    assert_eq!(answer.json()["code"], "rate_limited");
    let answer = gateway.me(ANN).send().await;
    assert!(!answer.header("x-notion-request-id").is_empty());
}

#[tokio::test]
async fn a_notion_that_does_not_answer_is_said_in_its_own_form() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    gateway
        .notion
        .script(Call::Api, [Fault::DropBefore, Fault::DropBefore]);
    let answer = gateway.me(ANN).send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["code"], "service_unavailable");
}
