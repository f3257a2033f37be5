//! The same service behind a socket.

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

/// Ends the server and its connections when dropped.
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
    // Owned here, so that the connections end with the loop.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone()))),
            // Out of file descriptors: some will be free again.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, service: MockNotionService) {
    // A delayed small write is no reason to end a connection.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| service.clone().call(request));
    // Its error is the client's that left or a scripted drop; hyper then closes the connection.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
