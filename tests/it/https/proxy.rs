//! Proxies that connect any name to this machine, and record what they receive.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

pub(super) struct Proxy {
    pub(super) port: u16,
    /// For each connection, the data before the tunnel.
    seen: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
pub(super) enum Kind {
    Connect,
    /// HTTP CONNECT over TLS.
    ConnectOverTls(TlsAcceptor),
    /// With the expected user and password, if any.
    Socks5(Option<(&'static str, &'static str)>),
    /// HTTP, with this status line as the response.
    Refusing(&'static str),
}

impl Proxy {
    pub(super) async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let keeps = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kind, keeps) = (kind.clone(), Arc::clone(&keeps));
                tokio::spawn(async move {
                    let keep = |line: String| keeps.lock().expect("nobody panicked").push(line);
                    // The client reports connections that end early.
                    let _ = match kind {
                        Kind::Connect => connect(stream, keep).await,
                        Kind::ConnectOverTls(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => connect(stream, keep).await,
                            Err(error) => Err(error),
                        },
                        Kind::Socks5(auth) => socks5(stream, auth, keep).await,
                        Kind::Refusing(status) => refuse(stream, status, keep).await,
                    };
                });
            }
        });
        Self { port, seen }
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn connect(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    keep: impl Fn(String),
) -> std::io::Result<()> {
    let head = head(&mut stream).await?;
    let port = head
        .split([':', ' '])
        .find_map(|part| part.parse::<u16>().ok());
    keep(head);
    let mut to = TcpStream::connect(("127.0.0.1", port.unwrap_or_default())).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut to).await?;
    Ok(())
}

async fn refuse(mut stream: TcpStream, status: &str, keep: impl Fn(String)) -> std::io::Result<()> {
    keep(head(&mut stream).await?);
    let answer = format!("{status}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await
}

/// RFC 1928 and 1929.
async fn socks5(
    mut stream: TcpStream,
    auth: Option<(&str, &str)>,
    keep: impl Fn(String),
) -> std::io::Result<()> {
    assert_eq!(stream.read_u8().await?, 5);
    let methods = string(&mut stream).await?;
    let method = u8::from(auth.is_some()) * 2;
    assert!(methods.contains(char::from(method)));
    stream.write_all(&[5, method]).await?;
    if let Some(expected) = auth {
        assert_eq!(stream.read_u8().await?, 1);
        let user = string(&mut stream).await?;
        let password = string(&mut stream).await?;
        let is_right = (&*user, &*password) == expected;
        stream.write_all(&[1, u8::from(!is_right)]).await?;
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    assert_eq!(request, [5, 1, 0, 3], "CONNECT to a name");
    let name = string(&mut stream).await?;
    let port = stream.read_u16().await?;
    keep(format!("SOCKS {name}:{port}"));
    let mut to = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut stream, &mut to).await?;
    Ok(())
}

/// Reads a length, and that many bytes.
async fn string(stream: &mut TcpStream) -> std::io::Result<String> {
    let length = stream.read_u8().await?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
