//! The names at the root shadow no crate that applications use beside this one.

#![allow(unused_imports, reason = "only whether these lines compile matters")]

use axum::Router;
use bytes::Bytes;
use http::Request;
use hyper::Method;
use notion_auth::*;
use tokio::time::Duration;
use tower::ServiceBuilder;
use url::Url;

#[cfg(feature = "reqwest")]
use reqwest::Client;
#[cfg(feature = "postgres")]
use sqlx::PgPool;

#[test]
fn glob_import_shadows_no_crate() {
    let _ = Request::new(());
    let _ = Router::<()>::new();
    let _ = (
        serde_json::Value::Null,
        tracing::Level::INFO,
        Subject::new("ann"),
    );
}
