//! The three outcomes of a call by the built-in transport on real sockets: not sent, definite, ambiguous.
//!
//! I1 and I3 depend on this table. If a spent token counts as unspent, it is presented again. If an
//! ambiguous response counts as a definite refusal, a valid connection is ended.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use notion_auth::{
    NotionAppCredentials, NotionAuthProvider, NotionUserCredentials, oauth::OAuthError,
    provider::RefreshPolicy,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// A step of a server on a connection, which it closes after the last step.
#[derive(Debug, Clone)]
enum Step {
    /// Reads the request, head and body.
    Read,
    /// Reads the client's first data, for example TLS's ClientHello.
    ReadSome,
    /// Yields this many times, and then reads the available data, which may be nothing.
    Glance(u32),
    Say(String),
    /// Closes with an error instead of an end of the stream.
    Reset,
    /// Does nothing more, and keeps the connection open.
    Hang,
}

use Step::{Glance, Hang, Read, ReadSome, Reset, Say};

fn say(text: impl Into<String>) -> Step {
    Say(text.into())
}

/// A server on loopback that runs the same steps on every connection.
struct Server {
    address: SocketAddr,
    /// The data read on each connection.
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    async fn start(script: &[Step]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (all, script) = (Arc::clone(&seen), script.to_vec());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut all = all.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                let (all, script) = (Arc::clone(&all), script.clone());
                tokio::spawn(async move {
                    let seen = |bytes: &[u8]| all.lock().unwrap()[number].extend(bytes);
                    play(stream, script, seen).await;
                });
            }
        });
        Self { address, seen }
    }

    fn http(&self) -> String {
        format!("http://{}/token", self.address)
    }

    fn https(&self) -> String {
        format!("https://{}/token", self.address)
    }

    /// Returns the data read, by connection.
    fn seen(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        seen.iter().map(text).collect()
    }
}

async fn play(mut stream: TcpStream, script: Vec<Step>, seen: impl Fn(&[u8])) {
    for step in script {
        match step {
            Read => read_request(&mut stream, &seen).await,
            ReadSome => {
                let mut some = [0; 4096];
                let length = stream.read(&mut some).await.unwrap_or(0);
                seen(&some[..length]);
            }
            Glance(yields) => {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                let mut some = [0; 4096];
                let length = stream.try_read(&mut some).unwrap_or(0);
                seen(&some[..length]);
            }
            // The client may have disconnected, if it knows its outcome.
            Say(text) => drop(stream.write_all(text.as_bytes()).await),
            Reset => stream.set_zero_linger().unwrap(),
            Hang => std::future::pending().await,
        }
    }
}

/// Reads the whole request. Closing a connection with unread data resets it, which may overtake the
/// response.
async fn read_request(stream: &mut TcpStream, seen: &impl Fn(&[u8])) {
    let mut request = Vec::new();
    let mut some = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                seen(&some[..length]);
                request.extend(&some[..length]);
            }
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}

/// Returns a complete response with a length.
fn response(status: u16, body: &str) -> String {
    response_with(status, "", body)
}

fn response_with(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Spent,
    NotSent,
    Ambiguous,
    RateLimited(Option<u64>),
    Refused(u16, String),
    /// The URL is not the token endpoint's.
    WrongUrl,
}

use Outcome::{Ambiguous, NotSent, RateLimited, Refused, Spent, WrongUrl};

/// Spends a refresh token at this URL.
async fn spend(token_url: &str, call: Duration) -> Outcome {
    let app = NotionAppCredentials::builder()
        .client_id("1f2e")
        .client_secret("secret_3d4c")
        .token_url(token_url);
    let mut policy = RefreshPolicy::default();
    policy.timings.call = call;
    policy.timings.save_retries = 8 * call;
    let provider = NotionAuthProvider::builder()
        .app(app.build().unwrap())
        .refresh_policy(policy)
        .build()
        .unwrap();
    let stored = r#"{"access_token": "ntn_1", "refresh_token": "nrt_1"}"#;
    let credentials: NotionUserCredentials = serde_json::from_str(stored).unwrap();
    match provider.oauth().refresh(&credentials).await {
        Ok(_) => Spent,
        Err(error) => outcome(&error),
    }
}

/// Returns the outcome of an error. Exactly one predicate must be true.
fn outcome(error: &OAuthError) -> Outcome {
    let mut all = Vec::new();
    if error.is_not_sent() {
        all.push(NotSent);
    }
    if error.is_ambiguous() {
        all.push(Ambiguous);
    }
    if error.is_rate_limited() {
        let after = error.retry_after().map(|after| after.as_secs());
        all.push(RateLimited(after));
    }
    if let Some(refusal) = error.refusal() {
        all.push(Refused(refusal.status, refusal.code.clone()));
    }
    if error.is_configuration() {
        assert!(error.to_string().contains("NOTION_TOKEN_URL"), "{error}");
        all.push(WrongUrl);
    }
    assert_eq!(all.len(), 1, "{error}: {all:?}");
    all.remove(0)
}

/// No test waits for this long.
const LONG: Duration = Duration::from_secs(14);
/// Some tests wait for this long.
const SHORT: Duration = Duration::from_millis(150);

/// Answers a request with this script. Returns the outcome, and checks that it was sent once.
async fn answered(name: &str, script: &[Step], call: Duration) -> Outcome {
    let server = Server::start(script).await;
    let outcome = spend(&server.http(), call).await;
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{name}: connections");
    assert!(seen[0].starts_with("POST /token HTTP/1.1\r\n"), "{name}");
    assert_eq!(seen[0].matches("nrt_1").count(), 1, "{name}");
    outcome
}

const PAIR: &str = r#"{"access_token":"ntn_2","refresh_token":"nrt_2"}"#;
const INVALID_GRANT: &str = r#"{"error":"invalid_grant","error_description":"gone"}"#;
const INVALID_GRANT_OF_THE_API: &str =
    r#"{"object":"error","status":400,"code":"invalid_grant","message":"gone"}"#;

#[tokio::test]
async fn complete_pair_is_a_success() {
    let close = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let length = PAIR.len();
    for (name, script) in [
        ("with a length", vec![Read, say(response(200, PAIR)), Hang]),
        ("until the end", vec![Read, say(close), say(PAIR)]),
        (
            "in chunks",
            vec![
                Read,
                say(chunked),
                say(format!("{length:x}\r\n{PAIR}\r\n0\r\n\r\n")),
                Hang,
            ],
        ),
        (
            "then a reset",
            vec![Read, say(response(200, PAIR)), ReadSome, Reset],
        ),
    ] {
        let outcome = answered(name, &script, LONG).await;
        assert_eq!(outcome, Spent, "{name}");
    }
}

#[tokio::test]
async fn missing_server_is_not_sent() {
    // Bound but not listening: connections are refused, and no other program gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    // A name that does not exist (RFC 6761), or whose resolution times out. In both cases nothing can be
    // sent.
    let unknown = "https://nowhere.notion-auth.invalid/token".to_owned();
    for url in [
        format!("http://{address}/token"),
        format!("https://{address}/token"),
        unknown,
    ] {
        let outcome = spend(&url, Duration::from_secs(1)).await;
        assert_eq!(outcome, NotSent, "{url}");
    }
}

#[tokio::test]
async fn failed_or_endless_tls_handshake_is_not_sent() {
    // A TLS alert: handshake_failure.
    let alert = "\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{28}";
    for (name, script, call) in [
        ("closes at once", vec![], LONG),
        ("resets at once", vec![Reset], LONG),
        ("closes after the hello", vec![ReadSome], LONG),
        ("resets after the hello", vec![ReadSome, Reset], LONG),
        ("refuses by an alert", vec![ReadSome, say(alert)], LONG),
        (
            "speaks plain HTTP, and well",
            vec![ReadSome, say(response(200, PAIR)), Hang],
            LONG,
        ),
        (
            "speaks plain HTTP, and refuses",
            vec![ReadSome, say(response(400, INVALID_GRANT))],
            LONG,
        ),
        ("says nothing", vec![Hang], SHORT),
        ("says nothing to the hello", vec![ReadSome, Hang], SHORT),
        (
            "stops in the middle",
            vec![ReadSome, say("\u{16}\u{3}\u{3}\0\u{7a}"), Hang],
            SHORT,
        ),
    ] {
        let server = Server::start(&script).await;
        let outcome = spend(&server.https(), call).await;
        assert_eq!(outcome, NotSent, "{name}");
        for seen in server.seen() {
            assert!(!seen.contains("nrt_1"), "{name}: the token left us");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_closed_early_is_not_sent_or_ambiguous() {
    // It is a race whether the end is noticed before the first byte is written. If so, the request was not
    // sent. Otherwise a part of it may have been sent. Both outcomes are valid. A definite outcome is not,
    // and "not sent" is not if the server has received a part. The server closes a little later each time,
    // so that usually both cases occur.
    for yields in 0..100 {
        for end in [vec![], vec![Reset]] {
            let script = [vec![Glance(yields)], end].concat();
            let server = Server::start(&script).await;
            let outcome = spend(&server.http(), LONG).await;
            let seen = server.seen().concat();
            match outcome {
                NotSent => assert_eq!(seen, "", "{script:?}"),
                Ambiguous => {}
                _ => panic!("{script:?}: {outcome:?}"),
            }
        }
    }
}

#[tokio::test]
async fn truncated_response_is_ambiguous() {
    let head = |status: u16| format!("HTTP/1.1 {status} Scripted\r\n");
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    // Each of these bodies is complete JSON. Only the framing is incomplete.
    let longer = |status: u16, body: &str| {
        let length = body.len() + 1;
        format!("{}content-length: {length}\r\n\r\n{body}", head(status))
    };
    let endless = |status: u16, body: &str| {
        let length = body.len();
        format!("{}{chunked}{length:x}\r\n{body}\r\n", head(status))
    };
    for (name, said) in [
        ("nothing", String::new()),
        ("a part of the status line", "HTTP/1.1 2".to_owned()),
        ("the status line", head(200)),
        ("a refusal's status line", head(400)),
        ("a part of the head", format!("{}content-le", head(200))),
        ("only a 100", "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
        ("no body", format!("{}content-length: 9\r\n\r\n", head(200))),
        (
            "half a pair, until the end",
            format!("{}connection: close\r\n\r\n{}", head(200), &PAIR[..20]),
        ),
        ("a shorter refusal", longer(400, INVALID_GRANT)),
        (
            "a refusal in chunks without an end",
            endless(400, INVALID_GRANT),
        ),
        (
            "a shorter refusal in the API's shape",
            longer(403, INVALID_GRANT_OF_THE_API),
        ),
    ] {
        for end in [vec![], vec![Reset]] {
            let script = [vec![Read, say(said.clone())], end].concat();
            let outcome = answered(name, &script, LONG).await;
            assert_eq!(outcome, Ambiguous, "{name}: {script:?}");
        }
    }
}

#[tokio::test]
async fn complete_pair_of_a_truncated_body_is_used() {
    let longer = format!("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{PAIR}");
    let length = PAIR.len();
    let chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{PAIR}\r\n");
    for said in [longer, chunked] {
        let outcome = answered("closed", &[Read, say(said.clone())], LONG).await;
        assert_eq!(outcome, Spent, "{said}");
    }
}

#[tokio::test]
async fn late_response_is_ambiguous() {
    let half = |status: u16, body: &str| {
        let length = body.len() + 1;
        format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    for (name, script) in [
        ("nothing", vec![Read, Hang]),
        ("not even read", vec![ReadSome, Hang]),
        ("half a head", vec![Read, say("HTTP/1.1 400 Scr"), Hang]),
        (
            "only a 100",
            vec![Read, say("HTTP/1.1 100 Continue\r\n\r\n"), Hang],
        ),
        ("half a pair", vec![Read, say(half(200, &PAIR[..30])), Hang]),
        (
            "a refusal but for a byte",
            vec![Read, say(half(400, INVALID_GRANT)), Hang],
        ),
        (
            "a 429 but for a byte",
            vec![Read, say(half(429, INVALID_GRANT)), Hang],
        ),
    ] {
        let outcome = answered(name, &script, SHORT).await;
        assert_eq!(outcome, Ambiguous, "{name}");
    }
}

#[tokio::test]
async fn response_that_is_not_http_is_ambiguous() {
    for said in [
        "SSH-2.0-scripted\r\n",
        "\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
    ] {
        let outcome = answered(said, &[Read, say(said)], LONG).await;
        assert_eq!(outcome, Ambiguous, "{said}");
    }
}

#[tokio::test]
async fn only_4_mib_of_a_response_are_read() {
    const LIMIT: usize = 4 * 1024 * 1024;

    let close = |status: u16| format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\n\r\n");
    let padded = |text: &str, size: usize| format!("{}{text}", " ".repeat(size - text.len()));
    let refused = Refused(400, "invalid_grant".to_owned());
    for (status, text, expected) in [(200, PAIR, Spent), (400, INVALID_GRANT, refused)] {
        let most = response(status, &padded(text, LIMIT));
        let outcome = answered("4 MiB", &[Read, say(most)], LONG).await;
        assert_eq!(outcome, expected, "{status}");
        let more = padded(text, LIMIT + text.len());
        for (name, said) in [
            ("with a length", response(status, &more)),
            ("without one", format!("{}{more}", close(status))),
        ] {
            let outcome = answered(name, &[Read, say(said)], LONG).await;
            assert_eq!(outcome, Ambiguous, "{status} {name}");
        }
    }
    // The end of the body is never sent, and the client does not wait for it.
    let said = format!("{}{}", close(200), " ".repeat(LIMIT + 1));
    let outcome = answered("endless", &[Read, say(said), Hang], LONG).await;
    assert_eq!(outcome, Ambiguous, "endless");
    // The part that was read contains the pair.
    let said = format!("{}{PAIR}{}", close(200), " ".repeat(LIMIT));
    let outcome = answered("a pair first", &[Read, say(said), Hang], LONG).await;
    assert_eq!(outcome, Spent);
}

#[tokio::test]
async fn redirect_404_and_405_mean_a_wrong_url() {
    let target = Server::start(&[Read, say(response(200, PAIR))]).await;
    for status in [301, 302, 303, 304, 307, 308, 404, 405] {
        for location in [target.http(), "/elsewhere".to_owned()] {
            for body in [
                "",
                PAIR,
                "{}",
                "<p>",
                r#"{"object":"error","code":"object_not_found"}"#,
            ] {
                let headers = format!("location: {location}\r\n");
                let said = response_with(status, &headers, body);
                let name = format!("{status} to {location} with {body}");
                // The connection stays open for another request.
                let script = [Read, say(said.clone()), Read, say(said), Hang];
                let outcome = answered(&name, &script, LONG).await;
                assert_eq!(outcome, WrongUrl, "{name}");
            }
        }
    }
    assert!(target.seen().is_empty(), "the target was contacted");
    let notions = r#"{"object":"error","status":400,"code":"invalid_request_url","message":"no"}"#;
    let script = [Read, say(response(400, notions))];
    assert_eq!(answered(notions, &script, LONG).await, WrongUrl);
}

#[tokio::test]
async fn notion_s_4xx_is_definite() {
    for status in [400, 401, 403, 404, 405] {
        for body in [INVALID_GRANT, INVALID_GRANT_OF_THE_API] {
            let name = format!("{status} {body}");
            let script = [Read, say(response(status, body))];
            let outcome = answered(&name, &script, LONG).await;
            assert_eq!(
                outcome,
                Refused(status, "invalid_grant".to_owned()),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn foreign_4xx_is_ambiguous() {
    let html = "<!doctype html><title>Attention Required!</title>";
    for status in [400, 401, 403, 407, 413] {
        for body in [html, "", "{}", "[]", "invalid_grant", r#"{"message":"no"}"#] {
            let name = format!("{status} {body}");
            let script = [Read, say(response(status, body))];
            let outcome = answered(&name, &script, LONG).await;
            assert_eq!(outcome, Ambiguous, "{name}");
        }
    }
}

#[tokio::test]
async fn status_408_and_5xx_are_ambiguous() {
    for status in [408, 500, 502, 503, 504, 529] {
        for body in [INVALID_GRANT, INVALID_GRANT_OF_THE_API, PAIR, ""] {
            let name = format!("{status} {body}");
            let headers = "retry-after: 7\r\n";
            let script = [Read, say(response_with(status, headers, body))];
            let outcome = answered(&name, &script, LONG).await;
            assert_eq!(outcome, Ambiguous, "{name}");
        }
    }
}

#[tokio::test]
async fn status_200_without_a_pair_is_ambiguous() {
    for body in [
        "",
        "{}",
        "<p>",
        "[]",
        INVALID_GRANT,
        r#"{"access_token":""}"#,
    ] {
        let outcome = answered(body, &[Read, say(response(200, body))], LONG).await;
        assert_eq!(outcome, Ambiguous, "{body}");
    }
}

#[tokio::test]
async fn status_429_is_a_rate_limit_with_retry_after() {
    for (headers, after) in [("retry-after: 7\r\n", Some(7)), ("", None)] {
        for body in ["", "<p>", INVALID_GRANT, r#"{"error":"rate_limited"}"#] {
            let name = format!("{headers:?} {body}");
            let script = [Read, say(response_with(429, headers, body))];
            let outcome = answered(&name, &script, LONG).await;
            assert_eq!(outcome, RateLimited(after), "{name}");
        }
    }
}
