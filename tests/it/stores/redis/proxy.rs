//! What stands between a client and a server, and loses answers or does something meanwhile; and what stands
//! in a server's place.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use notion_auth::{RedisStore, redis};

use crate::servers::redis::Redis;

pub(super) struct Proxy {
    port: u16,
    /// How often the word has come by.
    pub(super) seen: Arc<AtomicUsize>,
}

impl Proxy {
    /// Whenever a client says the word, the server hears it, and its answer and the connection are lost.
    pub(super) async fn that_loses(server: &Redis, word: &'static str) -> Self {
        Self::start(server, word, None).await
    }

    /// Whenever a client says the word, something is done before the server hears it.
    pub(super) async fn that_waits(
        server: &Redis,
        word: &'static str,
        first: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::start(server, word, Some(Arc::new(first))).await
    }

    async fn start(server: &Redis, word: &'static str, first: Option<First>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let url = server.url();
        let server = url.trim_start_matches("redis://").trim_end_matches('/');
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(
                    client,
                    server.clone(),
                    word,
                    Arc::clone(&counter),
                    first.clone(),
                ));
            }
        });
        Self { port, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

type First = Arc<dyn Fn() + Send + Sync>;

async fn pass(
    mut client: TcpStream,
    server: String,
    word: &str,
    seen: Arc<AtomicUsize>,
    first: Option<First>,
) {
    let server = TcpStream::connect(server).await;
    let mut server = server.unwrap();
    let (mut said, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            Ok(length @ 1..) = client.read(&mut said) => {
                let said = &said[..length];
                let is_said = said.windows(word.len()).any(|it| it == word.as_bytes());
                seen.fetch_add(usize::from(is_said), Ordering::Relaxed);
                if let Some(first) = first.as_ref().filter(|_| is_said) {
                    first();
                }
                server.write_all(said).await.unwrap();
                if is_said && first.is_none() {
                    let _ = server.read(&mut answered).await.unwrap();
                    return;
                }
            }
            Ok(length @ 1..) = server.read(&mut answered) => {
                client.write_all(&answered[..length]).await.unwrap();
            }
            else => return,
        }
    }
}

/// A server that answers every command with the same line.
pub(super) async fn says(line: &'static str) -> RedisStore {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut said = vec![0; 1 << 16];
                while let Ok(length @ 1..) = client.read(&mut said).await {
                    let said = String::from_utf8_lossy(&said[..length]);
                    let commands = said.lines().filter(|line| line.starts_with('*')).count();
                    let answer = format!("{line}\r\n").repeat(commands);
                    client.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    RedisStore::new(client.get_connection_manager().await.unwrap())
}
