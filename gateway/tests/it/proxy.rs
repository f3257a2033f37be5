//! An HTTP proxy that keeps what it sees, and lets nobody through.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub(super) struct Proxy {
    pub(super) port: u16,
    /// For each connection.
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Proxy {
    /// Answers every request with that status line. After a 200 it takes what comes first through the
    /// tunnel, and closes it.
    pub(super) async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::default();
        let keeps = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, Arc::clone(&keeps)));
            }
        });
        Self { port, seen }
    }

    /// What came over each connection, as text where it is.
    pub(super) fn seen(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("nobody panicked");
        seen.iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }
}

async fn serve(mut stream: TcpStream, answer: &str, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let is_tunnel = answer.contains(" 200 ");
    // The client of a proxy that refuses may go on before this task does.
    let at = {
        let mut seen = seen.lock().expect("nobody panicked");
        seen.push(bytes);
        seen.len() - 1
    };
    let _ = stream
        .write_all(format!("{answer}\r\n\r\n").as_bytes())
        .await;
    if is_tunnel {
        let mut first = Vec::new();
        let _ = stream.read_buf(&mut first).await;
        seen.lock().expect("nobody panicked")[at].extend(first);
    }
}
