use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    iter,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
};

use super::{
    program::{ANN, command, ended},
    settings::complaint,
};
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
            "postgres://ann:hunter2@127.0.0.1:hunter2/db".to_owned(),
            "postgres store: ",
        ),
        (
            format!("postgres://ann:hunter2@{postgres}/db"),
            "its password",
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
        ("valkey://ann:hunter2@db/".to_owned(), "`?sslmode=disable`"),
        (
            "postgres://ann:hunter2@a:5432,b:5432/db".to_owned(),
            "several hosts",
        ),
        (
            "postgres://ann:hun/ter2@db/app".to_owned(),
            "percent-encode",
        ),
        (
            "postgres://ann:hunter2@db/app?ssl=false".to_owned(),
            "`sslmode=disable`",
        ),
        (
            "postgres://ann:hunter2@db/app?sslmode=require&sslrootcert=system".to_owned(),
            "`sslmode=verify-full`",
        ),
        ("host=db password=hunter2".to_owned(), "write postgresql://"),
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

#[test]
fn a_store_that_does_not_answer_is_waited_for_at_the_start_and_not_by_commands() {
    for url in [
        "postgres://ann:hunter2@127.0.0.1:1/db",
        "redis://ann:hunter2@127.0.0.1:1/",
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let gateway = |arguments: &[&str]| {
            let mut command = command(directory.path());
            command
                .args(arguments)
                .env(
                    "GATEWAY_LISTEN",
                    format!("127.0.0.1:{}", servers::port::free()),
                )
                .env("GATEWAY_KEYS", format!("{ANN}=ann"))
                .env("NOTION_CLIENT_ID", "id")
                .env("NOTION_CLIENT_SECRET", "secret-of-the-client")
                .env("NOTION_AUTH_KEYS", KEYS)
                .env("DATABASE_URL", url);
            command
        };
        let output = ended(&mut gateway(&["list"]));
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.starts_with("gateway: DATABASE_URL: "), "{said}");
        assert!(!said.contains("hunter2"), "{said}");

        let mut starting = gateway(&[])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let errors = BufReader::new(starting.stderr.take().expect("it is piped"));
        let mut lines = errors.lines().map_while(Result::ok);
        let said = lines.find(|line| line.contains("waiting up to 60 s for the credential store"));
        let is_running = starting.try_wait().expect("its state").is_none();
        starting.kill().expect("it is ours");
        starting.wait().expect("it ended");
        assert!(said.is_some() && is_running, "{said:?}");
        assert!(!said.expect("a line").contains("hunter2"));
    }
}

#[test]
fn a_setting_of_the_server_is_accepted_by_its_name() {
    let Some(redis) = servers::redis::start_with(&[("appendfsync", "everysec")]) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let list = |accepted: &str| {
        let output = ended(
            command(directory.path())
                .arg("list")
                .env("NOTION_CLIENT_ID", "id")
                .env("NOTION_CLIENT_SECRET", "secret-of-the-client")
                .env("NOTION_AUTH_KEYS", KEYS)
                .env("DATABASE_URL", redis.url())
                .env("GATEWAY_ACCEPT_SETTINGS", accepted),
        );
        let said = String::from_utf8(output.stderr).expect("text");
        (output.status.success(), said)
    };
    let (is_accepted, said) = list("");
    assert!(
        !is_accepted && said.contains("`GATEWAY_ACCEPT_SETTINGS=appendfsync`"),
        "{said}"
    );
    let (is_accepted, said) = list("maxmemory-policy, appendfsync");
    assert!(is_accepted, "{said}");
    let (is_accepted, said) = list("fsink");
    assert!(
        !is_accepted && said.starts_with("gateway: GATEWAY_ACCEPT_SETTINGS: "),
        "{said}"
    );
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
