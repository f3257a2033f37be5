//! The keys that are made beside the database.

use std::{fs, path::Path, process::Command, thread};

use http::StatusCode;

use super::{
    ask,
    program::{ANN, command, ended},
};
use crate::{process::Process, servers::port};

fn gateway(directory: &Path) -> Command {
    let mut command = command(directory);
    command
        .env("GATEWAY_LISTEN", format!("127.0.0.1:{}", port::free()))
        .env("GATEWAY_KEYS", format!("{ANN}=ann:connect"))
        .env("NOTION_CLIENT_ID", "id")
        .env("NOTION_CLIENT_SECRET", "secret");
    command
}

/// The program, and its URL.
fn start(directory: &Path) -> (Process, String) {
    Process::start(&mut gateway(directory), "Listening on ")
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_start_at_once_for_the_first_time_have_the_same_keys() {
    for _ in 0..8 {
        let directory = tempfile::tempdir().expect("a directory");
        let started: Vec<_> = thread::scope(|scope| {
            let starting: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| start(directory.path())))
                .collect();
            starting
                .into_iter()
                .map(|one| one.join().expect("it starts"))
                .collect()
        });
        let (_, first) = &started[0];
        let signed_in = ask::post(&format!("{first}/connect/sign-in"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", first)
            .body(format!("key={ANN}"))
            .send()
            .await;
        // A cookie of the one opens with the keys of the others.
        for (_, url) in &started {
            let status = ask::get(&format!("{url}/connect/status"))
                .header("cookie", signed_in.cookie())
                .send()
                .await;
            assert_eq!(status.status, StatusCode::OK, "{status:?}");
        }
        drop(started);
        let expected = ["", ".keys", "-shm", "-wal"].map(|end| format!("gateway.db{end}"));
        for name in files(directory.path()) {
            assert!(expected.contains(&name), "{name} is left");
        }
    }
}

#[test]
fn keys_that_were_made_and_never_used_are_used_at_the_next_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = directory.path().join("gateway.db.keys");
    let made = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    fs::write(&keys, made).expect("a file");
    drop(start(directory.path()));
    assert_eq!(fs::read_to_string(&keys).expect("a file"), made);
}

#[test]
fn a_database_whose_keys_are_gone_or_spoilt_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(start(directory.path()));
    let keys = directory.path().join("gateway.db.keys");
    for spoilt in [None, Some("\n"), Some("c2hvcnQ=\n")] {
        match spoilt {
            None => fs::remove_file(&keys).expect("it was there"),
            Some(text) => fs::write(&keys, text).expect("a file"),
        }
        let said = complaint(&mut gateway(directory.path()));
        assert!(!said.contains("c2hvcnQ"), "{said}");
        if spoilt.is_none() {
            assert!(
                said.contains("the keys of gateway.db are gone: bring back gateway.db.keys"),
                "{said}"
            );
        }
        assert_eq!(fs::read_to_string(&keys).ok().as_deref(), spoilt);
    }
}

#[test]
fn other_keys_that_leave_out_the_kept_one_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(start(directory.path()));
    let kept = fs::read_to_string(directory.path().join("gateway.db.keys")).expect("it is there");
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let output = ended(gateway(directory.path()).env("NOTION_AUTH_KEYS", other));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success());
    assert!(
        said.contains("it leaves out a key that is in gateway.db.keys"),
        "{said}"
    );
    assert!(said.starts_with("gateway: NOTION_AUTH_KEYS: "), "{said}");
    let both = format!("{other}, {}", kept.trim());
    let mut command = gateway(directory.path());
    Process::start(command.env("NOTION_AUTH_KEYS", both), "Listening on ");
}

#[test]
fn kept_keys_that_cannot_be_read_are_not_taken_for_none() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("gateway.db.keys")).expect("a directory");
    let given = (
        "NOTION_AUTH_KEYS",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    );
    let said = complaint(gateway(directory.path()).env(given.0, given.1));
    assert!(said.contains("gateway.db.keys: "), "{said}");
}

#[test]
fn keys_that_cannot_be_made_are_said_with_what_is_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let said = complaint(gateway(directory.path()).env("DATABASE_URL", "sqlite:none/gateway.db"));
    assert!(said.contains("none/gateway.db.keys"), "{said}");
    assert!(said.contains("its directory must exist"), "{said}");
}

/// What it says when it does not start.
#[track_caller]
fn complaint(command: &mut Command) -> String {
    let output = ended(command);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("gateway: DATABASE_URL: "), "{said}");
    said
}
