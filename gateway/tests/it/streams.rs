//! Bodies are passed on as they come. What proves it is who waits for whom: each piece is sent when the
//! one before it has arrived.

use std::{
    future::IntoFuture as _,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

use super::{
    fed::{Fed, fed},
    program::{ANN, Gateway},
    wait::soon,
};

/// What Notion's side sees of an upload.
#[derive(Debug)]
enum Seen {
    Head(HeaderMap),
    Piece(Bytes),
    End,
    /// The connection went before the end.
    Broken,
}

async fn gateway_to(router: Router) -> Gateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, router).into_future());
    Gateway::start_with(&[
        ("NOTION_API_URL", &url),
        ("NOTION_CLIENT_ID", ""),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_TOKEN", "ntn_of_the_integration"),
    ])
    .await
}

/// A gateway to a Notion that tells what of an upload arrives.
async fn uploads() -> (Gateway, UnboundedReceiver<Seen>) {
    let (sender, received) = unbounded_channel();
    // In a task of its own: a handler goes with its connection.
    let take = move |request: Request| async move {
        let _ = tokio::spawn(read(request, sender)).await;
        "taken"
    };
    (gateway_to(Router::new().fallback(take)).await, received)
}

async fn read(request: Request, sender: UnboundedSender<Seen>) {
    let (head, mut body) = request.into_parts();
    let _ = sender.send(Seen::Head(head.headers));
    let end = loop {
        match body.frame().await {
            None => break Seen::End,
            Some(Err(_)) => break Seen::Broken,
            Some(Ok(frame)) => {
                let piece = frame.into_data().unwrap_or_default();
                let _ = sender.send(Seen::Piece(piece));
            }
        }
    };
    let _ = sender.send(end);
}

/// A gateway to a Notion whose one answer the test feeds.
async fn downloads() -> (Gateway, UnboundedSender<Bytes>) {
    let (feeder, body) = fed();
    let body = Arc::new(Mutex::new(Some(body)));
    let answer = async move || {
        let body = body.lock().expect("nobody panicked").take();
        let body = Body::new(body.expect("it is asked once"));
        ([(CONTENT_TYPE, "text/event-stream")], body)
    };
    (gateway_to(Router::new().fallback(answer)).await, feeder)
}

/// A caller's upload, and what it will be answered.
fn upload(
    gateway: &Gateway,
    kind: &str,
) -> (
    UnboundedSender<Bytes>,
    JoinHandle<Option<http::Response<Incoming>>>,
) {
    let (feeder, body) = fed();
    let request = http::Request::post(format!("{}/v1/file_uploads/id/send", gateway.url))
        .header("authorization", format!("Bearer {ANN}"))
        .header(CONTENT_TYPE, kind)
        .body(body)
        .expect("a request");
    let client: Client<_, Fed> = Client::builder(TokioExecutor::new()).build_http();
    let sending = async move { client.request(request).await.ok() };
    (feeder, tokio::spawn(sending))
}

#[track_caller]
fn piece(seen: Option<Seen>) -> Bytes {
    match seen {
        Some(Seen::Piece(piece)) => piece,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_upload_arrives_while_it_is_still_being_sent() {
    const KIND: &str = "multipart/form-data; boundary=edge";
    let (gateway, mut received) = uploads().await;
    let (caller, answer) = upload(&gateway, KIND);
    // More than what is kept to be sent again.
    let begin = Bytes::from(vec![b'a'; 100 * 1024]);
    caller.send(begin.clone()).expect("it is read");
    let Some(Seen::Head(head)) = soon(received.recv()).await else {
        panic!("no head");
    };
    assert_eq!(head[CONTENT_TYPE], KIND);
    assert_eq!(head["transfer-encoding"], "chunked");
    let mut arrived = 0;
    while arrived < begin.len() {
        arrived += piece(soon(received.recv()).await).len();
    }
    caller.send("--edge--\r\n".into()).expect("it is read");
    assert_eq!(piece(soon(received.recv()).await), "--edge--\r\n");
    drop(caller);
    assert!(matches!(soon(received.recv()).await, Some(Seen::End)));
    let answer = soon(answer).await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_upload_whose_caller_goes_away_is_not_whole_at_notions_side() {
    let (gateway, mut received) = uploads().await;
    let (caller, answer) = upload(&gateway, "application/octet-stream");
    let half = vec![b'x'; 100 * 1024];
    caller.send(half.into()).expect("it is read");
    assert!(matches!(soon(received.recv()).await, Some(Seen::Head(_))));
    while !matches!(received.try_recv(), Ok(Seen::Piece(_))) {
        tokio::task::yield_now().await;
    }
    answer.abort();
    loop {
        match soon(received.recv()).await {
            Some(Seen::Piece(_)) => {}
            seen => break assert!(matches!(seen, Some(Seen::Broken)), "{seen:?}"),
        }
    }
}

#[tokio::test]
async fn json_whose_caller_goes_away_is_not_sent_at_all() {
    let (gateway, mut received) = uploads().await;
    let address = gateway.url.strip_prefix("http://").expect("an address");
    let mut caller = TcpStream::connect(address).await.expect("it listens");
    let half = format!(
        "POST /v1/pages HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {ANN}\r\n\
         content-type: application/json\r\ncontent-length: 7\r\n\r\n{{\"a\""
    );
    caller.write_all(half.as_bytes()).await.expect("it reads");
    caller.shutdown().await.expect("it is open");
    // The gateway closes the connection when it is done with it.
    let mut answer = Vec::new();
    let _ = soon(caller.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 2"));
    assert!(received.try_recv().is_err());
}

async fn listen(gateway: &Gateway) -> http::Response<Incoming> {
    let request = http::Request::get(format!("{}/v1/events", gateway.url))
        .header("authorization", format!("Bearer {ANN}"))
        .body(Empty::<Bytes>::new())
        .expect("a request");
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    soon(client.request(request)).await.expect("an answer")
}

async fn next(answer: &mut http::Response<Incoming>) -> Bytes {
    let frame = soon(answer.body_mut().frame()).await.expect("more");
    frame.expect("no error").into_data().expect("data")
}

#[tokio::test]
async fn events_reach_the_caller_while_notion_is_still_sending() {
    let (gateway, notion) = downloads().await;
    let mut answer = listen(&gateway).await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/event-stream");
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        notion.send(event.into()).expect("it is read");
        assert_eq!(next(&mut answer).await, event);
    }
    drop(notion);
    assert!(soon(answer.body_mut().frame()).await.is_none());
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_stream_at_notions_side() {
    let (gateway, notion) = downloads().await;
    let mut answer = listen(&gateway).await;
    notion.send("data: 1\n\n".into()).expect("it is read");
    assert_eq!(next(&mut answer).await, "data: 1\n\n");
    drop(answer);
    soon(notion.closed()).await;
}
