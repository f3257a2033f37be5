//! Servers that never respond are detected by time limits, which the tests pass on paused time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use notion_auth::{HttpsConfig, HttpsError};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};
use tower::ServiceExt as _;

use super::{
    Authority, NOTION, ask, assert_ok, revoke,
    server::{H1, H2},
    start, trusting, with,
};
use crate::support::get;

/// A connection to a server that can be cut without either end noticing.
struct Wire {
    port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Wire {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await;
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.expect("a connection").into_split();
                tokio::spawn(carry(from_client, to_server, Arc::clone(&cut)));
                tokio::spawn(carry(from_server, to_client, Arc::clone(&cut)));
            }
        });
        Self { port, is_cut }
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    is_cut: Arc<AtomicBool>,
) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        // Data is discarded, and the end of a stream is not forwarded.
        if !is_cut.load(Ordering::Relaxed) && to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
    if is_cut.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Runs a future on paused time, and returns how long it took. Time is real before, so that connections can
/// be opened.
async fn on_paused_time<T>(
    call: impl Future<Output = Result<T, HttpsError>>,
) -> (HttpsError, Duration) {
    tokio::time::pause();
    let begun = Instant::now();
    let limited = tokio::time::timeout(Duration::from_secs(3600), call).await;
    let Ok(Err(error)) = limited else {
        panic!("it waited for an hour, or was answered");
    };
    tokio::time::resume();
    (error, begun.elapsed())
}

#[tokio::test]
async fn dead_http2_connection_is_replaced() {
    let authority = Authority::new();
    let server = start(&authority, &[H2]).await;
    let wire = Wire::to(server.address.port()).await;
    let url = format!("https://127.0.0.1:{}", wire.port);
    let client = trusting(&authority).client();
    assert_ok(client.clone().oneshot(get(&url)).await);

    wire.cut();
    let (error, took) = on_paused_time(client.clone().oneshot(get(&url))).await;
    assert!(!error.is_not_sent(), "{error}");
    assert!(took <= Duration::from_secs(35), "{took:?}");

    wire.is_cut.store(false, Ordering::Relaxed);
    assert_ok(client.oneshot(get(&url)).await);
}

#[tokio::test]
async fn dead_idle_http2_connection_is_not_used_again() {
    let authority = Authority::new();
    let server = start(&authority, &[H2]).await;
    let wire = Wire::to(server.address.port()).await;
    let url = format!("https://127.0.0.1:{}", wire.port);
    let client = trusting(&authority).client();
    assert_ok(client.clone().oneshot(get(&url)).await);

    wire.cut();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(35)).await;
    tokio::time::resume();
    wire.is_cut.store(false, Ordering::Relaxed);
    assert_ok(client.oneshot(get(&url)).await);
}

/// Opens a port at which the system accepts connections that are never read.
fn silent() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// Reads the root certificates before time is paused, because paused time passes every limit while files
/// are read.
fn read_roots(config: &HttpsConfig) {
    let destination = "https://127.0.0.1".parse().expect("a URI");
    config.check(&destination).expect("root certificates");
}

#[tokio::test]
async fn silent_server_times_out_and_nothing_was_sent() {
    let (_listener, port) = silent();
    let url = format!("https://127.0.0.1:{port}");
    let config = trusting(&Authority::new());
    read_roots(&config);
    let (error, took) = on_paused_time(ask(&config, &url)).await;
    assert!(error.is_not_sent());
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    assert!(took <= Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn silent_proxy_times_out_and_nothing_was_sent() {
    for scheme in ["http", "https", "socks5"] {
        let (_listener, port) = silent();
        let proxy = format!("{scheme}://127.0.0.1:{port}");
        let config = with(&[("HTTPS_PROXY", &proxy)]);
        let config = config.add_root_certificate(Authority::new().pem());
        let config = config.expect("a root certificate");
        let url = format!("https://{NOTION}");
        read_roots(&config);
        let (error, took) = on_paused_time(ask(&config, &url)).await;
        assert!(error.is_not_sent());
        assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        assert!(took <= Duration::from_secs(6), "{took:?}");

        tokio::time::pause();
        let error = revoke(&config, &url).await.expect_err("no connection");
        tokio::time::resume();
        assert!(error.is_not_sent(), "{error}");
        assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
    }
}

/// Returns the kernel's timers of the connections to this port (`proc_pid_net(5)`). 2 is keep-alive.
#[cfg(target_os = "linux")]
fn timers(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let fields = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields[2].ends_with(&format!(":{port:04X}")))
        .map(|fields| fields[5].split(':').next().unwrap_or_default().to_owned())
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn idle_connection_is_kept_alive_by_the_system() {
    let authority = Authority::new();
    let server = start(&authority, &[H1]).await;
    let client = trusting(&authority).client();
    let response = client.clone().oneshot(get(&server.url())).await;
    let response = response.expect("a response");
    http_body_util::BodyExt::collect(response.into_body())
        .await
        .expect("a body");
    // Retransmission (1) comes first, until the last bytes are acknowledged.
    let begun = Instant::now();
    loop {
        let timers = timers(server.address.port());
        if timers == ["02"] {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{timers:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
