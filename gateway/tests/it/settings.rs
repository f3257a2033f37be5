//! What is set, and what is said of what is set wrongly.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    ask,
    program::{ANN, Gateway, command, ended, refused},
};

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
    let help = |arguments: &[&str]| {
        let output = ended(command(directory.path()).args(arguments));
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    };
    let (short, long) = (help(&["--help"]), help(&["serve", "--help"]));
    let mut read = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = fs::read_dir(root.join("src")).expect("it is there");
    let own = own.map(|file| file.expect("a file").path());
    let of_the_library = ["../src/https/proxy.rs", "../src/tls.rs"].map(|path| root.join(path));
    for file in own.chain(of_the_library) {
        let text = fs::read_to_string(file).expect("text");
        let text = text.split("#[cfg(test)]").next().expect("code");
        read.extend(
            text.split('"')
                .filter(|it| is_variable(it))
                .map(str::to_owned),
        );
    }
    assert!(read.len() > 10, "{read:?}");
    // Parts of names, and what only another program sets.
    read.retain(|name| !name.starts_with('_') && !name.ends_with('_'));
    read.remove("KUBERNETES_SERVICE_HOST");
    // What a test or another server than Notion's needs, and other names.
    let seldom = ["NOTION_API_", "NOTION_A", "NOTION_INTEGRATION_TOKEN"];
    let seldom = [&seldom[..], &["NOTION_TOKEN_URL", "NOTION_VERSION"]].concat();
    for name in &read {
        assert!(long.contains(name), "{name}");
        let is_seldom = name != "NOTION_AUTH_KEYS" && seldom.iter().any(|it| name.starts_with(it));
        assert!(short.contains(name) || is_seldom, "{name}");
    }
    let lines = short.lines().count();
    assert!(lines <= 48, "two screens: {lines}");
    for line in short.lines().chain(long.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
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
                ("GATEWAY_PUBLIC_URL", "https://example.com/?a"),
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

#[test]
fn settings_that_would_go_wrong_quietly_are_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let empty = at("empty", "\r\n");
    let broken_keys = at("keys", "# comment\n\none broken\n");
    let plain_keys = at("plain", &format!("{ANN}=ann\n"));
    for (name, value, words) in [
        ("GATEWAY_KEY", "x", "did you mean GATEWAY_KEYS?"),
        ("GATEWAY_PORT", "80", "did you mean GATEWAY_LISTEN?"),
        ("NOTION_AUTH_KEY", "x", "did you mean NOTION_AUTH_KEYS?"),
        (
            "NOTION_REDIRECT_URL",
            "x",
            "did you mean NOTION_REDIRECT_URI?",
        ),
        ("NOTION_AUTH_KEYS", "short", "NOTION_AUTH_KEYS: "),
        (
            "GATEWAY_PUBLIC_URL",
            "https://a.example/connect",
            "by itself",
        ),
        ("gateway_listen", "x", "did you mean GATEWAY_LISTEN?"),
        ("GATEWAY_LISTEN_FILE", "x", "is not a setting"),
        (
            "GATEWAY_ACCEPT_SETTING",
            "x",
            "did you mean GATEWAY_ACCEPT_SETTINGS?",
        ),
        ("NOTION_API_URL_FILE", "x", "is not a setting"),
        ("NOTION_SECRET_FILE", "x", "is not a setting"),
        ("PGPASSWORD_FILE", "x", "is not a setting"),
        ("DATABASE_FILE", "x", "did you mean DATABASE_URL_FILE?"),
        ("NOTION_CLIENT_SECRET_FILE", "x", "both set"),
        ("DATABASE_URL_FILE", "/nowhere/at/all", "/nowhere/at/all: "),
        ("DATABASE_URL_FILE", &empty, "is empty"),
        ("DATABASE_URL", "sqlite:${HUNTER}", "was not replaced"),
        ("DATABASE_URL", "\"sqlite:gateway.db", "a quote at one end"),
        ("DATABASE_URL", "sqlite:gateway.db\rx", "line break"),
        (
            "DATABASE_URL",
            "jdbc:postgresql://h/d",
            "write postgresql://",
        ),
        ("NOTION_CLIENT_ID", "$NOTION_ID", "was not replaced"),
        ("NOTION_CLIENT_SECRET", "…", "placeholder"),
        ("PORT", "tcp://10.0.0.1:80", "not a number"),
        ("GATEWAY_LISTEN", "0.0.0.0:$PORT", "PORT, which is not set"),
        ("GATEWAY_LISTEN", "8080", "a port alone"),
        (
            "GATEWAY_PUBLIC_URL",
            "http://192.168.1.5:8080",
            "put a server that has TLS",
        ),
        (
            "GATEWAY_ACCEPT_SETTINGS",
            "appendfsync",
            "SQLite has no such settings",
        ),
        ("GATEWAY_KEYS_FILE", &broken_keys, "keys:3: a line is ID"),
        ("GATEWAY_KEYS_FILE", &plain_keys, "plain:1: a line is ID"),
        ("GATEWAY_KEYS_FILE", "/nowhere/at/all", "/nowhere/at/all: "),
    ] {
        let said = complaint(&[
            ("GATEWAY_KEYS", &format!("{ANN}=ann")),
            ("NOTION_CLIENT_ID", "id"),
            ("NOTION_CLIENT_SECRET", "secret-of-the-client"),
            (name, value),
        ]);
        assert!(said.contains(name), "{name}: {said}");
        assert!(said.contains(words), "{name}={value}: {said}");
    }
}

#[test]
fn variables_of_libpq_are_refused_by_name_if_tools_left_something_around_them() {
    for (name, value) in [
        ("PGPASSWORD", "hunter2\r"),
        ("PGHOST", "\"db\""),
        ("PGUSER", " ann"),
        ("PGPASSWORD", "${HUNTER2}"),
    ] {
        let said = complaint(&[
            ("GATEWAY_KEYS", &format!("{ANN}=ann")),
            ("NOTION_CLIENT_ID", "id"),
            ("NOTION_CLIENT_SECRET", "secret-of-the-client"),
            ("DATABASE_URL", "postgres://db/app"),
            (name, value),
        ]);
        assert!(
            said.starts_with(&format!("gateway: {name}: it has ")),
            "{said}"
        );
        assert!(!said.to_lowercase().contains("hunter"), "{said}");
    }
}

#[tokio::test]
async fn what_tools_leave_around_values_is_removed_and_secrets_can_be_in_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    let database = directory.path().join("database");
    fs::write(&database, "\u{feff}sqlite:other.db\r\n").expect("a file");
    let mut gateway = Gateway::start().await;
    fs::write(&secret, format!("{}\r\n", gateway.notion.client_secret())).expect("a file");
    gateway.restart_with(&[
        (
            "NOTION_CLIENT_ID",
            &format!("\"{}\"\r", gateway.notion.client_id()),
        ),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_CLIENT_SECRET_FILE", secret.to_str().expect("text")),
        ("DATABASE_URL_FILE", &format!("'{}'", database.display())),
        (
            "NOTION_API_URL",
            &format!(" {}\n", gateway.notion.base_url()),
        ),
        // Kubernetes sets these for a service with the name `gateway`.
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_SERVICE_HOST", "10.0.0.2"),
        ("GATEWAY_PORT", "tcp://10.0.0.2:80"),
        ("GATEWAY_PORT_80_TCP_ADDR", "10.0.0.2"),
        // No destination needs it, so that it stops nothing.
        ("ALL_PROXY", "ftp://127.0.0.1:1"),
    ]);
    gateway.connect(ANN).await;
    assert_eq!(gateway.me(ANN).send().await.status, 200);
    let mut names: Vec<String> = fs::read_dir(gateway.directory.path())
        .expect("it is there")
        .map(|it| it.expect("a file").file_name().into_string().expect("text"))
        .filter(|name| name.starts_with("other"))
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["other.db", "other.db-shm", "other.db-wal", "other.db.keys"]
    );
}

#[tokio::test]
async fn port_and_localhost_are_listened_on() {
    for (name, listen) in [
        ("PORT", "{}"),
        ("GATEWAY_LISTEN", "localhost:{}"),
        ("GATEWAY_LISTEN", ":{}"),
    ] {
        let port = crate::servers::port::free().to_string();
        let gateway =
            Gateway::start_with(&[("GATEWAY_LISTEN", ""), (name, &listen.replace("{}", &port))])
                .await;
        let answer = ask::get(&format!("http://127.0.0.1:{port}/healthz"))
            .send()
            .await;
        assert_eq!(answer.status, 200, "{name}={listen}");
        assert!(
            gateway
                .process
                .said()
                .contains(&format!("http://localhost:{port}/connect"))
        );
        let six = std::net::TcpStream::connect(format!("[::1]:{port}"));
        let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        assert_eq!(six.is_ok(), has_ipv6, "{name}={listen}");
    }
}
