//! A proxy between a store and a server that can break connections, and a server that sends scripted
//! responses.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use notion_auth::{RedisStore, integrations::redis::Client};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::servers::redis::Redis;

/// Forwards data between clients and a server.
pub(super) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    dead: watch::Sender<usize>,
}

struct Shared {
    server: Mutex<String>,
    /// The server receives commands with this word, and the connection ends before the response.
    lost: &'static str,
    connections: AtomicUsize,
    /// Number of commands with the word that were received or discarded.
    heard: watch::Sender<usize>,
    swallowed: watch::Sender<usize>,
}

impl Proxy {
    pub(super) async fn to(server: &Redis) -> Self {
        Self::to_address(address(server)).await
    }

    pub(super) async fn to_address(server: String) -> Self {
        Self::start(server, "no such word").await
    }

    pub(super) async fn losing(server: &Redis, lost: &'static str) -> Self {
        Self::start(address(server), lost).await
    }

    async fn start(server: String, lost: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            lost,
            connections: AtomicUsize::new(0),
            heard: watch::Sender::new(0),
            swallowed: watch::Sender::new(0),
        });
        let dead = watch::Sender::new(0);
        let (accepting, links) = (Arc::clone(&shared), dead.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(client, Arc::clone(&accepting), links.subscribe()));
            }
        });
        Self { port, shared, dead }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends new connections to this server.
    pub(super) fn lead_to(&self, server: &Redis) {
        *self.shared.server.lock().unwrap() = address(server);
    }

    /// Discards all later data of the open connections, which stay open.
    pub(super) fn swallow(&self) {
        self.dead.send_modify(|epoch| *epoch += 1);
    }

    /// Waits until data of such a connection was discarded.
    pub(super) async fn has_swallowed(&self, times: usize) {
        let mut swallowed = self.shared.swallowed.subscribe();
        swallowed.wait_for(|count| *count >= times).await.unwrap();
    }

    /// Returns the number of connections that were opened.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(super) fn swallowed(&self) -> usize {
        *self.shared.swallowed.borrow()
    }

    pub(super) fn heard(&self) -> usize {
        *self.shared.heard.borrow()
    }
}

fn address(server: &Redis) -> String {
    let url = server.url();
    url.trim_start_matches("redis://")
        .trim_end_matches('/')
        .to_owned()
}

async fn pass(mut client: TcpStream, shared: Arc<Shared>, mut dead: watch::Receiver<usize>) {
    let address = shared.server.lock().unwrap().clone();
    // If the server cannot be reached, the connection ends.
    let Ok(mut server) = TcpStream::connect(address).await else {
        return;
    };
    let (mut said, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            biased;
            _ = dead.changed() => break,
            Ok(length @ 1..) = client.read(&mut said) => {
                let said = &said[..length];
                let word = shared.lost.as_bytes();
                let is_lost = said.windows(word.len()).any(|it| it == word);
                server.write_all(said).await.unwrap();
                if is_lost {
                    let _ = server.read(&mut answered).await.unwrap();
                    shared.heard.send_modify(|count| *count += 1);
                    return;
                }
            }
            Ok(length @ 1..) = server.read(&mut answered) => {
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
    while let Ok(1..) = client.read(&mut said).await {
        shared.swallowed.send_modify(|count| *count += 1);
    }
}

/// Returns a store whose server answers every command with the same line.
pub(super) async fn says(line: &'static str) -> RedisStore {
    let address = speaker(line).await;
    RedisStore::new(Client::open(format!("redis://{address}")).unwrap())
}

/// Returns the address of a server that answers every command with the same line.
pub(super) async fn speaker(line: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut said = vec![0; 1 << 16];
                while let Ok(length @ 1..) = client.read(&mut said).await {
                    let said = String::from_utf8_lossy(&said[..length]);
                    let commands = said.lines().filter(|line| line.starts_with('*')).count();
                    let answer = format!("{line}\r\n").repeat(commands);
                    if client.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
