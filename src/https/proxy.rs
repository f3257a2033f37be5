//! Proxy selection by `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use std::{ffi::OsString, net::IpAddr, sync::Arc};

use http::{Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

use crate::tls::is_blank;

const NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy that the environment configures, if any.
#[derive(Clone)]
pub(super) struct Proxies(Option<Arc<Named>>);

struct Named {
    proxy: Result<Proxy, ProxyError>,
    exceptions: Vec<Exception>,
}

/// An entry of `NO_PROXY`.
struct Exception {
    /// `None` for every port.
    port: Option<u16>,
    /// Matches the destinations that the entry does not contain.
    others: Matcher,
}

/// A proxy, and the variable that configured it.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) variable: &'static str,
    pub(super) kind: Kind,
    pub(super) way: Intercept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// HTTP CONNECT, over TCP or TLS depending on the URI's scheme.
    Tunnel,
    Socks5,
}

/// Error of a variable that does not contain a proxy URL. The value is not shown, because it may contain a
/// password.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{variable}: {problem}: expected http://[USER:PASSWORD@]HOST:PORT, or https:// or socks5:// in the \
     place of http://, with special characters of user and password percent-encoded"
)]
pub(super) struct ProxyError {
    variable: &'static str,
    problem: &'static str,
}

impl Proxies {
    pub(super) fn from_vars(get: &impl Fn(&str) -> Option<OsString>) -> Self {
        let first = |names: &[&'static str]| {
            let mut set = names.iter().filter_map(|&name| Some((name, get(name)?)));
            set.find(|(_, value)| !is_blank(value))
        };
        let Some((variable, value)) = first(&NAMES) else {
            return Self(None);
        };
        // An entry that cannot be read excludes no destination from the proxy.
        let exceptions = first(&EXCEPTIONS).map(|(_, value)| value.to_string_lossy().into_owned());
        let proxy = value
            .to_str()
            .ok_or("it is not UTF-8")
            .and_then(|value| Proxy::parse(variable, value.trim()))
            .map_err(|problem| ProxyError { variable, problem });
        Self(Some(Arc::new(Named {
            proxy,
            exceptions: exceptions
                .unwrap_or_default()
                .split(|it: char| it == ',' || it.is_whitespace())
                .filter(|entry| !entry.is_empty())
                .map(Exception::parse)
                .collect(),
        })))
    }

    /// Returns the proxy for that destination, if any.
    pub(super) fn to(&self, destination: &Uri) -> Result<Option<Proxy>, ProxyError> {
        let (Some(named), Some(host)) = (&self.0, destination.host()) else {
            return Ok(None);
        };
        // Only https uses a proxy. Plain http is for this machine.
        if destination.scheme() != Some(&Scheme::HTTPS) {
            return Ok(None);
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let port = destination.port_u16().unwrap_or(443);
        let mut exceptions = named.exceptions.iter();
        if is_on_this_machine(host) || exceptions.any(|it| it.contains(host, port)) {
            return Ok(None);
        }
        named.proxy.clone().map(Some)
    }
}

impl Exception {
    /// Parses a name, an address or a network, each with or without a port.
    fn parse(entry: &str) -> Self {
        let (place, port) = split_port(entry);
        let place = match place.strip_prefix('*') {
            Some(name) if name.starts_with('.') => name,
            _ => place,
        };
        let place = place.strip_suffix('.').unwrap_or(place);
        Self {
            port,
            others: Matcher::builder().https("http://any").no(place).build(),
        }
    }

    /// Returns whether the entry contains the destination. `host` has no trailing dot.
    fn contains(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|it| it != port) {
            return false;
        }
        let uri = Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(host)
            .path_and_query("/");
        uri.build()
            .is_ok_and(|uri| self.others.intercept(&uri).is_none())
    }
}

/// Splits off the port and removes brackets. An IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let (place, port) = match entry.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((place, "")) => return (place, None),
        Some((place, rest)) => (place, rest.strip_prefix(':')),
        None => match entry.split_once(':') {
            Some((place, port)) => (place, Some(port)),
            None => return (entry, None),
        },
    };
    match port.map(str::parse) {
        Some(Ok(port)) if !place.is_empty() => (place, Some(port)),
        _ => (entry, None),
    }
}

impl Proxy {
    fn parse(variable: &'static str, value: &str) -> Result<Self, &'static str> {
        const MALFORMED: &str = "it is not the URL of a proxy";

        let (kind, scheme, rest) = match value.split_once("://") {
            None => (Kind::Tunnel, "http", value),
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "http" => (Kind::Tunnel, "http", rest),
                "https" => (Kind::Tunnel, "https", rest),
                // Desktop environments write `socks` and mean version 5.
                "socks" | "socks5" | "socks5h" => (Kind::Socks5, "socks5h", rest),
                _ => return Err("proxies of that kind are not supported"),
            },
        };
        let mut url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| MALFORMED)?;
        // An unescaped `/`, `?` or `#` in a password ends the authority, so a part of the password would
        // become the host.
        let is_plain = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.host_str().is_some_and(|host| !host.is_empty());
        if !is_plain {
            return Err(MALFORMED);
        }
        if kind == Kind::Socks5 && url.port().is_none() {
            url.set_port(Some(1080)).map_err(|()| MALFORMED)?;
        }
        let matcher = Matcher::builder().https(url.as_str()).build();
        let way = matcher.intercept(&Uri::from_static("https://any"));
        Ok(Self {
            variable,
            kind,
            way: way.ok_or(MALFORMED)?,
        })
    }

    /// Returns the proxy's host and port, with the scheme that selects the protocol.
    pub(super) fn uri(&self) -> &Uri {
        self.way.uri()
    }
}

/// Returns whether the host is this machine, for which no proxy is used whatever the variables are.
fn is_on_this_machine(host: &str) -> bool {
    let name = host.trim_matches(['[', ']']);
    match name.parse::<IpAddr>().map(|address| address.to_canonical()) {
        // A connection to the unspecified address reaches this machine.
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => {
            let name = name.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}
