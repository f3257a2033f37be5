//! `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use std::error::Error as _;

use super::{
    Authority, NOTION, Server, ask, assert_ok,
    authority::Identity,
    expired, provider,
    proxy::{Kind, Proxy},
    revoke,
    server::{H1, H2, acceptor},
    start, with,
};
use crate::secrets::Readable;

/// `ann` and `p@ss:hunter2`.
const USER: &str = "ann:p%40ss%3Ahunter2@";
const BASIC: &str = "Basic YW5uOnBAc3M6aHVudGVyMg==";

/// A server behind a proxy.
struct World {
    authority: Authority,
    server: Server,
    proxy: Proxy,
}

impl World {
    async fn new(kind: Kind) -> Self {
        Self::signed_by(Authority::new(), kind).await
    }

    async fn signed_by(authority: Authority, kind: Kind) -> Self {
        Self {
            server: start(&authority, &[H2, H1]).await,
            proxy: Proxy::start(kind).await,
            authority,
        }
    }

    /// Returns the proxy's URL with user and password.
    fn to_proxy(&self, scheme: &str) -> String {
        format!("{scheme}://{USER}127.0.0.1:{}", self.proxy.port)
    }

    fn with(&self, vars: &[(&str, &str)]) -> notion_auth::HttpsConfig {
        let config = with(vars).add_root_certificate(self.authority.pem());
        config.expect("a root certificate")
    }

    fn url(&self) -> String {
        self.server.url_as(NOTION)
    }

    fn connect_line(&self) -> String {
        format!(
            "CONNECT {NOTION}:{} HTTP/1.1\r\n",
            self.server.address.port()
        )
    }
}

#[tokio::test]
async fn calls_go_through_the_first_variable_that_is_set() {
    let cases: [&[&str]; 7] = [
        &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        &["https_proxy", "ALL_PROXY", "all_proxy"],
        &["ALL_PROXY", "all_proxy"],
        &["all_proxy"],
        &["HTTPS_PROXY"],
        &["https_proxy"],
        &["ALL_PROXY"],
    ];
    for names in cases {
        let world = World::new(Kind::Connect).await;
        let proxy = world.to_proxy("http");
        // Later variables would make the connection fail, and so would an empty one if it counted.
        let mut vars = vec![("NO_PROXY", " \t"), ("no_proxy", "example.com")];
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let is_first = name == names[0];
            let is_set = names.contains(&name);
            let value = match (is_first, is_set) {
                (true, _) => &*proxy,
                (_, true) => "ftp://elsewhere.test",
                _ => " ",
            };
            vars.push((name, value));
        }
        let config = world.with(&vars);
        assert_ok(ask(&config, &world.url()).await);
        revoke(&config, &world.url()).await.expect("an answer");
        let seen = world.proxy.seen();
        assert_eq!(seen.len(), 2, "{seen:?}");
        for seen in seen {
            assert!(seen.starts_with(&world.connect_line()), "{seen}");
        }
    }
}

#[tokio::test]
async fn proxy_credentials_are_sent_only_to_the_proxy() {
    let world = World::new(Kind::Connect).await;
    let config = world.with(&[("HTTPS_PROXY", &world.to_proxy("http"))]);
    assert_ok(ask(&config, &world.url()).await);
    revoke(&config, &world.url()).await.expect("an answer");
    for seen in world.proxy.seen() {
        let basic = seen.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("proxy-authorization")
                .then_some(value)
        });
        assert_eq!(basic, Some(BASIC));
        for secret in ["ntn_", "Bearer", "/v1/", "Authorization: Basic aWQ"] {
            assert!(!seen.contains(secret), "{seen}");
        }
    }
    let seen = world.server.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert!(!seen.headers.contains_key("proxy-authorization"));
    }
}

#[tokio::test]
async fn proxy_with_tls_is_trusted_like_a_server() {
    let authority = Authority::new();
    let acceptor_of = |identity| Kind::ConnectOverTls(acceptor(identity, &[H1]));
    let kind = acceptor_of(authority.issue(&["127.0.0.1"]));
    let world = World::signed_by(authority, kind).await;
    let config = world.with(&[("HTTPS_PROXY", &world.to_proxy("https"))]);
    assert_ok(ask(&config, &world.url()).await);
    revoke(&config, &world.url()).await.expect("an answer");
    assert_eq!(world.server.seen()[0].version, http::Version::HTTP_2);
    assert!(world.proxy.seen()[0].contains(BASIC));

    let kind = acceptor_of(Identity::self_signed(&["127.0.0.1"], false));
    let world = World::new(kind).await;
    let config = world.with(&[("HTTPS_PROXY", &world.to_proxy("https"))]);
    let error = ask(&config, &world.url()).await.expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("certificate of 127.0.0.1"), "{text}");
    let refresh = provider(&config, &world.url());
    let ann = "ann".into();
    let stored = refresh.store_credentials(&ann, expired()).await;
    stored.expect("they are stored");
    let error = refresh.refresh(&ann).await.expect_err("refused");
    let text = error.to_string();
    let expected = "a certificate on the way to the OAuth endpoint is not trusted";
    assert!(text.contains(expected), "{text}");
    assert!(world.proxy.seen().is_empty());
}

#[tokio::test]
async fn socks_proxy_resolves_names_and_gets_its_own_credentials() {
    for scheme in ["socks5", "socks5h", "socks", "SOCKS5"] {
        for auth in [Some(("ann", "p@ss:hunter2")), None] {
            let world = World::new(Kind::Socks5(auth)).await;
            let proxy = world.to_proxy(scheme);
            let proxy = match auth {
                Some(_) => proxy,
                None => proxy.replace(USER, ""),
            };
            // In the form that some desktop environments write.
            let config = world.with(&[("ALL_PROXY", &format!("{proxy}/"))]);
            assert_ok(ask(&config, &world.url()).await);
            revoke(&config, &world.url()).await.expect("an answer");
            let line = format!("SOCKS {NOTION}:{}", world.server.address.port());
            assert_eq!(world.proxy.seen(), [&*line, &*line], "{scheme}");
        }
    }
}

#[tokio::test]
async fn no_proxy_matches_names_networks_and_everything() {
    const NAME: &str = "https://api.notion.test";
    const DOTTED: &str = "https://api.notion.test.";
    const ADDRESS: &str = "https://198.51.100.7";
    const V6: &str = "https://[2001:db8::7]:8443";

    let excepted = [
        (NAME, "api.notion.test"),
        (NAME, "API.Notion.test"),
        (NAME, "notion.test"),
        (NAME, ".notion.test"),
        (NAME, "*.notion.test"),
        (NAME, "example.com,notion.test"),
        (NAME, " example.com, notion.test "),
        (NAME, "example.com notion.test"),
        (NAME, "*"),
        (NAME, "example.com,*"),
        (ADDRESS, "198.51.100.7"),
        (ADDRESS, "10.0.0.0/8,198.51.100.0/24"),
        (V6, "2001:db8::/32"),
        (V6, "2001:db8::7"),
        (NAME, "api.notion.test:443"),
        (NAME, ".notion.test:443"),
        (NAME, "*.notion.test:443"),
        (NAME, "*:443"),
        (NAME, "notion.test."),
        (NAME, "notion.test.:443"),
        (DOTTED, "notion.test"),
        (DOTTED, ".notion.test."),
        (DOTTED, "api.notion.test:443"),
        (ADDRESS, "198.51.100.7:443"),
        (ADDRESS, "198.51.100.0/24:443"),
        (V6, "[2001:db8::7]"),
        (V6, "[2001:db8::7]:8443"),
        (V6, "[2001:db8::/32]:8443"),
        // This machine is never proxied, whatever is listed.
        ("https://0.0.0.0:8443", ""),
        ("https://[::]", ""),
        ("https://localhost.", ""),
    ];
    let proxied = [
        (NAME, ""),
        (NAME, ",, ,"),
        (NAME, "example.com"),
        (NAME, "otion.test"),
        (NAME, "www.api.notion.test"),
        (ADDRESS, "198.51.100.8"),
        (ADDRESS, "198.51.101.0/24"),
        (V6, "2001:db9::/32"),
        (NAME, "api.notion.test:8443"),
        (NAME, "*:8443"),
        (NAME, "api.notion.test:https"),
        (NAME, ":443"),
        (NAME, "."),
        (NAME, "*."),
        (DOTTED, "otion.test"),
        (ADDRESS, "198.51.100.7:80"),
        (V6, "[2001:db8::7]:443"),
        (V6, "[2001:db8::8]"),
        (V6, "[2001:db8::7"),
    ];
    // An unusable proxy is reported only if the destination needs it, without a connection.
    let needs_proxy = async |name: &str, list: &str, destination: &str| {
        let config = with(&[("HTTPS_PROXY", "ftp://proxy.test"), (name, list)]);
        let health = provider(&config, destination).health().await;
        health.is_err_and(|error| error.is_configuration())
    };
    for name in ["NO_PROXY", "no_proxy"] {
        for (destination, list) in excepted {
            let needs_proxy = needs_proxy(name, list, destination).await;
            assert!(!needs_proxy, "{name}={list}: {destination}");
        }
        for (destination, list) in proxied {
            let needs_proxy = needs_proxy(name, list, destination).await;
            assert!(needs_proxy, "{name}={list}: {destination}");
        }
    }
}

#[tokio::test]
async fn this_machine_is_never_reached_through_a_proxy() {
    for value in [
        "http://127.0.0.1:9",
        "socks://127.0.0.1:9/",
        "not a proxy",
        "ftp://any",
    ] {
        let authority = Authority::new();
        let server = start(&authority, &[H1]).await;
        let config = with(&[("HTTPS_PROXY", value), ("ALL_PROXY", value)]);
        let config = config
            .add_root_certificate(authority.pem())
            .expect("a root");
        for url in [server.url(), server.url_as("localhost")] {
            assert_ok(ask(&config, &url).await);
            revoke(&config, &url).await.expect("an answer");
            let health = provider(&config, &url).health().await;
            health.expect("it is healthy");
        }
    }
}

/// Values that are not proxy URLs, all with a password.
const UNUSABLE: [&str; 14] = [
    "ftp://ann:hunter2@proxy.test",
    "socks4://ann:hunter2@proxy.test:1080",
    "socks4a://ann:hunter2@proxy.test:1080",
    "quic://ann:hunter2@proxy.test",
    "http://",
    "http://ann:hunter2@",
    "http://ann:hunter2@proxy.test:99999",
    "http://ann:hunter2@proxy.test:port",
    "http://ann:1234/hunter2@proxy.test:1",
    "http://ann:1234?hunter2@proxy.test:1",
    "http://ann:1234#hunter2@proxy.test:1",
    "http://proxy.test:1/hunter2",
    "http://proxy test hunter2:1",
    "://ann:hunter2@proxy.test",
];

#[tokio::test]
async fn invalid_proxy_url_is_an_error_that_names_the_variable() {
    let authority = Authority::new();
    let server = start(&authority, &[H1]).await;
    for value in UNUSABLE {
        for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let config = with(&[(variable, value)]).add_root_certificate(authority.pem());
            let config = config.expect("a root certificate");
            let url = server.url_as(NOTION);
            let api = ask(&config, &url).await.expect_err("refused");
            let oauth = revoke(&config, &url).await.expect_err("refused");
            let health = provider(&config, &url).health().await;
            let health = health.expect_err("unhealthy");
            assert!(api.is_not_sent() && oauth.is_not_sent() && health.is_configuration());
            let cause = health.source().expect("a cause");
            for text in [api.to_string(), oauth.to_string(), cause.to_string()] {
                assert!(text.contains(variable), "{value}: {text}");
                assert!(!text.contains("hunter2"), "{value}: {text}");
                assert!(!text.contains("1234"), "{value}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn password_with_an_at_sign_is_taken_whole() {
    let world = World::new(Kind::Connect).await;
    let proxy = world
        .to_proxy("http")
        .replace("%40", "@")
        .replace("%3A", ":");
    let config = world.with(&[("HTTPS_PROXY", &proxy)]);
    assert_ok(ask(&config, &world.url()).await);
    assert!(
        world.proxy.seen()[0].contains(BASIC),
        "{:?}",
        world.proxy.seen()
    );
}

#[tokio::test]
async fn proxy_without_a_scheme_uses_http() {
    let world = World::new(Kind::Connect).await;
    let proxy = format!(" {USER}127.0.0.1:{} ", world.proxy.port);
    let config = world.with(&[("HTTPS_PROXY", &proxy)]);
    assert_ok(ask(&config, &world.url()).await);
    assert!(world.proxy.seen()[0].contains(BASIC));
}

#[cfg(unix)]
#[tokio::test]
async fn proxy_that_is_not_utf_8_is_an_error_that_names_the_variable() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    let config = notion_auth::HttpsConfig::from_vars(|name| {
        (name == "HTTPS_PROXY").then(|| OsString::from_vec(vec![b'h', 0xff]))
    });
    let error = ask(&config, "https://notion.test")
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
}

#[tokio::test]
async fn proxy_that_refuses_is_named_without_its_password() {
    for (status, word) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required",
            "authorization",
        ),
        ("HTTP/1.1 502 Bad Gateway", "tunnel"),
    ] {
        let world = World::new(Kind::Refusing(status)).await;
        let config = world.with(&[("HTTPS_PROXY", &world.to_proxy("http"))]);
        let api = ask(&config, &world.url()).await.expect_err("refused");
        let oauth = revoke(&config, &world.url()).await.expect_err("refused");
        assert!(api.is_not_sent() && oauth.is_not_sent());
        let place = format!("http://127.0.0.1:{} (HTTPS_PROXY)", world.proxy.port);
        for text in [
            api.to_string(),
            oauth.to_string(),
            format!("{api:?} {oauth:?}"),
        ] {
            assert!(text.contains(&place), "{text}");
            assert!(text.contains(word), "{text}");
            assert!(
                !text.contains("hunter2") && !text.contains(&BASIC[6..]),
                "{text}"
            );
        }
        assert!(world.server.seen().is_empty());
    }
}

#[tokio::test]
async fn proxy_password_is_in_no_log() {
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    for (kind, scheme) in [
        (Kind::Connect, "http"),
        (Kind::Socks5(Some(("ann", "p@ss:hunter2"))), "socks5"),
        (Kind::Refusing("HTTP/1.1 502 Bad Gateway"), "http"),
        (Kind::Refusing("HTTP/1.1 502 Bad Gateway"), "socks4"),
    ] {
        let world = World::new(kind).await;
        let config = world.with(&[("HTTPS_PROXY", &world.to_proxy(scheme))]);
        readable.debug(&config);
        readable.debug(&config.client::<crate::support::Body>());
        readable.debug(&ask(&config, &world.url()).await);
        readable.debug(&revoke(&config, &world.url()).await);
    }
    readable.assert_free_of(&[
        ("the password", "hunter2"),
        ("user and password in Base64", &BASIC["Basic ".len()..]),
    ]);
}
