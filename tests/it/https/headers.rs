//! Malformed response headers of servers and proxies: the token response is used nevertheless.

use notion_auth::{NotionAppCredentials, NotionAuthProvider};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{expired, with};

/// Starts a token endpoint that answers each request with this head and body. Returns its origin.
async fn answering(head: String, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let response = format!("{head}\r\n\r\n{body}");
            tokio::spawn(async move {
                let mut request = Vec::new();
                // The request's body is a single object.
                while !request.ends_with(b"}") {
                    if stream
                        .read_buf(&mut request)
                        .await
                        .is_ok_and(|read| read == 0)
                    {
                        return;
                    }
                }
                let _ = stream.write_all(response.as_bytes()).await;
            });
        }
    });
    format!("http://{address}")
}

/// Refreshes with a token response that has these header lines and is padded to this size.
async fn refresh_answered_with(lines: &str, size: usize) -> Result<(), notion_auth::AuthError> {
    let mut body = r#"{"access_token":"ntn_new","refresh_token":"nrt_new","token_type":"bearer","bot_id":"b"}"#.to_owned();
    body.push_str(&" ".repeat(size.saturating_sub(body.len())));
    let length = match lines.contains("Content-Length") {
        true => String::new(),
        false => format!("\r\nContent-Length: {}", body.len()),
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json{lines}{length}");
    let origin = answering(head, body).await;
    let app = NotionAppCredentials::builder()
        .token_url(format!("{origin}/v1/oauth/token"))
        .client_id("id")
        .client_secret("secret");
    let provider = NotionAuthProvider::builder()
        .app(app.build().expect("good credentials"))
        .https(with(&[]))
        .build()
        .expect("good settings");
    let ann = "ann".into();
    let stored = provider.store_credentials(&ann, expired()).await;
    stored.expect("they are stored");
    provider.refresh(&ann).await.map(drop)
}

#[tokio::test]
async fn token_response_with_malformed_headers_is_used() {
    let many: String = (0..150).map(|it| format!("\r\nX-{it}: b")).collect();
    let large = format!("\r\nX-A: {}", "b".repeat(500_000));
    let cases = [
        ("a space before the colon", "\r\nX-A : b"),
        ("a space in the name", "\r\nX A: b"),
        ("no colon", "\r\nX-A b"),
        ("no name", "\r\n: b"),
        ("a folded line", "\r\nX-A: b\r\n  c"),
        ("a byte over 127", "\r\nX-A: \u{e9}"),
        ("150 headers", &many),
        ("500 KB", &large),
        (
            "all of them",
            &format!("\r\nX-A : b\r\nX A: b\r\nX-B: b\r\n c{many}{large}"),
        ),
    ];
    for (case, lines) in cases {
        let refreshed = refresh_answered_with(lines, 0).await;
        assert!(refreshed.is_ok(), "{case}: {refreshed:?}");
    }
    // The size limit applies to the head. A body may be larger.
    let refreshed = refresh_answered_with("", 4_000_000).await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
}

#[tokio::test]
async fn token_response_without_a_readable_length_is_an_error() {
    let refreshed = refresh_answered_with("\r\nContent-Length: abc", 0).await;
    let error = refreshed.expect_err("it has no end");
    assert!(error.is_transient(), "{error}");
}
