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
        let watcher = shutdown.watcher();
        let connection = connection(server, Places::new(9), router, AccessLog::Off, watcher);
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
    let twice = GET.repeat(2);
    let cases: [(&str, Written<'_>, u64); 9] = [
        ("nothing", &[], 120),
        ("one byte", &[(0, "G")], 10),
        ("one byte late", &[(119, "G")], 129),
        ("a byte each second", &slow, 10),
        ("a request", &[(0, GET)], 120),
        ("a request late", &[(100, GET)], 220),
        ("two requests", &[(0, GET), (119, GET)], 239),
        ("two at once", &[(0, &twice)], 120),
        ("a second head late", &[(0, GET), (119, "GET /")], 129),
    ];
    for (name, written, closed) in cases {
        let mut caller = Caller::of(router());
        for (second, text) in written {
            caller.write_at(*second, text).await;
        }
        let (read, second) = caller.closed().await;
        assert_eq!(second, closed, "{name}");
        let requests: usize = written
            .iter()
            .map(|(_, text)| text.matches(GET).count())
            .sum();
        assert_eq!(read.matches("fine").count(), requests, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn upload_is_limited_by_its_pauses_and_not_as_a_whole() {
    let head = "POST /read HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
    let slow: Written<'_> = &[(0, head), (29, "a"), (58, "a"), (87, "a"), (116, "a")];
    let cases: [(&str, Written<'_>, u64, &str); 3] = [
        ("slow", slow, 116, "4"),
        ("stalled at once", &[(0, head)], 30, "no more of the body"),
        (
            "stalled",
            &[(0, head), (29, "a")],
            59,
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
    caller.write_at(0, &head(3)).await;
    caller.write_at(20, "a").await;
    let (read, second) = caller.closed().await;
    assert!(read.contains("refused"), "{read}");
    assert_eq!(second, 30);

    // A caller that awaits `100 Continue` will not send it. Its next request would be taken for the upload.
    let mut caller = Caller::of(router());
    let expecting = head(2).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    caller.write_at(0, &expecting).await;
    let (read, second) = caller.closed().await;
    assert!(
        read.starts_with("HTTP/1.1 200 ") && second == 0,
        "{second}: {read}"
    );

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

/// Connections that a test hands over.
struct Handed(mpsc::Receiver<DuplexStream>);

impl Listener for Handed {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

async fn is_served(stream: &mut DuplexStream) -> bool {
    let mut some = [0; 1024];
    let asked = async {
        stream.write_all(GET.as_bytes()).await?;
        stream.read(&mut some).await
    };
    let answered = timeout(Duration::from_secs(1), asked).await;
    matches!(answered, Ok(Ok(1..)))
}

#[tokio::test(start_paused = true)]
async fn connections_over_the_limit_wait_for_others_to_end() {
    let (hand, handed) = mpsc::channel(10);
    tokio::spawn(async {
        let end = std::future::pending();
        serve(Handed(handed), 2, router, AccessLog::Off, end).await;
    });
    let mut callers = Vec::new();
    for _ in 0..3 {
        let (caller, server) = duplex(1024);
        assert!(hand.send(server).await.is_ok());
        callers.push(caller);
    }
    let mut third = callers.remove(2);
    for caller in &mut callers {
        assert!(is_served(caller).await);
    }
    assert!(!is_served(&mut third).await);
    drop(callers.remove(0));
    assert!(is_served(&mut third).await);
    assert!(is_served(&mut callers[0]).await);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_idle_connections_at_once_and_others_after_a_while() {
    for (target, second) in [("", 0), ("/", 0), ("/slow", 20), ("/hung", 30)] {
        let router = router()
            .route("/slow", get(async || sleep(Duration::from_secs(20)).await))
            .route("/hung", get(async || sleep(NEVER).await));
        let (hand, handed) = mpsc::channel(1);
        let (mut caller, server) = duplex(1024);
        assert!(hand.send(server).await.is_ok());
        if !target.is_empty() {
            let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
            assert!(caller.write_all(request.as_bytes()).await.is_ok());
        }
        let begun = Instant::now();
        // After it was read.
        let end = sleep(Duration::from_millis(1));
        serve(Handed(handed), 2, || router.clone(), AccessLog::Off, end).await;
        assert_eq!(begun.elapsed().as_secs(), second, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_end_sooner_where_few_are_left() {
    let (hand, handed) = mpsc::channel(10);
    tokio::spawn(async {
        let end = std::future::pending();
        serve(Handed(handed), 4, router, AccessLog::Off, end).await;
    });
    let begun = Instant::now();
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (caller, server) = duplex(1024);
        assert!(hand.send(server).await.is_ok());
        callers.push(caller);
        // It is served before the next one is.
        sleep(Duration::from_millis(1)).await;
    }
    let mut seconds = Vec::new();
    for mut caller in callers.into_iter().rev() {
        assert!(matches!(caller.read(&mut [0]).await, Ok(0)));
        seconds.push(begun.elapsed().as_secs());
    }
    // The loop that accepts holds a place for the next connection.
    assert_eq!(seconds, [5, 5, 120, 120]);
}
