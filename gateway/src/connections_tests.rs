//! Time limits of connections, on paused time.

use std::{convert::Infallible, ops::Range};

use axum::{
    body::{Bytes, to_bytes},
    routing::{get, post},
};
use http_body::Frame;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::mpsc,
    time::{Instant, timeout},
};

use super::*;

const NEVER: Duration = Duration::from_secs(100_000);

struct Caller {
    stream: DuplexStream,
    begun: Instant,
    _shutdown: GracefulShutdown,
}

impl Caller {
    fn of(router: Router) -> Self {
        let (stream, server) = duplex(4 * 1024);
        let shutdown = GracefulShutdown::new();
        let connection = connection(server, router, AccessLog::Off, shutdown.watcher());
        tokio::spawn(connection);
        Self {
            stream,
            begun: Instant::now(),
            _shutdown: shutdown,
        }
    }

    async fn write_at(&mut self, second: u64, text: &str) {
        tokio::time::sleep_until(self.begun + Duration::from_secs(second)).await;
        let written = self.stream.write_all(text.as_bytes()).await;
        written.unwrap_or_else(|error| unreachable!("second {second}: {error}"));
    }

    /// Reads until the connection is closed. Returns what was read, and the second.
    async fn closed(&mut self) -> (String, u64) {
        let mut read = Vec::new();
        let ended = timeout(NEVER, self.stream.read_to_end(&mut read)).await;
        assert!(matches!(ended, Ok(Ok(_))), "it is never closed: {ended:?}");
        let text = String::from_utf8_lossy(&read).into_owned();
        (text, self.begun.elapsed().as_secs())
    }
}

fn router() -> Router {
    let read = async |body: Body| match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes.len().to_string(),
        Err(error) => error.to_string(),
    };
    Router::new()
        .route("/", get(async || "fine"))
        .route("/read", post(read))
        .route("/refused", post(async || "refused"))
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Pieces of a request by the second in which they are written.
type Written<'a> = &'a [(u64, &'a str)];

#[tokio::test(start_paused = true)]
async fn head_is_limited_from_its_first_byte_and_idle_time_by_itself() {
    let slow: Vec<_> = (0..10).map(|at| (at, "G")).collect();
    let cases: [(&str, Written<'_>, u64); 8] = [
        ("nothing", &[], 120),
        ("one byte", &[(0, "G")], 10),
        ("one byte late", &[(119, "G")], 129),
        ("a byte each second", &slow, 10),
        ("a request", &[(0, GET)], 120),
        ("a request late", &[(100, GET)], 220),
        ("two requests", &[(0, GET), (119, GET)], 239),
        ("a second head late", &[(0, GET), (119, "GET /")], 129),
    ];
    for (name, written, closed) in cases {
        let mut caller = Caller::of(router());
        for (second, text) in written {
            caller.write_at(*second, text).await;
        }
        let (read, second) = caller.closed().await;
        assert_eq!(second, closed, "{name}");
        let requests = written.iter().filter(|(_, text)| *text == GET).count();
        assert_eq!(read.matches("fine").count(), requests, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn upload_is_limited_by_its_pauses_and_not_as_a_whole() {
    let head = "POST /read HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
    let cases: [(&str, Written<'_>, u64, &str); 3] = [
        (
            "slow",
            &[(0, head), (59, "a"), (118, "a"), (177, "a"), (236, "a")],
            236,
            "4",
        ),
        ("stalled at once", &[(0, head)], 60, "no more of the body"),
        (
            "stalled",
            &[(0, head), (59, "a")],
            119,
            "no more of the body",
        ),
    ];
    for (name, written, closed, expected) in cases {
        let mut caller = Caller::of(router());
        for (second, text) in written {
            caller.write_at(*second, text).await;
        }
        let mut answer = vec![0; 1024];
        let count = caller.stream.read(&mut answer).await;
        let second = caller.begun.elapsed().as_secs();
        let answer = String::from_utf8_lossy(&answer[..count.unwrap_or_default()]).into_owned();
        assert_eq!(second, closed, "{name}");
        assert!(answer.contains(expected), "{name}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn rest_of_a_refused_upload_is_read_for_a_while() {
    let head = |length: usize| {
        format!("POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")
    };
    // Slower than a head may be.
    let mut caller = Caller::of(router());
    caller.write_at(0, &head(2)).await;
    caller.write_at(14, "a").await;
    caller.write_at(28, "a").await;
    caller.write_at(29, GET).await;
    let (read, second) = caller.closed().await;
    assert!(read.contains("refused") && read.contains("fine"), "{read}");
    assert_eq!(second, 29 + 120);

    let mut caller = Caller::of(router());
    caller.write_at(0, &head(2)).await;
    let (read, second) = caller.closed().await;
    assert!(read.contains("refused"), "{read}");
    assert_eq!(second, 30);

    let mut caller = Caller::of(router());
    caller.write_at(0, &head(1024 * 1024 * 1024)).await;
    let mut written = 0;
    while caller.stream.write_all(&[b'a'; 1024]).await.is_ok() {
        written += 1024;
    }
    let bounds: Range<usize> = 32 * 1024 * 1024..33 * 1024 * 1024;
    assert!(bounds.contains(&written), "{written}");
}

#[tokio::test(start_paused = true)]
async fn unread_response_is_given_up() {
    let (sender, mut dropped) = mpsc::channel::<()>(1);
    let respond = async move || Body::new(Endless(sender.clone()));
    let mut caller = Caller::of(Router::new().route("/", get(respond)));
    caller.write_at(0, GET).await;
    // It reads a little at first.
    for _ in 0..5 {
        sleep(Duration::from_secs(50)).await;
        let mut some = [0; 1024];
        let read = caller.stream.read(&mut some).await;
        assert!(read.is_ok_and(|count| count > 0));
    }
    assert!(
        timeout(NEVER, dropped.recv())
            .await
            .is_ok_and(|it| it.is_none())
    );
    assert_eq!(caller.begun.elapsed().as_secs(), 5 * 50 + 60);
}

/// An endless body that holds a sender.
struct Endless(#[expect(dead_code, reason = "its drop is noticed")] mpsc::Sender<()>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = Bytes::from_static(&[b'x'; 1024]);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}
