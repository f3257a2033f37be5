//! Databases by TLS, with an authority that `SSL_CERT_FILE` names.

use std::fs;

use tempfile::NamedTempFile;

use super::{
    program::{ANN, Gateway, KEYS},
    settings::complaint,
};
use crate::servers::{self, authority::Authority};

fn file_of(authority: &Authority) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    fs::write(&file, authority.pem()).expect("it is ours");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_trusted_by_ssl_cert_file() {
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    let (Some(postgres), Some(redis)) = (
        servers::postgres::start_with_tls(&issued),
        servers::redis::start_with_tls(&issued),
    ) else {
        return;
    };
    let (ours, another) = (file_of(&authority), file_of(&Authority::new()));
    let trusting = |file: &NamedTempFile| file.path().to_str().expect("UTF-8").to_owned();
    let postgres = |host: &str| {
        let address = postgres.address(host);
        format!("postgres://postgres@{address}/postgres?sslmode=verify-full")
    };
    for url in [postgres("localhost"), redis.tls_url("localhost")] {
        let settings = [
            ("DATABASE_URL", &*url),
            ("SSL_CERT_FILE", &trusting(&ours)),
            KEYS,
        ];
        let gateway = Gateway::start_with(&settings).await;
        gateway.connect(ANN).await;
        gateway.bot(ANN).await;
    }
    for (url, file, words) in [
        (
            postgres("localhost"),
            trusting(&another),
            "set SSL_CERT_FILE",
        ),
        (
            redis.tls_url("localhost"),
            trusting(&another),
            "set SSL_CERT_FILE",
        ),
        (
            postgres("127.0.0.1"),
            trusting(&ours),
            "is for another host",
        ),
        (
            redis.tls_url("127.0.0.1"),
            trusting(&ours),
            "is for another host",
        ),
    ] {
        let said = refusal(&url, &[("SSL_CERT_FILE", &file)]);
        assert!(said.contains(words), "{url} {file}: {said}");
    }
}

#[test]
fn an_expired_certificate_is_named_in_the_error() {
    let authority = Authority::new();
    let Some(redis) = servers::redis::start_with_tls(&authority.issue_expired("localhost")) else {
        return;
    };
    let file = file_of(&authority);
    let file = file.path().to_str().expect("UTF-8");
    let said = refusal(&redis.tls_url("localhost"), &[("SSL_CERT_FILE", file)]);
    assert!(said.contains("has expired"), "{said}");
}

/// sqlx would log the line.
#[test]
fn a_password_file_is_not_read() {
    let Some(postgres) = servers::postgres::shared() else {
        return;
    };
    let file = NamedTempFile::new().expect("a file");
    fs::write(&file, "*:hunter2\n*:*:*:*:hunter2\n").expect("it is ours");
    let path = file.path().to_str().expect("UTF-8");
    // The role is not there, so it ends whatever the password is.
    let url = postgres.url_of("nobody", "postgres");
    let said = refusal(&url, &[("PGPASSFILE", path)]);
    assert!(said.contains("rejects the role or its password"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

/// What it says of this database, in one line.
#[track_caller]
fn refusal(url: &str, settings: &[(&str, &str)]) -> String {
    let keys = format!("{ANN}=ann");
    let mut all = vec![
        // Plain http: the databases alone need root certificates.
        ("NOTION_API_URL", "http://127.0.0.1:9"),
        ("GATEWAY_KEYS", &*keys),
        ("NOTION_CLIENT_ID", "id"),
        ("NOTION_CLIENT_SECRET", "secret-of-the-client"),
        KEYS,
        ("DATABASE_URL", url),
    ];
    all.extend(settings);
    let said = complaint(&all);
    assert!(said.starts_with("gateway: DATABASE_URL: "), "{said}");
    said
}
