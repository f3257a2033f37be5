//! How browsers reach the gateway: `GATEWAY_PUBLIC_URL` and `NOTION_REDIRECT_URI`.

use notion_auth::BoxError;
use url::{Host, Url};

use crate::{
    listen::Listen,
    settings::{named, text},
};

/// How browsers reach the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Without a slash at the end of its path.
    url: Url,
    /// The path of the redirect URI.
    callback: String,
}

impl Site {
    pub(crate) fn from_env(listen: &Listen) -> Result<Self, BoxError> {
        let url = text("GATEWAY_PUBLIC_URL")?.unwrap_or_else(|| listen.url());
        Self::new(&url, text("NOTION_REDIRECT_URI")?.as_deref())
    }

    pub(crate) fn new(url: &str, redirect_uri: Option<&str>) -> Result<Self, BoxError> {
        let mut url = public_url(url).map_err(named("GATEWAY_PUBLIC_URL"))?;
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&prefix);
        let mut site = Self {
            callback: format!("{prefix}/connect/callback"),
            url,
        };
        if let Some(uri) = redirect_uri {
            site.callback = site
                .callback_of(uri)
                .map_err(named("NOTION_REDIRECT_URI"))?;
        }
        Ok(site)
    }

    /// The path of a redirect URI that the operator chose.
    fn callback_of(&self, uri: &str) -> Result<String, BoxError> {
        let uri = whole_url(uri)?;
        if uri.origin() != self.url.origin() {
            return Err(format!(
                "it must be under {}, the origin of GATEWAY_PUBLIC_URL, because browsers return there: change one of \
                 the two",
                self.origin()
            )
            .into());
        }
        if uri.query().is_some() || uri.fragment().is_some() {
            return Err("it must have no query and no fragment".into());
        }
        let inner = self.inner_path(uri.path());
        let is_own = ["/v1/", "/healthz", "/readyz", "/metrics"]
            .iter()
            .any(|it| inner.starts_with(it));
        let of_connect = inner.strip_prefix("/connect");
        let is_taken = of_connect.is_some_and(|rest| {
            [
                "",
                "/",
                "/sign-in",
                "/sign-out",
                "/replace",
                "/link",
                "/links",
                "/authorize",
                "/status",
                "/disconnect",
            ]
            .contains(&rest)
        });
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~/".contains(&it);
        if is_own
            || is_taken
            || inner == "/"
            || uri.path().trim_end_matches('/') == self.prefix()
            || !inner.bytes().all(is_plain)
            || inner.contains("//")
        {
            return Err(
                "its path must be a plain one that the gateway doesn't use otherwise".into(),
            );
        }
        Ok(uri.path().to_owned())
    }

    pub(crate) fn redirect_uri(&self) -> Result<String, BoxError> {
        Ok(self.url.join(&self.callback)?.to_string())
    }

    /// The path of the redirect URI, as browsers see it.
    pub(crate) fn callback(&self) -> &str {
        &self.callback
    }

    /// The path before the gateway's own paths, such as `/notion`; empty if the gateway is at the root.
    pub(crate) fn prefix(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// A path of the gateway as browsers see it.
    pub(crate) fn path(&self, inner: &str) -> String {
        format!("{}{inner}", self.prefix())
    }

    /// A path without the prefix, as the gateway's routes have it.
    pub(crate) fn inner_path<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.prefix())
            .filter(|inner| inner.starts_with('/'))
            .unwrap_or(path)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(crate) fn is_origin(&self, text: &str) -> bool {
        Url::parse(text).is_ok_and(|origin| origin.origin() == self.url.origin())
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address of a page, for people.
    pub(crate) fn address(&self, inner: &str) -> String {
        format!("{}{}", self.origin(), self.path(inner))
    }
}

fn public_url(text: &str) -> Result<Url, BoxError> {
    let url = whole_url(text)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(
                "by http, only a browser on this machine can sign in. For others, put a server that has TLS in \
                 front and write its https:// URL; or leave this out, and open /connect on this machine (`ssh -L \
                 8080:127.0.0.1:8080` does that from another one). Calls of /v1 need no public URL"
                    .into(),
            );
        }
        _ => return Err("it must begin with https://, or http:// on this machine".into()),
    }
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~/".contains(&it);
    let is_plain = url.path().bytes().all(is_plain) && !url.path().contains("//");
    if let Some(own) = ["/v1", "/connect", "/connect/callback"]
        .iter()
        .find(|own| url.path().trim_end_matches('/').ends_with(*own))
    {
        return Err(format!("the gateway adds {own} by itself: leave it out").into());
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err("it must be the URL of one host".into());
    }
    if !is_plain || has_more_than_a_path(&url) {
        return Err(
            "it must be scheme, host, port, and a plain path if a server in front has one".into(),
        );
    }
    Ok(url)
}

pub(crate) fn whole_url(text: &str) -> Result<Url, BoxError> {
    Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => {
            "it is not a whole URL: write it from https:// on".into()
        }
        error => format!("it is not a URL: {error}").into(),
    })
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

pub(crate) fn has_more_than_a_path(url: &Url) -> bool {
    url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_may_have_a_path_and_the_redirect_uri_another_one() {
        for (url, redirect_uri, connect, callback) in [
            ("https://a.example", None, "/connect", "/connect/callback"),
            ("https://a.example/", None, "/connect", "/connect/callback"),
            (
                "https://a.example/n/",
                None,
                "/n/connect",
                "/n/connect/callback",
            ),
            (
                "https://a.example/n",
                Some("https://a.example/cb"),
                "/n/connect",
                "/cb",
            ),
            (
                "http://127.0.0.1:8080",
                Some("http://127.0.0.1:8080/n/cb"),
                "/connect",
                "/n/cb",
            ),
        ] {
            let site = Site::new(url, redirect_uri).expect(url);
            assert_eq!(site.path("/connect"), connect, "{url}");
            assert_eq!(site.callback(), callback, "{url}");
            assert!(site.redirect_uri().expect("a URL").ends_with(callback));
        }
        for (url, redirect_uri, words) in [
            (
                "http://192.168.1.5:8080",
                None,
                "GATEWAY_PUBLIC_URL: by http, only a browser on this",
            ),
            ("ftp://a.example", None, "must begin with https://"),
            ("https://a.example/?a=b", None, "a plain path"),
            ("https://u:p@a.example/", None, "a plain path"),
            ("https://a.example//n", None, "a plain path"),
            ("a.example", None, "from https:// on"),
            (
                "https://a.example/n/connect/",
                None,
                "adds /connect by itself",
            ),
            ("https://a.example/v1", None, "adds /v1 by itself"),
            ("https://*.a.example", None, "one host"),
            (
                "https://a.example",
                Some("/cb"),
                "NOTION_REDIRECT_URI: it is not a whole URL",
            ),
            (
                "https://a.example/n",
                Some("https://a.example/n"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example",
                Some("https://b.example/cb"),
                "under https://a.example",
            ),
            (
                "https://a.example",
                Some("https://a.example/v1/cb"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example/n",
                Some("https://a.example/n/metrics"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example",
                Some("https://a.example/connect/status"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example",
                Some("https://a.example/"),
                "doesn't use otherwise",
            ),
            (
                "https://a.example",
                Some("https://a.example/cb?x=1"),
                "no query",
            ),
        ] {
            let error = Site::new(url, redirect_uri).expect_err(url).to_string();
            assert!(error.contains(words), "{url} {redirect_uri:?}: {error}");
        }
    }
}
