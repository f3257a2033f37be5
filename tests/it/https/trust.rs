//! Trusted certificates, and the errors about untrusted ones.

use std::{fs, path::Path};

use notion_auth::{
    AuthError, Subject,
    oauth::OAuthError,
    store::{CredentialStore as _, MemoryStore},
};

use crate::{
    support::{record_json, record_key},
    temporary::Directory,
};

use super::{
    Authority, Server, ask, assert_ok, authority::Identity, expired, provider, provider_on, revoke,
    server::H1, start, trusting, with, with_path,
};

const NAMES: &[&str] = &["127.0.0.1"];

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).expect("a file");
}

/// Returns PEM whose content is not a certificate.
fn damaged() -> String {
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()
}

/// Returns PEM that cannot be decoded.
fn broken() -> String {
    "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".to_owned()
}

#[tokio::test]
async fn root_added_in_code_is_trusted() {
    let authority = Authority::new();
    let other = Authority::new();
    let server = start(&authority, &[H1]).await;
    let forms: [Vec<u8>; 3] = [
        authority.pem().into_bytes(),
        authority.der(),
        format!("a comment\n{}{}", other.pem(), authority.pem()).into_bytes(),
    ];
    for form in forms {
        let config = with(&[]).add_root_certificate(form).expect("certificates");
        assert_ok(ask(&config, &server.url()).await);
        revoke(&config, &server.url()).await.expect("an answer");
    }
    let both = trusting(&other).add_root_certificate(authority.pem());
    assert_ok(ask(&both.expect("a certificate"), &server.url()).await);
}

#[test]
fn bad_root_in_code_is_an_immediate_error() {
    let pem = Authority::new().pem();
    let der = Authority::new().der();
    let cases = [
        Vec::new(),
        b"no certificate".to_vec(),
        pem.as_bytes()[..pem.len() / 2].to_vec(),
        der[..der.len() / 2].to_vec(),
        damaged().into_bytes(),
        broken().into_bytes(),
        format!("{pem}{}", damaged()).into_bytes(),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec(),
    ];
    for case in cases {
        let error = with(&[]).add_root_certificate(case).expect_err("refused");
        assert!(error.is_configuration());
        assert!(
            error.to_string().contains("add_root_certificate"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn ssl_cert_file_and_ssl_cert_dir_are_trusted() {
    let authority = Authority::new();
    let server = start(&authority, &[H1]).await;
    let directory = Directory::new();
    let (good, empty) = (
        directory.path().join("good"),
        directory.path().join("empty"),
    );
    for path in [&good, &empty] {
        fs::create_dir(path).expect("a directory");
    }
    let file = good.join("roots.pem");
    // An unreadable file does not affect the others.
    write(
        &file,
        format!("{}{}{}", broken(), damaged(), authority.pem()),
    );
    let list = std::env::join_paths([&empty, &directory.path().join("missing"), &good]);
    let list = list.expect("a list");
    let configs = [
        with_path("SSL_CERT_FILE", &file),
        with_path("SSL_CERT_DIR", &good),
        with_path("SSL_CERT_DIR", Path::new(&list)),
        with(&[
            ("SSL_CERT_FILE", file.to_str().expect("UTF-8")),
            ("SSL_CERT_DIR", good.to_str().expect("UTF-8")),
        ]),
        with(&[
            ("SSL_CERT_FILE", ""),
            ("SSL_CERT_DIR", good.to_str().expect("UTF-8")),
        ]),
        with(&[("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")])
            .add_root_certificate(authority.pem())
            .expect("a root certificate"),
    ];
    for config in configs {
        assert_ok(ask(&config, &server.url()).await);
        revoke(&config, &server.url()).await.expect("an answer");
        let health = provider(&config, &server.url()).health().await;
        health.expect("it is healthy");
    }
}

#[tokio::test]
async fn variable_without_a_root_is_an_error_that_names_it() {
    let authority = Authority::new();
    let server = start(&authority, &[H1]).await;
    let directory = Directory::new();
    let path = |name: &str| directory.path().join(name);
    write(&path("empty.pem"), "");
    write(&path("text.pem"), "no certificate");
    write(&path("damaged.pem"), damaged());
    write(&path("broken.pem"), broken());
    write(&path("der.pem"), authority.der());
    for name in ["nothing", "useless"] {
        fs::create_dir(path(name)).expect("a directory");
    }
    write(&path("useless/readme"), "no certificate");
    write(&path("good.pem"), authority.pem());
    let good = path("good.pem");
    let good = good.to_str().expect("UTF-8");

    let cases = [
        ("SSL_CERT_FILE", "missing.pem"),
        ("SSL_CERT_FILE", "empty.pem"),
        ("SSL_CERT_FILE", "text.pem"),
        ("SSL_CERT_FILE", "damaged.pem"),
        ("SSL_CERT_FILE", "broken.pem"),
        ("SSL_CERT_FILE", "der.pem"),
        ("SSL_CERT_FILE", "nothing"),
        ("SSL_CERT_DIR", "missing"),
        ("SSL_CERT_DIR", "nothing"),
        ("SSL_CERT_DIR", "useless"),
        ("SSL_CERT_DIR", "good.pem"),
    ];
    for (variable, name) in cases {
        let path = path(name);
        let path = path.to_str().expect("UTF-8");
        let other = match variable {
            "SSL_CERT_DIR" => ("SSL_CERT_FILE", good),
            _ => ("SSL_CERT_DIR", ""),
        };
        // Neither the other variable nor a root added in code replaces it.
        let config = with(&[(variable, path), other]).add_root_certificate(authority.pem());
        let config = config.expect("a root certificate");
        let names = |text: &str| text.contains(variable) && text.contains(path);

        let error = ask(&config, &server.url()).await.expect_err("refused");
        assert!(names(&error.to_string()), "{error}");
        assert!(error.is_not_sent());

        let error = revoke(&config, &server.url()).await.expect_err("refused");
        assert!(names(&error.to_string()), "{error}");
        assert!(error.is_not_sent());

        let health = provider(&config, &server.url()).health().await;
        let error = health.expect_err("unhealthy");
        assert!(error.is_configuration(), "{error}");
        let cause = std::error::Error::source(&error).expect("a cause");
        assert!(names(&cause.to_string()), "{cause}");
    }
    assert!(server.seen().is_empty());
}

/// A blank variable counts as unset, so the platform's certificates are read.
#[tokio::test]
async fn blank_variable_counts_as_unset() {
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let authority = Authority::new();
        let server = start(&authority, &[H1]).await;
        let config = with(&[(name, " \t")]).add_root_certificate(authority.pem());
        assert_ok(ask(&config.expect("a root certificate"), &server.url()).await);
    }
}

/// Opening a pipe for reading would wait for a writer forever.
#[cfg(unix)]
#[tokio::test]
async fn pipe_or_device_as_root_file_is_an_immediate_error() {
    let directory = Directory::new();
    let pipe = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let url = "https://127.0.0.1:9";
    for path in [&*pipe, Path::new("/dev/zero")] {
        let config = with_path("SSL_CERT_FILE", path);
        let expected = format!("{}: it is not a regular file", path.display());
        let api = ask(&config, url).await.expect_err("refused");
        let oauth = revoke(&config, url).await.expect_err("refused");
        assert!(api.is_not_sent() && oauth.is_not_sent());
        let health = provider(&config, url).health().await;
        let health = health.expect_err("unhealthy");
        assert!(health.is_configuration());
        for text in [api.to_string(), oauth.to_string(), chain(&health)] {
            assert!(text.contains("SSL_CERT_FILE"), "{text}");
            assert!(text.contains(&expected), "{text}");
        }
    }
    // A pipe in a directory is skipped.
    let config = with_path("SSL_CERT_DIR", directory.path());
    let error = ask(&config, url).await.expect_err("refused");
    assert!(error.to_string().contains("SSL_CERT_DIR"), "{error}");
}

#[tokio::test]
async fn corrected_root_file_is_read_at_the_next_request() {
    let authority = Authority::new();
    let server = start(&authority, &[H1]).await;
    let directory = Directory::new();
    let path = directory.path().join("roots.pem");
    let client = with_path("SSL_CERT_FILE", &path).client();
    let ask = || tower::ServiceExt::oneshot(client.clone(), crate::support::get(&server.url()));
    ask().await.expect_err("no file yet");
    write(&path, authority.pem());
    assert_ok(ask().await);
}

#[tokio::test]
async fn plain_http_needs_no_roots_and_no_proxy() {
    let notion = notion_auth::testing::MockNotion::start()
        .await
        .expect("a socket");
    let config = with(&[
        ("SSL_CERT_FILE", "/missing"),
        ("HTTPS_PROXY", "not a proxy"),
    ]);
    let uri = format!("{}/v1/users/me", notion.base_url());
    assert_eq!(ask(&config, &uri).await.expect("a response").status(), 401);
    let health = provider(&config, &notion.base_url()).health().await;
    health.expect("it is healthy");
    // No proxy is needed for plain http, whatever its destination.
    let elsewhere = "http://notion.test".parse().expect("a URI");
    config.check(&elsewhere).expect("nothing is needed");
}

/// Returns servers that must not be trusted, and words of the error about each.
async fn untrusted(authority: &Authority) -> Vec<(Server, &'static [&'static str])> {
    let stranger = Authority::new();
    let signed = |from, to| authority.issue_between(NAMES, from, to);
    let cases: [(Identity, &[&str]); 6] = [
        (
            stranger.issue(NAMES),
            &[
                "SSL_CERT_FILE",
                "add_root_certificate",
                "none of the root certificates",
            ],
        ),
        (Identity::self_signed(NAMES, false), &["SSL_CERT_FILE"]),
        (
            Identity::self_signed(NAMES, true),
            &["SSL_CERT_FILE", "authority's certificate"],
        ),
        (signed(2001, 2002), &["has expired", "clock"]),
        (signed(2200, 2201), &["not valid yet", "clock"]),
        (authority.issue(&["example.com"]), &["another name"]),
    ];
    let mut servers = Vec::new();
    for (identity, words) in cases {
        servers.push((Server::start(identity, &[H1]).await, words));
    }
    servers
}

#[tokio::test]
async fn untrusted_certificate_is_named_with_what_to_do() {
    let authority = Authority::new();
    let config = trusting(&authority);
    for (server, words) in untrusted(&authority).await {
        let api = ask(&config, &server.url()).await.expect_err("refused");
        assert!(api.is_not_sent());
        let oauth = revoke(&config, &server.url()).await.expect_err("refused");
        assert!(oauth.is_not_sent());
        for text in [api.to_string(), oauth.to_string()] {
            assert!(text.contains("certificate of 127.0.0.1"), "{text}");
            assert!(!text.contains("not reached"), "{text}");
            for word in words {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn refresh_at_an_untrusted_server_names_the_certificate_and_spends_nothing() {
    let authority = Authority::new();
    let server = Server::start(Authority::new().issue(NAMES), &[H1]).await;
    let store = MemoryStore::new();
    let provider = provider_on(store.clone(), &trusting(&authority), &server.url());
    let ann = Subject::new("ann");
    let stored = provider.store_credentials(&ann, expired()).await;
    stored.expect("they are stored");
    let content = async || {
        let loaded = store.load(&record_key("ann")).await.expect("no failure");
        let record = record_json(&loaded.record.expect("a record"));
        [
            "lineage",
            "generation",
            "state",
            "payload",
            "committed_by",
            "back_off_until",
            "lease",
        ]
        .map(|name| record[name].clone())
    };
    let before = content().await;
    let error = provider.refresh(&ann).await.expect_err("no connection");
    assert!(error.is_transient());
    assert!(error.to_string().contains("certificate"), "{error}");
    let text = chain(&error);
    assert!(text.contains("certificate of 127.0.0.1"), "{text}");
    assert!(text.contains("SSL_CERT_FILE"), "{text}");

    let oauth = std::error::Error::source(&error).and_then(|it| it.downcast_ref::<OAuthError>());
    assert!(oauth.is_some_and(OAuthError::is_not_sent), "{error:?}");
    assert!(server.seen().is_empty());
    assert_eq!(content().await, before);
}

fn chain(error: &AuthError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
