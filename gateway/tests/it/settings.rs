//! What is set, and what is said of what is set wrongly.

use std::{collections::BTreeSet, fs, path::Path};

use super::program::{ANN, command, refused};

/// What it says when it does not start, which is one line.
#[track_caller]
pub(super) fn complaint(settings: &[(&str, &str)]) -> String {
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
    let mut read = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = fs::read_dir(root.join("src")).expect("it is there");
    let own = own.map(|file| file.expect("a file").path());
    let of_the_library = ["../src/https/proxy.rs", "../src/tls.rs"].map(|path| root.join(path));
    for file in own.chain(of_the_library) {
        let text = fs::read_to_string(file).expect("text");
        read.extend(
            text.split('"')
                .filter(|it| is_variable(it))
                .map(str::to_owned),
        );
    }
    assert!(read.len() > 10, "{read:?}");
    for name in &read {
        assert!(help.contains(name), "{name}");
    }
}

fn is_variable(text: &str) -> bool {
    let is_name = text.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
    is_name && text.contains('_') && text.len() > 1
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
            "GATEWAY_LISTEN",
            &[keys, id, secret, ("GATEWAY_LISTEN", "127.0.0.1:0")],
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
            &[keys, id, secret, ("HTTPS_PROXY", "socks4://127.0.0.1:1")],
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
                ("HTTPS_PROXY", "socks4://127.0.0.1:1"),
            ],
        ),
        (
            "SSL_CERT_FILE",
            &[keys, id, secret, ("SSL_CERT_FILE", "missing.pem")],
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
fn an_argument_that_is_not_known_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = command(directory.path())
        .arg("--port")
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--port"));
}
