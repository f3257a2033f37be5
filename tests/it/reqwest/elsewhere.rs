//! A server that is not Notion's.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::any,
};

/// Records its requests. `/again` redirects to `/end`, `/refusing` answers 401 with JSON, and any other
/// path 200.
pub(super) struct Elsewhere {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Elsewhere {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let answer = move |request: Request| {
            let path = request.uri().path().to_owned();
            let headers = request.headers().clone();
            sink.lock().unwrap().push((path.clone(), headers));
            async move { answer(&path) }
        };
        let router = Router::new().fallback(any(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    /// Returns the paths and headers of the requests.
    pub(super) fn seen(&self) -> Vec<(String, HeaderMap)> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(path: &str) -> Response {
    match path {
        "/again" => Redirect::temporary("/end").into_response(),
        "/refusing" => (
            StatusCode::UNAUTHORIZED,
            [("content-type", "application/json")],
        )
            .into_response(),
        _ => StatusCode::OK.into_response(),
    }
}
