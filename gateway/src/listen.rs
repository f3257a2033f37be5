//! `GATEWAY_LISTEN`, `PORT` and `GATEWAY_METRICS_LISTEN`: the addresses that the gateway listens on.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::Poll,
};

use notion_auth::BoxError;
use tokio::net::{TcpListener, TcpStream, lookup_host};

use crate::variables;

const LISTEN: &str = "GATEWAY_LISTEN";
const DEFAULT: &str = "127.0.0.1:8080";

/// The addresses to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    /// The setting.
    name: &'static str,
    addresses: Vec<SocketAddr>,
    /// Whether one of the addresses is enough: `[::]` includes `0.0.0.0` where the system has IPv6.
    is_any: bool,
}

impl Listen {
    /// Reads the environment.
    pub(crate) async fn from_env() -> Result<Self, BoxError> {
        let port = variables::text("PORT")?;
        let listen = variables::trimmed("GATEWAY_LISTEN")?;
        Self::resolve(LISTEN, parse(listen.as_deref(), port.as_deref())?).await
    }

    /// Reads the addresses for `/metrics` alone.
    pub(crate) async fn metrics_from_env() -> Result<Option<Self>, BoxError> {
        const NAME: &str = "GATEWAY_METRICS_LISTEN";

        match variables::trimmed(NAME)? {
            Some(text) => Self::resolve(NAME, parse_address(NAME, &text)?)
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    async fn resolve(name: &'static str, parsed: Parsed) -> Result<Self, BoxError> {
        match parsed {
            Parsed::Everywhere(port) => Ok(Self {
                name,
                addresses: vec![
                    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
                    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
                ],
                is_any: true,
            }),
            Parsed::Host(host, port) => {
                let resolved = lookup_host((host.as_str(), port)).await;
                let mut addresses: Vec<SocketAddr> = resolved
                    .map_err(|error| format!("{name}: {host}: {error}: {FORM}"))?
                    .collect();
                if host.eq_ignore_ascii_case("localhost") {
                    // Not every system's list of hosts has both.
                    addresses = vec![
                        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
                        SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port),
                    ];
                }
                addresses.dedup();
                if addresses.is_empty() {
                    return Err(format!("{name}: {host} has no address").into());
                }
                Ok(Self {
                    name,
                    addresses,
                    is_any: false,
                })
            }
        }
    }

    /// How a browser on this machine reaches it.
    pub(crate) fn url(&self) -> String {
        match self.addresses[..] {
            [one] if one.ip().is_loopback() => format!("http://{one}"),
            _ => format!("http://localhost:{}", self.port()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// Whether both can't be listened on.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let is_same = |one: &SocketAddr| {
            other.addresses.iter().any(|it| {
                let is_any = it.ip().is_unspecified() || one.ip().is_unspecified();
                it.port() == one.port() && (it.ip() == one.ip() || is_any)
            })
        };
        self.addresses.iter().any(is_same)
    }

    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        addresses.join(", ")
    }

    /// Listens on all addresses. An address of a family that this machine doesn't have is left out if another one is
    /// there.
    pub(crate) async fn bind(&self) -> Result<Listeners, BoxError> {
        let name = self.name;
        let (mut listeners, mut failure) = (Vec::new(), None);
        for &address in &self.addresses {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    listeners.push(listener);
                    if self.is_any {
                        break;
                    }
                }
                Err(error) if is_family_missing(&error) => failure = Some((address, error)),
                Err(error) => return Err(format!("{name}: {address}: {error}").into()),
            }
        }
        match failure {
            Some((address, error)) if listeners.is_empty() => {
                Err(format!("{name}: {address}: {error}").into())
            }
            _ => Ok(Listeners(listeners)),
        }
    }
}

fn is_family_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(97)
}

/// Sockets that listen, as one.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// The next connection, to any of them.
    pub(crate) async fn accept_any(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|context| {
            for listener in &self.0 {
                if let Poll::Ready(accepted) = listener.poll_accept(context) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The address to show.
    pub(crate) fn first_addr(&self) -> io::Result<SocketAddr> {
        let first = self.0.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        first.local_addr()
    }
}

impl axum::serve::Listener for Listeners {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.accept_any().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    // Such as too many open files, which takes a moment to end.
                    tracing::error!(%error, "no connection can be accepted");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.first_addr()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Everywhere(u16),
    Host(String, u16),
}

const FORM: &str =
    "write ADDRESS:PORT, such as 127.0.0.1:8080, localhost:8080, or :8080 for all addresses";

fn parse(listen: Option<&str>, port: Option<&str>) -> Result<Parsed, BoxError> {
    let port = match port {
        Some(text) => Some(number(text).ok_or("PORT: it is not a number from 1 to 65535")?),
        None => None,
    };
    let listen = match (listen, port) {
        (None, Some(port)) => return Ok(Parsed::Everywhere(port)),
        (None, None) => DEFAULT.to_owned(),
        (Some(text), _) if !text.contains("$PORT") && !text.contains("${PORT}") => text.to_owned(),
        (Some(text), Some(port)) => {
            let port = port.to_string();
            text.replace("${PORT}", &port).replace("$PORT", &port)
        }
        (Some(_), None) => {
            return Err(format!("{LISTEN}: it names PORT, which is not set: {FORM}").into());
        }
    };
    parse_address(LISTEN, &listen)
}

fn parse_address(name: &str, listen: &str) -> Result<Parsed, BoxError> {
    let wrong = |what: &str| -> BoxError { format!("{name}: {what}: {FORM}").into() };
    variables::check(name, listen)?;
    if listen.contains("://") {
        return Err(wrong("it is a URL"));
    }
    if listen.contains(',') {
        return Err(wrong("it takes one address"));
    }
    if number(listen).is_some() {
        return Err(wrong("it is a port alone"));
    }
    if listen.starts_with('/') || listen.starts_with("unix:") {
        return Err(wrong("sockets of files are not supported"));
    }
    let (host, number_text) = match listen.rsplit_once(':') {
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => {
            return Err(wrong("an IPv6 address needs brackets, as in [::1]:8080"));
        }
        Some(parts) => parts,
        None => return Err(wrong("it has no port")),
    };
    let port = match number_text.parse::<u16>() {
        Ok(0) => {
            return Err(wrong(
                "it needs a port that stays, because clients are configured with it",
            ));
        }
        Ok(port) => port,
        Err(_) => return Err(wrong("its port is not a number from 1 to 65535")),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host {
        "" | "*" | "::" => Ok(Parsed::Everywhere(port)),
        host => Ok(Parsed::Host(host.to_owned(), port)),
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|&port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_understood() {
        let host = |host: &str, port| Parsed::Host(host.to_owned(), port);
        for (listen, port, expected) in [
            (None, None, host("127.0.0.1", 8080)),
            (None, Some("3000"), Parsed::Everywhere(3000)),
            (Some(":8080"), None, Parsed::Everywhere(8080)),
            (Some("*:8080"), None, Parsed::Everywhere(8080)),
            (Some("[::]:8080"), None, Parsed::Everywhere(8080)),
            (Some("0.0.0.0:$PORT"), Some("3000"), host("0.0.0.0", 3000)),
            (Some("0.0.0.0:${PORT}"), Some("3000"), host("0.0.0.0", 3000)),
            (Some(":$PORT"), Some("3000"), Parsed::Everywhere(3000)),
            (Some("127.0.0.1:81"), Some("3000"), host("127.0.0.1", 81)),
            (Some("localhost:8080"), None, host("localhost", 8080)),
            (Some("[::1]:8080"), None, host("::1", 8080)),
        ] {
            let parsed = parse(listen, port).expect("a usual form");
            assert_eq!(parsed, expected, "{listen:?} {port:?}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_the_one_that_works() {
        for (listen, port, words) in [
            (Some("0.0.0.0:$PORT"), None, "PORT, which is not set"),
            (Some("8080"), None, "a port alone"),
            (Some("127.0.0.1:80,:81"), None, "one address"),
            (Some("localhost"), None, "no port"),
            (Some("http://127.0.0.1:8080"), None, "is a URL"),
            (Some("::1:8080"), None, "needs brackets"),
            (Some("127.0.0.1:0"), None, "a port that stays"),
            (Some("127.0.0.1:http"), None, "not a number"),
            (Some("127.0.0.1:99999"), None, "not a number"),
            (Some("/run/gateway.sock"), None, "sockets of files"),
            (Some("0.0.0.0:${OTHER}"), Some("1"), "was not replaced"),
            (None, Some("tcp://10.0.0.1:80"), "PORT: it is not a number"),
        ] {
            let error = parse(listen, port).expect_err("a wrong form").to_string();
            assert!(error.contains(words), "{listen:?} {port:?}: {error}");
        }
    }

    #[test]
    fn addresses_that_cannot_both_be_listened_on_overlap() {
        let listen = |addresses: &[&str]| Listen {
            name: LISTEN,
            addresses: addresses
                .iter()
                .map(|it| it.parse().expect("an address"))
                .collect(),
            is_any: false,
        };
        for (one, other, overlap) in [
            (&["127.0.0.1:80"][..], &["127.0.0.1:80"][..], true),
            (&["127.0.0.1:80"], &["127.0.0.1:81"], false),
            (&["127.0.0.1:80"], &["10.0.0.1:80"], false),
            (&["127.0.0.1:80"], &["[::]:80", "0.0.0.0:80"], true),
            (&["[::]:80", "0.0.0.0:80"], &["10.0.0.1:80"], true),
            (&["127.0.0.1:80", "[::1]:80"], &["[::1]:80"], true),
        ] {
            assert_eq!(listen(one).overlaps(&listen(other)), overlap);
        }
    }

    #[tokio::test]
    async fn localhost_is_reached_by_both_families() {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let listen = Listen {
            name: LISTEN,
            addresses: vec![
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
                SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port),
            ],
            is_any: false,
        };
        let mut listeners = listen.bind().await.expect("sockets");
        // A machine without IPv6 has one of them.
        assert!(!listeners.0.is_empty());
        let addresses: Vec<_> = listeners.0.iter().map(TcpListener::local_addr).collect();
        for address in addresses {
            let address = address.expect("an address");
            let connecting = tokio::spawn(TcpStream::connect(address));
            let (_, peer) = listeners.accept_any().await.expect("a connection");
            assert_eq!(peer.is_ipv6(), address.is_ipv6());
            connecting.await.expect("a task").expect("a connection");
        }
    }
}
