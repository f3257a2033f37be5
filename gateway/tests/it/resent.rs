//! Requests on a kept connection that Notion closes.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{ask, program::ANN, recorder::gateway_of};

type Methods = Arc<Mutex<Vec<String>>>;

/// A server that responds to the first request of each connection, and closes it when the second one came. Returns its
/// URL and the methods of all requests.
async fn closing() -> (String, Methods) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let methods = Methods::default();
    let seen = Arc::clone(&methods);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&seen)));
        }
    });
    (url, methods)
}

async fn serve(mut stream: TcpStream, methods: Methods) {
    for is_answered in [true, false] {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).expect("text");
        let (method, _) = head.split_once(' ').expect("a method");
        methods
            .lock()
            .expect("nobody panicked")
            .push(method.to_owned());
        if is_answered {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    }
}

#[tokio::test]
async fn get_on_a_closed_connection_is_sent_once_more_and_a_write_never() {
    for (method, body, status, sent) in [
        ("GET", "", "200", 2),
        ("GET", "{}", "503", 1),
        ("POST", "", "503", 1),
        ("PATCH", "", "503", 1),
        ("PUT", "", "503", 1),
        ("DELETE", "", "503", 1),
    ] {
        let (url, methods) = closing().await;
        let gateway = gateway_of(&url, &[]).await;
        assert_eq!(gateway.me(ANN).send().await.status, 200);
        let method = method.parse().expect("a method");
        let answer = ask::request(method, &format!("{}/v1/users/me", gateway.url))
            .bearer(ANN)
            .body(body)
            .send()
            .await;
        let methods = methods.lock().expect("nobody panicked").split_off(1);
        assert_eq!(answer.status.as_str(), status, "{methods:?}");
        assert_eq!(methods.len(), sent, "{methods:?}");
    }
}
