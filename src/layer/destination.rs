#[cfg(feature = "reqwest")]
use http::HeaderValue;
use std::mem;

use http::{
    HeaderMap, Method, Request, Uri,
    header::HOST,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use url::Url;

use crate::error::AuthError;

/// The only origin that gets tokens.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// https, or http.
    is_https: bool,
    /// Host and port as most requests have them: lower case, without the scheme's default port.
    authority: String,
    /// The same with the port in any case.
    authority_with_port: String,
    /// Scheme and authority for URIs without them.
    origin: Option<(Scheme, Authority)>,
    /// Whether a URI may leave the destination to the inner service.
    pub(super) inner_decides: bool,
}

const NOT_FOR_NOTION: &str = "a CONNECT request is for a proxy, and the answer to a TRACE request \
    repeats its headers, so neither gets a token: use another method";
const ELSEWHERE: &str = "the request's URI is not one of Notion's API, so the request gets no token: \
    check the URI's scheme, host and port, or the provider's api_url";
const NO_PLAIN_PATH: &str = "the request's URI is not a path that begins with one slash and a name, \
    so its token could go elsewhere: use a path such as /v1/users/me";
const HOST_ELSEWHERE: &str = "the request's Host header does not name Notion's API, or there are \
    several, so the request gets no token: remove the Host header, since HTTP clients add the right \
    one";

impl Destination {
    /// `url` is https, or http on loopback: the provider's builder checks that.
    pub(super) fn new(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let is_https = url.scheme() == "https";
        let scheme = if is_https {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        let authority_with_port = format!("{host}:{port}");
        let authority = match url.port() {
            Some(_) => authority_with_port.clone(),
            None => host.to_owned(),
        };
        Self {
            is_https,
            origin: authority.parse().ok().map(|authority| (scheme, authority)),
            authority,
            authority_with_port,
            inner_decides: false,
        }
    }

    /// Completes a URI that is only a path.
    #[inline]
    pub(super) fn complete<B>(&self, request: &mut Request<B>) {
        if request.uri().authority().is_none() && !self.inner_decides {
            self.complete_uri(request.uri_mut());
        }
    }

    #[inline(never)]
    fn complete_uri(&self, uri: &mut Uri) {
        if uri.scheme().is_some() || !is_plain_path(uri.path()) {
            return;
        }
        let path = mem::take(uri).into_parts().path_and_query;
        // A path and an origin always make a URI.
        *uri = path
            .and_then(|path| self.with_path(path))
            .unwrap_or_default();
    }

    /// Whether [`with_path`](Self::with_path) returns this URI.
    pub(super) fn has_origin_of(&self, uri: &Uri) -> bool {
        self.origin.as_ref().is_some_and(|(scheme, authority)| {
            uri.scheme() == Some(scheme)
                && uri.authority().map(Authority::as_str) == Some(authority.as_str())
        })
    }

    /// The URI of this path at the destination.
    pub(super) fn with_path(&self, path: PathAndQuery) -> Option<Uri> {
        let (scheme, authority) = self.origin.clone()?;
        let mut parts = Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(authority);
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }

    /// Whether method and URI are those that nearly all requests for the destination have, so that only
    /// `Host` is left to [check](Self::is_named_by). Others may be for it as well: [`check`](Self::check)
    /// decides.
    #[inline]
    pub(super) fn is_usual<B>(&self, request: &Request<B>) -> bool {
        let uri = request.uri();
        match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                let path = uri.path_and_query();
                is_for_notion(request.method())
                    && path.is_some_and(|path| path.as_str().starts_with('/'))
                    && self.is_scheme(scheme)
                    && authority.as_str() == self.authority
            }
            _ => false,
        }
    }

    /// Whether a request may have a token.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), AuthError> {
        let problem = if is_for_notion(method) {
            self.problem_of_uri(uri)
                .or_else(|| (!self.is_named_by(headers)).then_some(HOST_ELSEWHERE))
        } else {
            Some(NOT_FOR_NOTION)
        };
        problem.map_or(Ok(()), |problem| Err(AuthError::destination(problem)))
    }

    /// The same for a URL, read as reqwest reads it. Returns the `Host` to send.
    ///
    /// reqwest adds a client's default headers below any middleware, where a request has none of that
    /// name: a `Host` among them would come after every check.
    #[cfg(feature = "reqwest")]
    pub(crate) fn check_url(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<HeaderValue, AuthError> {
        let elsewhere = || AuthError::destination(ELSEWHERE);
        let uri = url.as_str().parse().map_err(|_| elsewhere())?;
        self.check(method, &uri, headers)?;
        self.authority.parse().map_err(|_| elsewhere())
    }

    fn problem_of_uri(&self, uri: &Uri) -> Option<&'static str> {
        // `http` before 1.5 makes URIs whose path has no slash in front. Written out, such a path would
        // continue the host: `https://api.notion.com` and `.evil.example/`.
        let has_path = uri.path().starts_with('/');
        match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority))
                if self.is_scheme(scheme)
                    && self.is_same(authority.as_str().as_bytes())
                    && has_path =>
            {
                None
            }
            (None, None) if self.inner_decides && is_plain_path(uri.path()) => None,
            (None, None) => Some(NO_PLAIN_PATH),
            _ => Some(ELSEWHERE),
        }
    }

    /// Whether the `Host` header, if there is one, names the destination. Servers that share an address
    /// choose the site by it.
    #[cold]
    pub(super) fn is_named_by(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (None, _) => true,
            (Some(host), None) => self.is_same(host.as_bytes()),
            (Some(_), Some(_)) => false,
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

    /// Whether the text is the destination's host and port, in any case and with or without the default
    /// port. It is not parsed, so nothing else passes: no user name, list, blank, empty or padded port.
    fn is_same(&self, authority: &[u8]) -> bool {
        authority.eq_ignore_ascii_case(self.authority.as_bytes())
            || authority.eq_ignore_ascii_case(self.authority_with_port.as_bytes())
    }
}

/// Whether a request with this method goes to the server that the URI names, and the response does not repeat the token
/// (RFC 9110, sections 9.3.6 and 9.3.8).
#[inline]
fn is_for_notion(method: &Method) -> bool {
    !matches!(*method, Method::CONNECT | Method::TRACE)
}

/// Whether no URI parser, however lenient, finds a host in this path. `//evil.example` has one by RFC 3986,
/// `/\evil.example` by the URL standard. Encoded and dotted forms become those when a proxy normalizes the path.
fn is_plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    if rest.starts_with(['/', '%']) || rest.contains('\\') || !rest.is_ascii() {
        return false;
    }
    // A normalized dot segment, also an encoded one, can leave a path that begins with two slashes.
    let decoded = rest.to_ascii_lowercase().replace("%2e", ".");
    let decoded = decoded.replace("%2f", "/").replace("%5c", "/");
    !decoded
        .split('/')
        .any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn destination(origin: &str) -> Destination {
        Destination::new(&Url::parse(origin).expect("an origin"))
    }

    fn request(uri: &str) -> Request<()> {
        Request::get(uri).body(()).expect("a request")
    }

    fn is_allowed(destination: &Destination, request: &Request<()>) -> bool {
        let check = destination.check(request.method(), request.uri(), request.headers());
        let is_hit = destination.is_usual(request) && destination.is_named_by(request.headers());
        assert!(check.is_ok() || !is_hit, "the fast path alone allows it");
        check.is_ok()
    }

    #[track_caller]
    fn assert_allowed(origin: &str, uri: &str, expected: bool) {
        let allowed = is_allowed(&destination(origin), &request(uri));
        assert_eq!(allowed, expected, "{origin} {uri}");
    }

    #[test]
    fn uri_of_the_configured_origin_gets_a_token() {
        for uri in [
            "https://api.notion.com",
            "https://api.notion.com/v1/users/me",
            "https://api.notion.com:443/v1/users/me",
            "https://API.Notion.COM/v1/users/me",
            "HTTPS://api.notion.com/",
            "https://api.notion.com?page_size=1",
            "https://api.notion.com//evil.example/",
        ] {
            assert_allowed("https://api.notion.com", uri, true);
        }
    }

    #[test]
    fn uri_of_another_origin_gets_no_token() {
        for uri in [
            "http://api.notion.com/",
            "http://api.notion.com:443/",
            "https://api.notion.com:8443/",
            "https://api.notion.com:0/",
            "https://api.notion.com:0443/",
            "https://api.notion.com:+443/",
            "https://api.notion.com:65979/",
            "https://api.notion.com:/",
            "https://api.notion.com.evil.example/",
            "https://evil.example/api.notion.com",
            "https://evil.example?api.notion.com",
            "https://api.notion.com@evil.example/",
            "https://api.notion.com:443@evil.example/",
            "https://evil.example@api.notion.com/",
            "https://user:password@api.notion.com/",
            "https://@api.notion.com/",
            "https://notion.com/",
            "https://xapi.notion.com/",
            "https://api.notion.com./",
            "https://api.notion.com,evil.example/",
            "https://xn--pi-8kc.notion.com/",
            "https://[::1]/",
            "wss://api.notion.com/",
            "/v1/users/me",
            "*",
            "api.notion.com",
            "api.notion.com:443",
        ] {
            assert_allowed("https://api.notion.com", uri, false);
        }
    }

    #[test]
    fn loopback_is_compared_with_its_port() {
        assert_allowed("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1", true);
        assert_allowed("http://127.0.0.1:8080", "http://127.0.0.1/v1", false);
        assert_allowed("http://127.0.0.1:8080", "https://127.0.0.1:8080/v1", false);
        assert_allowed("http://127.0.0.1:8080", "http://127.1:8080/v1", false);
        assert_allowed("http://localhost", "http://localhost:80/", true);
        assert_allowed("http://[::1]:9", "http://[::1]:9/", true);
        assert_allowed("http://[::1]:9", "http://[::1]:90/", false);
        assert_allowed("https://h:443", "https://h/", true);
    }

    #[test]
    fn host_header_must_name_the_origin_once() {
        let cases: [(&str, &[&[u8]], bool); 36] = [
            (NOTION, &[], true),
            (NOTION, &[b"api.notion.com"], true),
            (NOTION, &[b"API.notion.com"], true),
            (NOTION, &[b"api.notion.com:443"], true),
            (NOTION, &[b"Api.Notion.Com:443"], true),
            (NOTION, &[b"evil.example"], false),
            (NOTION, &[b"evil.example:443"], false),
            (NOTION, &[b""], false),
            (NOTION, &[b" "], false),
            (NOTION, &[b" api.notion.com"], false),
            (NOTION, &[b"api.notion.com\t"], false),
            (NOTION, &[b"api. notion.com"], false),
            (NOTION, &[b"api.notion.com, api.notion.com"], false),
            (NOTION, &[b"api.notion.com,evil.example"], false),
            (NOTION, &[b"api.notion.com evil.example"], false),
            (NOTION, &[b"api.notion.com:"], false),
            (NOTION, &[b"api.notion.com:0"], false),
            (NOTION, &[b"api.notion.com:80"], false),
            (NOTION, &[b"api.notion.com:0443"], false),
            (NOTION, &[b"api.notion.com:+443"], false),
            (NOTION, &[b"api.notion.com:443:443"], false),
            (NOTION, &[b"api.notion.com."], false),
            (NOTION, &[b"api.notion.com/"], false),
            (NOTION, &[b"https://api.notion.com"], false),
            (NOTION, &[b"user@api.notion.com"], false),
            (NOTION, &[b"api.notion.com@evil.example"], false),
            (NOTION, &[b"api%2enotion.com"], false),
            (NOTION, &[b"api.notion.com\xff"], false),
            (NOTION, &[b"api.notion.com.evil.example"], false),
            (NOTION, &[b"api.notion.com", b"api.notion.com"], false),
            (NOTION, &[b"api.notion.com", b"evil.example"], false),
            (NOTION, &[b"evil.example", b"api.notion.com"], false),
            ("http://[::1]:9", &[b"[::1]:9"], true),
            ("http://[::1]:9", &[b"[::1]"], false),
            ("http://localhost", &[b"localhost:80"], true),
            ("http://localhost:81", &[b"localhost"], false),
        ];
        for (origin, hosts, expected) in cases {
            let mut in_uri = request(&format!("{origin}/v1"));
            let mut path = request("/v1");
            for host in hosts {
                let host = HeaderValue::from_bytes(host).expect("a value");
                in_uri.headers_mut().append(HOST, host.clone());
                path.headers_mut().append(HOST, host);
            }
            let mut destination = destination(origin);
            assert_eq!(is_allowed(&destination, &in_uri), expected, "{in_uri:?}");
            destination.inner_decides = true;
            assert_eq!(is_allowed(&destination, &in_uri), expected, "{in_uri:?}");
            assert_eq!(is_allowed(&destination, &path), expected, "{path:?}");
        }
    }

    const NOTION: &str = "https://api.notion.com";

    #[test]
    fn inner_service_decides_about_plain_paths_only() {
        let mut destination = destination(NOTION);
        destination.inner_decides = true;
        for (target, expected) in [
            ("/", true),
            ("/?page_size=1", true),
            ("/v1/users/me?page_size=1", true),
            ("/v1//users", true),
            ("/v1/%2Fusers", true),
            ("/v1/pages/1/properties/%5C%2Fa..b", true),
            ("/v1/...", true),
            ("/v1/..", false),
            ("/v1/..//evil.example/x", false),
            ("/v1/../\\evil.example", false),
            ("/v1/%2e%2E//evil.example", false),
            ("/v1/..%2f%2fevil.example", false),
            ("/v1/..%5C%5cevil.example", false),
            ("/a/b/../..//evil.example", false),
            ("/v1/x\\..\\..\\\\evil.example", false),
            ("/\u{ff0f}evil.example", false),
            ("/.well-known/oauth-protected-resource", true),
            ("/_v1", true),
            ("/~v1", true),
            ("https://api.notion.com/v1", true),
            ("//evil.example/v1", false),
            ("///evil.example", false),
            ("//evil.example@api.notion.com/", false),
            ("//", false),
            ("/\\evil.example", false),
            ("/\\/evil.example", false),
            ("/%2Fevil.example", false),
            ("/%2f/evil.example", false),
            ("/%5Cevil.example", false),
            ("/%5c%5cevil.example", false),
            ("/%252Fevil.example", false),
            ("/.//evil.example", false),
            ("/..//evil.example", false),
            ("/.\\/evil.example", false),
            ("/%2e//evil.example", false),
            ("/.%2e//evil.example", false),
            ("/.", false),
            ("/..", false),
            ("*", false),
            ("evil.example", false),
            ("evil.example:443", false),
            ("api.notion.com:443", false),
            ("https://evil.example/v1", false),
            ("http://api.notion.com/v1", false),
            ("https://evil.example@api.notion.com/", false),
        ] {
            assert_eq!(
                is_allowed(&destination, &request(target)),
                expected,
                "{target}"
            );
        }
    }

    #[test]
    fn methods_that_are_not_for_the_server_get_no_token() {
        let mut destination = destination(NOTION);
        destination.inner_decides = true;
        for uri in [
            "https://api.notion.com/",
            "api.notion.com:443",
            "/v1/users/me",
        ] {
            for method in [Method::CONNECT, Method::TRACE] {
                let mut request = request(uri);
                *request.method_mut() = method;
                assert!(!is_allowed(&destination, &request), "{request:?}");
            }
        }
    }

    #[test]
    fn path_that_would_continue_the_host_gets_no_token() {
        // From `http` 1.5 on, the second cannot be made.
        for path in ["*", ".evil.example/"] {
            let Ok(path) = path.parse::<PathAndQuery>() else {
                continue;
            };
            let mut parts = Parts::default();
            parts.scheme = Some(Scheme::HTTPS);
            parts.authority = "api.notion.com".parse().ok();
            parts.path_and_query = Some(path);
            let uri = Uri::from_parts(parts).expect("a URI");
            let mut request = Request::new(());
            *request.uri_mut() = uri;
            assert!(!is_allowed(&destination(NOTION), &request), "{request:?}");
        }
    }
}
