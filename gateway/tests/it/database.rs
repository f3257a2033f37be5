use std::{
    fs,
    io::{Read as _, Write as _},
    iter,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
};

use super::{program::ANN, settings::complaint};
use crate::servers;

const KEYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn a_store_that_cannot_be_used_is_said_in_a_line_that_holds_no_password() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| format!("sqlite:{}/{name}", directory.path().display());
    let text = directory.path().join("text");
    fs::write(&text, "a text, and no database").expect("a file");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let postgres = answering(
        "N",
        "E\0\0\0\x20SFATAL\0C28P01\0Mwho is ann?\0\0".to_owned(),
    );
    let redis = answering(
        "",
        "-WRONGPASS invalid username-password pair\r\n".to_owned(),
    );
    let noauth = answering("", "-NOAUTH Authentication required.\r\n".to_owned());
    for (url, words) in [
        ("sqlite".to_owned(), "must begin with"),
        ("postgres".to_owned(), "must begin with"),
        ("SQLITE:a.db".to_owned(), "must begin with"),
        ("sqlite:".to_owned(), "the path of a file"),
        (at(""), "the path of a file"),
        (at("text"), "not an SQLite database"),
        (at("none/a.db"), "its directory must exist"),
        (
            format!("sqlite:{}/a.db", read_only(directory.path()).display()),
            "the right to write there",
        ),
        (
            "postgres://ann:hunter2@127.0.0.1:1/db".to_owned(),
            "postgres store: ",
        ),
        (
            "postgres://ann:hunter2@127.0.0.1:hunter2/db".to_owned(),
            "postgres store: ",
        ),
        (
            format!("postgres://ann:hunter2@{postgres}/db"),
            "its password",
        ),
        (
            "redis://ann:hunter2@127.0.0.1:1/".to_owned(),
            "no server listens",
        ),
        (
            "redis://ann:hunter2@127.0.0.1:hunter2/".to_owned(),
            "redis store: ",
        ),
        (
            format!("redis://ann:hunter2@{redis}/"),
            "the user and password",
        ),
        (format!("redis://{noauth}/"), "the user and password"),
        (
            "postgres://ann@db/app?sslpassword=hunter2".to_owned(),
            "unknown parameter `sslpassword`",
        ),
        (
            "postgres://ann:hunter2@db/app?sslMode=verify-full".to_owned(),
            "did you mean `sslmode`?",
        ),
        (
            "postgres://ann:hunter2@db/app?sslmode=prefer".to_owned(),
            "`sslmode=disable`",
        ),
        ("redis://ann:hunter2@db/".to_owned(), "`?sslmode=disable`"),
        (
            "rediss://ann:hunter2@db/#insecure".to_owned(),
            "`#insecure`",
        ),
    ] {
        let said = complaint(&[
            ("GATEWAY_KEYS", &format!("{ANN}=ann")),
            ("NOTION_CLIENT_ID", "id"),
            ("NOTION_CLIENT_SECRET", "secret-of-the-client"),
            ("NOTION_AUTH_KEYS", KEYS),
            ("DATABASE_URL", &url),
        ]);
        assert!(said.starts_with("gateway: DATABASE_URL: "), "{url}: {said}");
        assert!(said.contains(words), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_store_that_would_lose_what_it_gets_is_refused_with_the_setting_to_change() {
    let Some(redis) = servers::redis::start_with(&[("maxmemory-policy", "allkeys-lru")]) else {
        return;
    };
    let said = complaint(&[
        ("GATEWAY_KEYS", &format!("{ANN}=ann")),
        ("NOTION_CLIENT_ID", "id"),
        ("NOTION_CLIENT_SECRET", "secret-of-the-client"),
        ("NOTION_AUTH_KEYS", KEYS),
        ("DATABASE_URL", &redis.url()),
    ]);
    assert!(said.starts_with("gateway: DATABASE_URL: "), "{said}");
    assert!(said.contains("maxmemory-policy"), "{said}");
}

/// A directory in there in which nobody can make a file, or one where root cannot either.
fn read_only(directory: &Path) -> PathBuf {
    let closed = directory.join("closed");
    fs::create_dir(&closed).expect("a directory");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("it is ours");
    match fs::File::create(closed.join("probe")) {
        Ok(_) => "/sys".into(),
        Err(_) => closed,
    }
}

/// The address of a server that answers what comes first by this, if it is not empty, and all else by that.
fn answering(first: &'static str, then: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let first = Some(first).filter(|first| !first.is_empty());
            for answer in first.into_iter().chain(iter::repeat(&*then)) {
                let Ok(1..) = connection.read(&mut [0; 4096]) else {
                    break;
                };
                let _ = connection.write_all(answer.as_bytes());
            }
        }
    });
    address.to_string()
}
