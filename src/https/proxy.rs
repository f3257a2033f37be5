//! The proxy on the way to a destination, by `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use std::{ffi::OsString, net::IpAddr, sync::Arc};

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

const NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy that the environment names, if any.
#[derive(Clone)]
pub(super) struct Proxies(Option<Arc<Named>>);

struct Named {
    proxy: Result<Proxy, ProxyError>,
    /// Answers for the destinations that `NO_PROXY` does not except.
    proxied: Matcher,
}

/// A proxy, and the variable that named it.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) variable: &'static str,
    pub(super) kind: Kind,
    pub(super) way: Intercept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// HTTP CONNECT, over TCP or TLS as the URI's scheme says.
    Tunnel,
    Socks5,
}

/// A variable whose value is no proxy. The value stays out of the message: passwords are in such.
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
            set.find(|(_, value)| !value.is_empty())
        };
        let Some((variable, value)) = first(&NAMES) else {
            return Self(None);
        };
        // What can't be read excepts nothing: it is then reached through the proxy.
        let exceptions = first(&EXCEPTIONS).map(|(_, value)| value.to_string_lossy().into_owned());
        let proxy = value
            .to_str()
            .ok_or("it is not UTF-8")
            .and_then(|value| Proxy::parse(variable, value.trim()))
            .map_err(|problem| ProxyError { variable, problem });
        Self(Some(Arc::new(Named {
            proxy,
            // For https alone: plain http is for this machine.
            proxied: Matcher::builder()
                .https("http://any")
                .no(plain_list(&exceptions.unwrap_or_default()))
                .build(),
        })))
    }

    /// The proxy on the way to that destination.
    pub(super) fn to(&self, destination: &Uri) -> Result<Option<Proxy>, ProxyError> {
        match &self.0 {
            Some(named)
                if !is_on_this_machine(destination)
                    && named.proxied.intercept(destination).is_some() =>
            {
                named.proxy.clone().map(Some)
            }
            _ => Ok(None),
        }
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
                // Desktops write `socks`, and mean version 5.
                "socks" | "socks5" | "socks5h" => (Kind::Socks5, "socks5h", rest),
                _ => return Err("proxies of that kind are not supported"),
            },
        };
        let mut url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| MALFORMED)?;
        // A password with `/`, `?` or `#` in it ends the host's part: its beginning would be the host.
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

    /// Host and port, with the scheme that says how to speak with it.
    pub(super) fn uri(&self) -> &Uri {
        self.way.uri()
    }
}

/// `NO_PROXY` as the matcher reads it: commas alone between entries, and no `*.` before a name.
fn plain_list(list: &str) -> String {
    let entries = list.split(|it: char| it == ',' || it.is_whitespace());
    let entries = entries.map(|entry| match entry.strip_prefix('*') {
        Some(name) if name.starts_with('.') => name,
        _ => entry,
    });
    entries.collect::<Vec<_>>().join(",")
}

/// Whatever the variables say: no proxy means the same machine by these names.
fn is_on_this_machine(destination: &Uri) -> bool {
    let Some(host) = destination.host() else {
        return false;
    };
    let name = host.trim_matches(['[', ']']);
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}
