//! The routes in different HTTP servers.

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use notion_auth::Subject;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::add_extension::AddExtensionLayer;

use super::site::Site;

/// The status line and headers, and the body, of a request on a real connection.
async fn fetch(address: std::net::SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a server");
    let request = format!(
        "{request} HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\naccept: application/json\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn assert_serves(status: &str, authorize: &str, missing: &str) {
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    assert!(status.contains("\"connected\":false"), "{status}");
    assert!(authorize.starts_with("HTTP/1.1 303"), "{authorize}");
    assert!(
        authorize.contains("set-cookie: __Host-notion-flow-"),
        "{authorize}"
    );
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
}

#[tokio::test]
async fn axum_router_nests_the_routes() {
    let site = Site::new();
    let app: Router = Router::new()
        .nest_service("/notion", site.routes.clone())
        .layer(Extension(Subject::new("ann")));
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_serves(
        &fetch(address, "GET /notion/status").await,
        &fetch(address, "GET /notion/authorize").await,
        &fetch(address, "GET /notion/nothing").await,
    );
}

#[tokio::test]
async fn hyper_serves_the_routes() {
    let site = Site::new();
    let service = ServiceBuilder::new()
        .layer(AddExtensionLayer::new(Subject::new("ann")))
        .service(site.routes.clone());
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let stream = TokioIo::new(stream);
                let _ = builder.serve_connection(stream, service).await;
            });
        }
    });
    assert_serves(
        &fetch(address, "GET /notion/status").await,
        &fetch(address, "GET /notion/authorize").await,
        &fetch(address, "GET /nothing").await,
    );
}
