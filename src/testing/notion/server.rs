//! Serves the mock service on a socket.

use std::{sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tower_service::Service;

use super::{service::MockNotionService, state::Shared};

/// Stops the server and its connections on drop.
pub(super) struct Server(AbortHandle);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn spawn(listener: TcpListener, shared: Arc<Shared>) -> Server {
    let service = MockNotionService::new(shared);
    Server(tokio::spawn(accept(listener, service)).abort_handle())
}

async fn accept(listener: TcpListener, service: MockNotionService) {
    // Owned by the loop, so that the connections end with it.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone()))),
            // The process is out of file descriptors. Some will become free.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, service: MockNotionService) {
    // A failure only delays small writes, so the connection continues.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| service.clone().call(request));
    // The error is a disconnect or a scripted drop. hyper then closes the connection.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
