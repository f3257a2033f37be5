//! A server on this machine that has one answer.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

/// Answers every request with that JSON, at the URL that is returned.
pub(crate) fn start(answer: serde_json::Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let body = answer.to_string();
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len(),
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream
                .and_then(|stream| serve(stream, &response))
                .expect("a request");
        }
    });
    format!("http://{address}/token")
}

fn serve(mut stream: TcpStream, response: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut body_len = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(len) = line.strip_prefix("content-length:") {
            body_len = len.trim().parse().expect("a length");
        }
    }
    reader.read_exact(&mut vec![0; body_len])?;
    stream.write_all(response.as_bytes())
}
