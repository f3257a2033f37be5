//! Connections by hand, byte by byte.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{program::Gateway, wait::soon};

pub(super) struct Wire(pub(super) TcpStream);

impl Wire {
    pub(super) async fn to(gateway: &Gateway) -> Self {
        let address = gateway.url.trim_start_matches("http://");
        Self(TcpStream::connect(address).await.expect("it listens"))
    }

    pub(super) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let written = soon(self.0.write_all(bytes.as_ref())).await;
        written.expect("it reads");
    }

    /// Reads until that text has come.
    pub(super) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(end) {
            let count = soon(self.0.read_buf(&mut read)).await.expect("an answer");
            assert!(count > 0, "{}", String::from_utf8_lossy(&read));
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads until the gateway closes the connection.
    pub(super) async fn read_to_end(&mut self) -> String {
        let mut read = Vec::new();
        soon(self.0.read_to_end(&mut read)).await.expect("an end");
        String::from_utf8_lossy(&read).into_owned()
    }
}
