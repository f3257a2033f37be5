//! Methods that go no further.

use http::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    ask,
    program::{ANN, Gateway},
    wait::soon,
};

#[tokio::test]
async fn methods_that_notion_has_not_are_refused() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    let url = format!("{}/v1/users/me", gateway.url);
    let others = ["FIND", "OPTIONS", "PROPFIND", "TRACE", "get"];
    for method in others.map(|method| Method::from_bytes(method.as_bytes()).expect("a token")) {
        let answer = ask::request(method, &url).bearer(ANN).send().await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.header("allow"), "GET, POST, PATCH, PUT, DELETE");
    }
    let refused = connect(&gateway).await;
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    assert!(gateway.notion.ledger().api_calls().is_empty());
}

/// What comes of `CONNECT` with a path, which no client sends.
async fn connect(gateway: &Gateway) -> String {
    let address = gateway.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!(
        "CONNECT /v1/users/me HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         authorization: Bearer {ANN}\r\n\r\n"
    );
    let mut answer = String::new();
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    };
    soon(asked).await.expect("an answer");
    answer
}
