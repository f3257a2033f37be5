use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::Database;

/// A network between clients and a server, whose connections can die without a word.
pub(super) struct Link {
    port: u16,
    accepted: Arc<AtomicUsize>,
    deaths: watch::Sender<usize>,
}

impl Link {
    /// To the server of this database.
    pub(super) async fn to(database: &Database) -> Self {
        let server = database.server.address("127.0.0.1");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let link = Self {
            port: listener.local_addr().unwrap().port(),
            accepted: Arc::default(),
            deaths: watch::Sender::new(0),
        };
        let (accepted, deaths) = (Arc::clone(&link.accepted), link.deaths.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(pass(client, server.clone(), deaths.clone()));
            }
        });
        link
    }

    pub(super) fn url_of(&self, database: &Database) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{}?sslmode=disable",
            self.port, database.name
        )
    }

    /// How many connections were made.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// From now on, what is sent over the connections of today is lost.
    pub(super) fn kill_connections(&self) {
        self.deaths.send_modify(|deaths| *deaths += 1);
    }
}

async fn pass(mut client: TcpStream, server: String, mut deaths: watch::Receiver<usize>) {
    deaths.mark_unchanged();
    let mut server = TcpStream::connect(server).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        // The sockets stay open.
        Ok(()) = deaths.changed() => std::future::pending().await,
    }
}
