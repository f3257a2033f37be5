use super::{
    ask::{self, Sending},
    program::{ANN, BOB, CLEO, Gateway, connecting},
};
use http::StatusCode;
use notion_auth::testing::notion::{Call, Fault};
use serde_json::json;

const DORA: &str = "dora-has-this-key-0123456789";

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
        &format!("/v1/users/%{}41/oauth/token", "25".repeat(10_000)),
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
async fn short_body_is_sent_again_after_a_401_and_a_long_one_is_not() {
    let keys = [(ANN, "ann"), (BOB, "bob"), (CLEO, "cleo"), (DORA, "dora")];
    let keys = keys.map(|(key, name)| format!("{key}={name},{}={name}:connect", connecting(key)));
    let gateway = Gateway::start_with(&[("GATEWAY_KEYS", &keys.join(","))]).await;
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
            // Notion has its say on the second attempt: this is no JSON.
            "x".to_owned(),
            StatusCode::BAD_REQUEST,
        ),
        (
            "dora",
            DORA,
            "application/octet-stream",
            "x".repeat(100 * 1024),
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
