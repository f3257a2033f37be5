use http::{
    Uri,
    uri::{Authority, Scheme},
};
use url::Url;

use crate::error::AuthError;

/// The one origin that is sent tokens.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// https, or http.
    is_https: bool,
    /// The host as `http` writes it: lower case, IPv6 in brackets.
    host: String,
    port: u16,
    /// The authority as most requests have it, for a quick comparison.
    authority: String,
    /// Whether a URI may leave the destination to the inner service.
    pub(super) inner_decides: bool,
}

const ELSEWHERE: &str = "the request is not for Notion's API, so it gets no token: check its URL, \
    or the provider's api_url";
const UNKNOWN: &str = "the request's URI has no host, so it is not known where its token would go: \
    use an absolute URI, or tell the layer that the inner service decides the destination";

impl Destination {
    /// `url` is https, or http on this machine: the provider's builder has seen to it.
    pub(super) fn new(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().to_owned();
        Self {
            is_https: url.scheme() == "https",
            port: url.port_or_known_default().unwrap_or_default(),
            authority: match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.clone(),
            },
            host,
            inner_decides: false,
        }
    }

    /// Whether this is a URI for the destination as nearly all requests write it. One that is not may
    /// still be for it: [`check`](Self::check) says.
    #[inline]
    pub(super) fn is_usual(&self, uri: &Uri) -> bool {
        match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                self.is_scheme(scheme) && authority.as_str() == self.authority
            }
            _ => false,
        }
    }

    /// Whether a request for this URI may have a token.
    pub(super) fn check(&self, uri: &Uri) -> Result<(), AuthError> {
        match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority))
                if self.is_scheme(scheme) && self.is_same(authority) =>
            {
                Ok(())
            }
            (None, None) if self.inner_decides && uri.path().starts_with('/') => Ok(()),
            (None, None) => Err(AuthError::destination(UNKNOWN)),
            _ => Err(AuthError::destination(ELSEWHERE)),
        }
    }

    /// The same for a URL, read as the client that sends it reads it.
    #[cfg(feature = "reqwest")]
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), AuthError> {
        match url.as_str().parse() {
            Ok(uri) => self.check(&uri),
            Err(_) => Err(AuthError::destination(ELSEWHERE)),
        }
    }

    /// Compared as text with constants, which costs less than comparing two schemes.
    #[inline]
    fn is_scheme(&self, scheme: &Scheme) -> bool {
        match scheme.as_str() {
            "https" => self.is_https,
            "http" => !self.is_https,
            _ => false,
        }
    }

    /// The same place, also in other words: upper case, the default port. A user name is not ours to
    /// send.
    fn is_same(&self, authority: &Authority) -> bool {
        let default_port = if self.is_https { 443 } else { 80 };
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok(),
            None if authority.as_str().ends_with(':') => None,
            None => Some(default_port),
        };
        !authority.as_str().contains('@')
            && authority.host().eq_ignore_ascii_case(&self.host)
            && port == Some(self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_allowed(origin: &str, uri: &str, expected: bool) {
        let destination = Destination::new(&Url::parse(origin).expect("an origin"));
        let uri: Uri = uri.parse().expect("a URI");
        assert_eq!(destination.check(&uri).is_ok(), expected, "{origin} {uri}");
        assert!(
            expected || !destination.is_usual(&uri),
            "usual: {origin} {uri}"
        );
    }

    #[test]
    fn only_the_configured_origin_gets_a_token() {
        let notion = "https://api.notion.com";
        for uri in [
            "https://api.notion.com/v1/users/me",
            "https://api.notion.com:443/v1/users/me",
            "https://API.Notion.COM/v1/users/me",
            "HTTPS://api.notion.com/",
        ] {
            assert_allowed(notion, uri, true);
        }
        for uri in [
            "http://api.notion.com/",
            "http://api.notion.com:443/",
            "https://api.notion.com:8443/",
            "https://api.notion.com.evil.example/",
            "https://evil.example/api.notion.com",
            "https://api.notion.com@evil.example/",
            "https://evil.example@api.notion.com/",
            "https://user:password@api.notion.com/",
            "https://notion.com/",
            "https://xapi.notion.com/",
            "https://api.notion.com./",
            "wss://api.notion.com/",
            "/v1/users/me",
            "*",
            "api.notion.com:443",
        ] {
            assert_allowed(notion, uri, false);
        }
    }

    #[test]
    fn loopback_is_compared_with_its_port() {
        assert_allowed("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1", true);
        assert_allowed("http://127.0.0.1:8080", "http://127.0.0.1/v1", false);
        assert_allowed("http://127.0.0.1:8080", "https://127.0.0.1:8080/v1", false);
        assert_allowed("http://localhost", "http://localhost:80/", true);
        assert_allowed("http://[::1]:9", "http://[::1]:9/", true);
        assert_allowed("https://h:443", "https://h/", true);
    }

    #[test]
    fn a_uri_without_a_host_is_for_the_inner_service_to_place_only_when_it_was_told() {
        let url = Url::parse("https://api.notion.com").expect("an origin");
        let mut destination = Destination::new(&url);
        destination.inner_decides = true;
        let check = |uri: &str| destination.check(&uri.parse().expect("a URI"));
        assert!(check("/v1/users/me?page_size=1").is_ok());
        assert!(check("https://evil.example/").is_err());
        assert!(check("evil.example:443").is_err());
        assert!(check("*").is_err());
    }
}
