//! The access log and the audit log.

use std::{io::Write as _, net::TcpStream};

use serde_json::Value;

use super::{
    ask,
    gate::Gate,
    program::{ANN, BOB, Gateway, connecting},
    wait::eventually,
};

const SECRET: &str = "c4nary";

/// The lines of that target.
fn lines(gateway: &Gateway, target: &str) -> Vec<Value> {
    let said = gateway.process.said();
    said.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["target"] == target)
        .collect()
}

#[tokio::test]
async fn access_log_has_one_line_per_request() {
    let gateway = Gateway::start_with(&[("GATEWAY_LOG", "json")]).await;
    gateway.connect(ANN).await;
    // Those of the connection.
    eventually(|| lines(&gateway, "access").len() == 2).await;
    for line in lines(&gateway, "access") {
        assert!(
            line["key"].is_string() && line["subject"].is_string(),
            "{line}"
        );
    }
    let page = "59833787-2cf9-4fdf-8782-e53db20768a5";
    let url = |path: &str| format!("{}{path}", gateway.url);

    gateway.bot(ANN).await;
    gateway.revoke_the_last_token();
    gateway.bot(ANN).await;
    let requests = [
        ask::get(&url(&format!("/v1/pages/{page}?a=b"))).bearer(ANN),
        ask::get(&url("/v1/users/me")).bearer(BOB),
        ask::get(&url("/v1/users/me")).bearer("nobody-has-this-key"),
        ask::get(&url("/v1/users/me")).bearer(&connecting(BOB)),
        ask::get(&url("/healthz")),
    ];
    for request in requests {
        request.send().await;
    }
    eventually(|| lines(&gateway, "access").len() == 2 + 7).await;
    let lines = lines(&gateway, "access").split_off(2);
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["path"].as_str().expect("a path"),
                line["status"].as_u64(),
                line["refused"].as_str(),
                line["refreshed"].as_bool(),
                line["notion_request_id"].is_string(),
                line["key"].is_string() && line["subject"].is_string(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("/v1/users/me", Some(200), None, Some(false), true, true),
            ("/v1/users/me", Some(200), None, Some(true), true, true),
            ("/v1/pages/{id}", Some(404), None, Some(false), true, true),
            (
                "/v1/users/me",
                Some(401),
                Some("not_connected"),
                Some(false),
                false,
                true
            ),
            (
                "/v1/users/me",
                Some(401),
                Some("key"),
                Some(false),
                false,
                false
            ),
            (
                "/v1/users/me",
                Some(403),
                Some("key_right"),
                Some(false),
                false,
                false
            ),
            ("/healthz", Some(200), None, Some(false), false, false),
        ]
    );
    assert_eq!(lines[0]["key"], "GATEWAY_KEYS:1");
    assert_eq!(
        lines[5]["key"], "GATEWAY_KEYS:5",
        "of a refused request, too"
    );
    for line in lines {
        assert_eq!(line["method"], "GET");
        assert!(line["duration_ms"].is_u64() && line["timestamp"].is_string());
    }
}

#[tokio::test]
async fn changes_of_a_connection_are_in_the_audit_log() {
    let gateway = Gateway::start_with(&[("GATEWAY_LOG", "json")]).await;
    gateway.connect(ANN).await;
    gateway.disconnect(ANN).await;
    gateway.connect(BOB).await;
    gateway.bot(BOB).await;
    let token = gateway
        .notion
        .ledger()
        .api_calls()
        .pop()
        .expect("a call")
        .token;
    gateway.notion.revoke_grant(&token.expect("a token"));
    gateway.me(BOB).send().await;
    let changes = || {
        let lines = lines(&gateway, "audit");
        let changes = lines
            .iter()
            .map(|line| line["change"].as_str().map(str::to_owned));
        changes.collect::<Option<Vec<_>>>().expect("changes")
    };
    eventually(|| changes().len() >= 4).await;
    assert_eq!(
        changes(),
        ["connected", "disconnected", "connected", "ended"]
    );
    // Notion ended the last one.
    let keys = ["GATEWAY_KEYS:4", "GATEWAY_KEYS:4", "GATEWAY_KEYS:5"].map(Value::from);
    let named = lines(&gateway, "audit")
        .into_iter()
        .map(|line| line["key"].clone());
    assert!(named.eq(keys.into_iter().chain([Value::Null])));
    for line in lines(&gateway, "audit") {
        let subject = line["subject"].as_str().expect("a subject");
        assert!(
            !subject.contains("ann") && !subject.contains("bob"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_connection_whose_browser_went_away_is_logged_with_its_key() {
    let mut gateway = Gateway::start().await;
    let gate = Gate::before(&gateway.notion).await;
    gateway.restart_with(&[
        ("GATEWAY_LOG", "json"),
        ("NOTION_TOKEN_URL", &gate.token_url),
    ]);
    let begun = ask::get(&format!("{}/connect/authorize", gateway.url))
        .bearer(&connecting(ANN))
        .send()
        .await;
    let consented = gateway
        .notion
        .consent(begun.header("location"))
        .expect("consent");
    gate.close();
    let address = gateway.url.trim_start_matches("http://");
    let target = consented.trim_start_matches(&gateway.url);
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncookie: {}\r\n\r\n",
        connecting(ANN),
        begun.cookie()
    );
    let mut browser = TcpStream::connect(address).expect("a connection");
    browser.write_all(request.as_bytes()).expect("it is read");
    gate.holds_an_answer().await;
    drop(browser);
    // The gateway has noticed.
    eventually(|| {
        let lines = lines(&gateway, "access");
        let gone = |line: &Value| line["path"] == "/connect/callback" && line["status"].is_null();
        lines.iter().any(gone)
    })
    .await;
    gate.open();
    eventually(|| !lines(&gateway, "audit").is_empty()).await;
    let line = lines(&gateway, "audit").remove(0);
    assert_eq!(
        (&line["change"], &line["key"]),
        (&"connected".into(), &"GATEWAY_KEYS:4".into())
    );
}

#[tokio::test]
async fn logs_contain_no_secret() {
    for form in ["text", "json"] {
        let gateway = Gateway::start_with(&[("GATEWAY_LOG", form)]).await;
        let begun = ask::get(&format!("{}/connect/authorize", gateway.url))
            .bearer(&connecting(ANN))
            .send()
            .await;
        let consented = gateway
            .notion
            .consent(begun.header("location"))
            .expect("consent");
        let cookie = begun.cookie().to_owned();
        ask::get(&consented)
            .bearer(&connecting(ANN))
            .header("cookie", &cookie)
            .send()
            .await;
        gateway.bot(ANN).await;
        gateway.revoke_the_last_token();
        gateway.bot(ANN).await;
        let path = format!("/v1/{SECRET}/{SECRET}?{SECRET}={SECRET}");
        for url in [&*path, &format!("/connect/{SECRET}"), &format!("/{SECRET}")] {
            for method in ["GET", SECRET] {
                ask::request(
                    method.parse().expect("a token"),
                    &format!("{}{url}", gateway.url),
                )
                .header("authorization", &format!("Bearer {SECRET}"))
                .header("cookie", &format!("{SECRET}={SECRET}; gateway={SECRET}"))
                .header("notion-version", SECRET)
                .header("x-notion-request-id", SECRET)
                .send()
                .await;
            }
        }
        gateway
            .me(ANN)
            .header("notion-version", SECRET)
            .header("user-agent", SECRET)
            .send()
            .await;
        ask::post(&format!("{}/connect/sign-in", gateway.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &gateway.url)
            .body(format!("key={SECRET}"))
            .send()
            .await;
        eventually(|| gateway.process.said().matches("/connect/sign-in").count() == 1).await;

        let ledger = gateway.notion.ledger();
        let mut secrets: Vec<String> = ledger
            .api_calls()
            .iter()
            .filter_map(|call| call.token.clone())
            .collect();
        assert!(secrets.len() >= 3);
        secrets.extend([SECRET, ANN, gateway.notion.client_secret()].map(str::to_owned));
        let (_, query) = consented.split_once('?').expect("a query");
        secrets.extend(
            query
                .split('&')
                .filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())),
        );
        let (_, cookie) = cookie.split_once('=').expect("a cookie");
        secrets.push(cookie.to_owned());
        let said = gateway.process.said();
        for secret in secrets {
            assert!(!said.contains(&secret), "{secret}: {said}");
        }
    }
}
