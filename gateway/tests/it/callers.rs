//! What callers can cause before their key is known, and the responses to it.

use http::StatusCode;

use super::{
    ask,
    program::{ANN, BOB, Gateway},
    wire::Wire,
};

/// More than the sockets' buffers hold.
const UPLOAD: usize = 16 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn each_401_of_the_gateway_names_its_reason_in_a_header_and_notions_own_has_none() {
    let gateway = Gateway::start().await;
    let refused = async |key: &str| {
        let answer = gateway.me(key).send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        assert_eq!(answer.json()["code"], "unauthorized");
        let reason = answer.headers.get("notion-auth-error");
        reason.map(|it| it.to_str().expect("text").to_owned())
    };
    assert_eq!(refused("nobody-has-this-key").await.as_deref(), Some("key"));
    assert_eq!(refused(ANN).await.as_deref(), Some("not_connected"));

    gateway.connect(ANN).await;
    gateway.bot(ANN).await;
    let call = gateway.notion.ledger().api_calls().pop().expect("a call");
    gateway.notion.revoke_grant(&call.token.expect("a token"));
    refused(ANN).await;
    assert_eq!(refused(ANN).await.as_deref(), Some("needs_reauthorization"));

    let mut credentials =
        serde_json::to_value(gateway.notion.connect().expose_tokens()).expect("JSON");
    credentials["refresh_token"] = serde_json::Value::Null;
    let line = serde_json::json!({"subject": "bob", "credentials": credentials});
    let path = gateway.directory.path().join("import.jsonl");
    std::fs::write(&path, line.to_string()).expect("a file");
    let (done, said, error) = gateway.run(&["import", path.to_str().expect("text")]);
    assert!(done, "{said}{error}");
    gateway.bot(BOB).await;
    gateway.revoke_the_last_token();
    assert_eq!(refused(BOB).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_clients_that_write_all_before_they_read() {
    let gateway = Gateway::start().await;
    for (head, status) in [
        ("POST /v1/search HTTP/1.1".to_owned(), "401"),
        (
            "POST /v1/search HTTP/1.1\r\nauthorization: Bearer nobody-has-this-key".to_owned(),
            "401",
        ),
        (
            format!("POST /v1/search HTTP/1.1\r\nauthorization: Bearer {BOB}"),
            "401",
        ),
        (
            format!("POST /v1/oauth/token HTTP/1.1\r\nauthorization: Bearer {ANN}"),
            "403",
        ),
        (
            format!("FIND /v1/search HTTP/1.1\r\nauthorization: Bearer {ANN}"),
            "405",
        ),
        ("POST /elsewhere HTTP/1.1".to_owned(), "404"),
        (
            "POST /connect/sign-in HTTP/1.1\r\norigin: https://evil.example".to_owned(),
            "403",
        ),
    ] {
        let host = gateway.url.trim_start_matches("http://");
        let mut wire = Wire::to(&gateway).await;
        let head = format!("{head}\r\nhost: {host}\r\ncontent-length: {UPLOAD}\r\n\r\n");
        wire.write(&head).await;
        wire.write(vec![b'x'; UPLOAD]).await;
        let answer = wire.read_until("\r\n\r\n").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}{answer}"
        );
        let mut closing = Wire::to(&gateway).await;
        let head = head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        closing.write(&head).await;
        closing.write(vec![b'x'; UPLOAD]).await;
        let answer = closing.read_to_end().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}{answer}"
        );
        // The connection is good for the next request.
        wire.write(format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n"))
            .await;
        wire.read_until("HTTP/1.1 200 OK").await;
    }
}

#[tokio::test]
async fn refused_caller_that_awaits_continue_is_not_asked_for_its_upload() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::to(&gateway).await;
    wire.write(format!(
        "POST /v1/search HTTP/1.1\r\nhost: gateway\r\nexpect: 100-continue\r\n\
         content-length: {UPLOAD}\r\n\r\n"
    ))
    .await;
    let answer = wire.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::to(&gateway).await;
    wire.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    assert_eq!(wire.read_to_end().await, "");

    let mut wire = Wire::to(&gateway).await;
    wire.write(
        "GET /healthz HTTP/1.1\r\nhost: gateway\r\nconnection: upgrade, http2-settings, close\r\n\
         upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
    )
    .await;
    let answer = wire.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
}

#[tokio::test]
async fn request_heads_have_a_maximum_size() {
    let gateway = Gateway::start().await;
    for head in [
        format!("GET /healthz HTTP/1.1\r\nx-long: {}", "x".repeat(40_000)),
        format!("GET /{}", "x".repeat(40_000)),
        format!("GET /healthz HTTP/1.1\r\n{}", "a: b\r\n".repeat(101)),
    ] {
        let mut wire = Wire::to(&gateway).await;
        wire.write(&head).await;
        let answer = wire.read_until("\r\n\r\n").await;
        let is_refused = ["HTTP/1.1 431 ", "HTTP/1.1 414 "]
            .iter()
            .any(|begin| answer.starts_with(begin));
        assert!(is_refused, "{answer}");
    }
}

#[tokio::test]
async fn sign_in_form_has_a_maximum_size() {
    let gateway = Gateway::start().await;
    for (length, status) in [
        (4 * 1024, StatusCode::UNAUTHORIZED),
        (4 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let form = format!("key={}", "x".repeat(length - "key=".len()));
        let answer = ask::post(&format!("{}/connect/sign-in", gateway.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &gateway.url)
            .body(form)
            .send()
            .await;
        assert_eq!(answer.status, status, "{length}");
    }
}

#[tokio::test]
async fn form_of_another_site_is_refused_before_it_is_read() {
    let gateway = Gateway::start().await;
    let host = gateway.url.trim_start_matches("http://");
    for path in ["sign-in", "sign-out"] {
        let mut wire = Wire::to(&gateway).await;
        wire.write(format!(
            "POST /connect/{path} HTTP/1.1\r\nhost: {host}\r\norigin: https://evil.example\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nkey="
        ))
        .await;
        let answer = wire.read_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
}
