//! Connections over TLS with certificates of a private authority, and connections without TLS to a host
//! that does not count as this machine.

use std::path::Path;

use notion_auth::{
    PostgresStore, RedisStore,
    integrations::redis::{Client, TlsCertificates},
    integrations::sqlx::{self, Row as _},
    store::{
        CredentialStore, StoreError,
        StoreErrorKind::{self, Misconfigured},
    },
};

use crate::{
    own_process,
    servers::{authority::Authority, postgres, redis},
    temporary::Directory,
};

/// The variables that affect a store's TLS connection.
const NO_VARIABLES: [(&str, Option<&str>); 6] = [
    ("SSL_CERT_FILE", None),
    ("SSL_CERT_DIR", None),
    ("PGSSLMODE", None),
    ("PGSSLROOTCERT", None),
    ("PGSSLCERT", None),
    ("PGSSLKEY", None),
];

/// The loopback address in a form that only the C library understands. For the store it is a name.
const OTHER_HOST: &str = "127.1";

#[track_caller]
fn assert_says(error: &StoreError, kind: StoreErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for words in words {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test]
async fn postgres_is_trusted_by_the_authority_that_the_url_names() {
    if !own_process::is_alone(
        "stores::tls::postgres_is_trusted_by_the_authority_that_the_url_names",
        &NO_VARIABLES,
    ) {
        return;
    }
    let (ours, another) = (Authority::new(), Authority::new());
    let Some(server) = postgres::start_with_tls(&ours.issue("localhost")) else {
        return;
    };
    let directory = Directory::new();
    let ours = directory.file("a.pem", &ours.pem());
    let another = directory.file("b.pem", &another.pem());
    let url = |host: &str, query: &str| {
        let root = |file: &Path| format!("sslrootcert={}", file.display());
        let query = query.replace("ours", &root(&ours));
        let query = query.replace("another", &root(&another));
        format!(
            "postgres://postgres@{}/postgres?{query}",
            server.address(host)
        )
    };
    for (host, query) in [
        ("localhost", "sslmode=verify-full&ours"),
        ("localhost", "ours"),
        ("127.0.0.1", "sslmode=verify-ca&ours"),
        ("127.0.0.1", "sslmode=require&ours"),
        ("127.0.0.1", "sslmode=require"),
    ] {
        let store = PostgresStore::connect(&url(host, query))
            .await
            .expect(query);
        let asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let answered = sqlx::query(asked).fetch_one(store.pool()).await;
        assert!(answered.unwrap().get::<bool, _>(0), "{host} {query}");
    }
    // The first line break is missing. The cause that is not shown has the line, as numbers.
    let key = directory.file("key.pem", "-----BEGIN PRIVATE KEY-----canary\n");
    let query = format!(
        "sslmode=require&sslcert={}&sslkey={}",
        ours.display(),
        key.display()
    );
    let error = PostgresStore::connect(&url("localhost", &query))
        .await
        .unwrap_err();
    assert_says(
        &error,
        Misconfigured,
        &["check the files of `sslcert` and `sslkey`"],
    );
    let numbers = format!("{:?}", b"canary");
    assert!(
        !format!("{error:?}").contains(numbers.trim_matches(['[', ']'])),
        "{error:?}"
    );

    let unknown = ["its authority is unknown", "SSL_CERT_FILE", "`sslrootcert`"];
    for (host, query, words) in [
        ("localhost", "sslmode=verify-full", &unknown[..]),
        ("localhost", "sslrootcert=system", &unknown),
        ("localhost", "sslmode=verify-full&another", &unknown),
        ("localhost", "sslmode=require&another", &unknown),
        (
            "127.0.0.1",
            "sslmode=verify-full&ours",
            &["is for another host"],
        ),
    ] {
        let error = PostgresStore::connect(&url(host, query)).await.unwrap_err();
        assert_says(&error, Misconfigured, words);
    }
}

#[tokio::test]
async fn postgres_remote_plaintext_needs_sslmode_disable() {
    if !own_process::is_alone(
        "stores::tls::postgres_remote_plaintext_needs_sslmode_disable",
        &NO_VARIABLES,
    ) {
        return;
    }
    let Some(server) = postgres::shared() else {
        return;
    };
    let url = format!(
        "postgres://postgres@{}/postgres",
        server.address(OTHER_HOST)
    );
    for query in ["", "?sslmode=verify-full", "?sslmode=require"] {
        let error = PostgresStore::connect(&format!("{url}{query}"))
            .await
            .unwrap_err();
        let words = ["does not offer TLS", "`ssl = on`", "`sslmode=disable`"];
        assert_says(&error, Misconfigured, &words);
    }
    let store = PostgresStore::connect(&format!("{url}?sslmode=disable")).await;
    store.unwrap().migrate().await.unwrap();
}

#[tokio::test]
async fn redis_private_authority_is_refused_unless_trusted() {
    if !own_process::is_alone(
        "stores::tls::redis_private_authority_is_refused_unless_trusted",
        &NO_VARIABLES,
    ) {
        return;
    }
    let authority = Authority::new();
    let Some(server) = redis::start_with_tls(&authority.issue("localhost")) else {
        return;
    };
    let error = RedisStore::connect(server.tls_url("localhost"))
        .await
        .unwrap_err();
    assert_says(
        &error,
        Misconfigured,
        &["its authority is unknown", "SSL_CERT_FILE"],
    );

    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(authority.pem().into_bytes()),
    };
    let client = Client::build_with_tls(server.tls_url("localhost"), certificates).unwrap();
    RedisStore::new(client).health().await.unwrap();
}

#[tokio::test]
async fn redis_remote_plaintext_needs_sslmode_disable() {
    let Some(server) = redis::start() else { return };
    let url = format!("redis://{}/", server.address(OTHER_HOST));
    let error = RedisStore::connect(&url).await.unwrap_err();
    assert_says(
        &error,
        Misconfigured,
        &["is plain text", "rediss://", "`?sslmode=disable`"],
    );
    let store = RedisStore::connect(format!("{url}?sslmode=disable")).await;
    store.unwrap().health().await.unwrap();
}

#[tokio::test]
async fn unreadable_ssl_cert_file_is_named_in_the_error() {
    const NAME: &str = "stores::tls::unreadable_ssl_cert_file_is_named_in_the_error";
    const FILE: &str = "/none/of/these";
    let mut variables = NO_VARIABLES;
    variables[0].1 = Some(FILE);
    if !own_process::is_alone(NAME, &variables) {
        return;
    }
    for error in [
        PostgresStore::connect("postgres://db/app")
            .await
            .unwrap_err(),
        RedisStore::connect("rediss://db").await.unwrap_err(),
    ] {
        assert_says(&error, Misconfigured, &["SSL_CERT_FILE: ", FILE]);
    }
}
