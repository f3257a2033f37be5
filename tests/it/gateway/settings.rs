use std::{
    fs,
    io::{Read as _, Write as _},
    iter,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
};

use super::program::{ANN, command, refused};

/// What it says when it does not start, which is one line.
#[track_caller]
fn complaint(settings: &[(&str, &str)]) -> String {
    let output = refused(settings);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!said.contains(ANN), "{said}");
    said
}

#[test]
fn help_names_every_setting_that_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = command(directory.path())
        .arg("--help")
        .output()
        .expect("it starts");
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).expect("text");
    for name in [
        "GATEWAY_KEYS",
        "GATEWAY_LISTEN",
        "GATEWAY_PUBLIC_URL",
        "NOTION_API_URL",
        "DATABASE_URL",
        "NOTION_AUTH_KEYS",
        "HTTPS_PROXY",
        "NOTION_CLIENT_ID",
        "NOTION_CLIENT_SECRET",
        "NOTION_TOKEN",
    ] {
        assert!(help.contains(name), "{name}");
    }
}

#[test]
fn a_wrong_setting_stops_it_with_a_line_that_names_it() {
    let keys = ("GATEWAY_KEYS", &*format!("{ANN}=ann"));
    let id = ("NOTION_CLIENT_ID", "id");
    let secret = ("NOTION_CLIENT_SECRET", "secret-of-the-client");
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("GATEWAY_KEYS", &[]),
        ("GATEWAY_KEYS", &[("GATEWAY_KEYS", "short=ann")]),
        ("GATEWAY_KEYS", &[("GATEWAY_KEYS", ANN)]),
        (
            "GATEWAY_KEYS",
            &[("GATEWAY_KEYS", &format!("{ANN}=ann,{ANN}=bob"))],
        ),
        ("NOTION_CLIENT_ID", &[keys]),
        ("NOTION_CLIENT_SECRET", &[keys, id]),
        (
            "GATEWAY_LISTEN",
            &[keys, id, secret, ("GATEWAY_LISTEN", "here")],
        ),
        (
            "GATEWAY_PUBLIC_URL",
            &[
                keys,
                id,
                secret,
                ("GATEWAY_PUBLIC_URL", "http://example.com"),
            ],
        ),
        (
            "GATEWAY_PUBLIC_URL",
            &[
                keys,
                id,
                secret,
                ("GATEWAY_PUBLIC_URL", "https://example.com/a"),
            ],
        ),
        (
            "NOTION_API_URL",
            &[
                keys,
                id,
                secret,
                ("NOTION_API_URL", "http://api.notion.com"),
            ],
        ),
        (
            "NOTION_REDIRECT_URI",
            &[
                keys,
                id,
                secret,
                ("NOTION_REDIRECT_URI", "https://example.com/cb"),
            ],
        ),
        (
            "DATABASE_URL",
            &[
                keys,
                id,
                secret,
                ("DATABASE_URL", "mysql://ann:hunter2@localhost/db"),
            ],
        ),
        (
            "NOTION_AUTH_KEYS",
            &[
                keys,
                id,
                secret,
                ("DATABASE_URL", "sqlite:a.db"),
                ("NOTION_AUTH_KEYS", "x"),
            ],
        ),
        (
            "HTTPS_PROXY",
            &[keys, id, secret, ("HTTPS_PROXY", "socks5://127.0.0.1:1")],
        ),
        ("GATEWAY_KEYS", &[("GATEWAY_KEYS", &format!("ann={ANN}"))]),
        (
            "NOTION_API_URL",
            &[
                keys,
                id,
                secret,
                ("NOTION_API_URL", "https://u:hunter2@api.notion.com"),
            ],
        ),
        (
            "HTTPS_PROXY",
            &[keys, id, secret, ("HTTPS_PROXY", "ftp://127.0.0.1:1")],
        ),
        (
            "HTTPS_PROXY",
            &[
                keys,
                id,
                secret,
                ("NOTION_API_URL", "http://127.0.0.1:1"),
                ("NOTION_TOKEN_URL", "https://example.com/token"),
                ("HTTPS_PROXY", "socks5://127.0.0.1:1"),
            ],
        ),
        (
            "NOTION_TOKEN",
            &[keys, id, secret, ("NOTION_TOKEN", "ntn_hunter2")],
        ),
    ];
    for (name, settings) in cases {
        let said = complaint(settings);
        assert!(said.contains(name), "{settings:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

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
    // Each for what comes in one go: HELLO, and how the client is called.
    let redis = answering(
        "",
        "-WRONGPASS invalid username-password pair\r\n".repeat(3),
    );
    let noauth = answering("", "-NOAUTH Authentication required.\r\n".repeat(3));
    for (url, words) in [
        ("sqlite".to_owned(), "must begin with"),
        ("postgres".to_owned(), "must begin with"),
        ("SQLITE:a.db".to_owned(), "must begin with"),
        ("sqlite:".to_owned(), "the path of a file"),
        (at(""), "the path of a file"),
        (at("text"), "no SQLite database"),
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
            "nobody answers",
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
    ] {
        let said = complaint(&[
            ("GATEWAY_KEYS", &format!("{ANN}=ann")),
            ("NOTION_CLIENT_ID", "id"),
            ("NOTION_CLIENT_SECRET", "secret-of-the-client"),
            (
                "NOTION_AUTH_KEYS",
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            ),
            ("DATABASE_URL", &url),
        ]);
        assert!(said.starts_with("gateway: DATABASE_URL: "), "{url}: {said}");
        assert!(said.contains(words), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
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

#[test]
fn an_argument_that_is_not_known_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = command(directory.path())
        .arg("--port")
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--port"));
}
