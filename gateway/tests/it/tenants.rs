//! One tenant does not hold up others.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    routing::{get, post},
};
use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;

use super::{
    ask,
    program::{ANN, BOB, Gateway},
    recorder::gateway_to,
    wait::eventually_async,
    wire::Wire,
};

struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = Bytes::from_static(&[b'x'; 16 * 1024]);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

/// A Notion with an endless response, and one that reads uploads.
fn notion() -> Router {
    let read = async |body: Body| to_bytes(body, usize::MAX).await.is_ok().to_string();
    Router::new()
        .route("/v1/users/me", get(async || "me"))
        .route("/v1/blocks/1/children", get(async || Body::new(Endless)))
        .route("/v1/file_uploads/1/send", post(read))
}

async fn unread_response(gateway: &Gateway, key: &str) -> Wire {
    let mut wire = Wire::to(gateway).await;
    wire.write(format!(
        "GET /v1/blocks/1/children HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\r\n"
    ))
    .await;
    wire
}

/// An upload that stops after some bytes.
async fn stalled_upload(gateway: &Gateway, key: &str, kind: &str, bytes: usize) -> Wire {
    let mut wire = Wire::to(gateway).await;
    wire.write(format!(
        "POST /v1/file_uploads/1/send HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
         content-type: {kind}\r\ncontent-length: 1000000\r\n\r\n{}",
        "x".repeat(bytes)
    ))
    .await;
    wire
}

/// Waits until so many requests are in progress. A request that asks by its own status would take the place of one.
async fn in_flight(gateway: &Gateway, requests: usize) {
    let line = format!("gateway_requests_in_flight {requests}\n");
    eventually_async(async || {
        let metrics = ask::get(&format!("{}/metrics", gateway.url)).send().await;
        metrics.text().contains(&line)
    })
    .await;
}

async fn status(gateway: &Gateway, key: &str) -> StatusCode {
    gateway.me(key).send().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_requests_of_one_key_do_not_hold_up_another() {
    let gateway = gateway_to(notion(), &[]).await;
    let mut stalled = Vec::new();
    for _ in 0..32 {
        stalled.push(unread_response(&gateway, ANN).await);
        stalled.push(stalled_upload(&gateway, ANN, "application/json", 1).await);
        stalled.push(stalled_upload(&gateway, ANN, "application/json", 600_000).await);
        stalled.push(stalled_upload(&gateway, ANN, "image/png", 100_000).await);
    }
    in_flight(&gateway, 128).await;
    let refused = gateway.me(ANN).send().await;
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(status(&gateway, BOB).await, StatusCode::OK);
    in_flight(&gateway, 128).await;

    let metrics = ask::get(&format!("{}/metrics", gateway.url)).send().await;
    let metrics = metrics.text();
    for line in [
        "gateway_requests_in_flight 128",
        "gateway_refusals_total{reason=\"requests_per_subject\"}",
        "gateway_upstream_duration_seconds_count{status=\"2xx\"}",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    drop(stalled);
    eventually_async(async || status(&gateway, ANN).await == StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_of_all_requests_is_for_all_keys() {
    let settings = [
        ("GATEWAY_MAX_REQUESTS", "3"),
        ("GATEWAY_MAX_REQUESTS_PER_SUBJECT", "2"),
    ];
    let gateway = gateway_to(notion(), &settings).await;
    let stalled = [
        unread_response(&gateway, ANN).await,
        unread_response(&gateway, ANN).await,
    ];
    in_flight(&gateway, 2).await;
    assert_eq!(status(&gateway, ANN).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(&gateway, BOB).await, StatusCode::OK);
    in_flight(&gateway, 2).await;
    let last = unread_response(&gateway, BOB).await;
    in_flight(&gateway, 3).await;
    assert_eq!(status(&gateway, BOB).await, StatusCode::TOO_MANY_REQUESTS);
    drop((stalled, last));
    eventually_async(async || status(&gateway, BOB).await == StatusCode::OK).await;
}
