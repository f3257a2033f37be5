//! Keys: what each of them allows, and how they are changed without a restart.

use std::{fs, process::Command};

use axum::{body::Body, response::Response};
use http::StatusCode;

use super::{
    ask::{self, Answer},
    program::{ANN, BOB, Gateway, command, connecting, ended},
    recorder::in_front_of,
    wait::eventually,
};

const SERVICE: &str = "a-service-has-this-key-0123";

#[tokio::test]
async fn a_service_key_calls_for_the_subject_in_the_header_which_goes_no_further() {
    let keys = format!(
        "{ANN}=ann,{SERVICE}=*,{}=ann:connect,{}=bob:connect",
        connecting(ANN),
        connecting(BOB)
    );
    let gateway = Gateway::start_with(&[("GATEWAY_KEYS", &keys)]).await;
    gateway.connect(ANN).await;
    gateway.connect(BOB).await;
    let ann = gateway.bot(ANN).await;
    for (key, subject, status) in [
        (SERVICE, Some("ann"), StatusCode::OK),
        (SERVICE, Some("bob"), StatusCode::OK),
        (SERVICE, Some("cleo"), StatusCode::UNAUTHORIZED),
        (SERVICE, Some(""), StatusCode::BAD_REQUEST),
        (SERVICE, None, StatusCode::BAD_REQUEST),
        (ANN, Some("ann"), StatusCode::OK),
        (ANN, Some("bob"), StatusCode::FORBIDDEN),
    ] {
        let mut asked = gateway.me(key);
        if let Some(subject) = subject {
            asked = asked.header("notion-auth-subject", subject);
        }
        let answer = asked.send().await;
        assert_eq!(answer.status, status, "{key} {subject:?}: {answer:?}");
        if status == StatusCode::OK {
            let is_ann = answer.json()["id"] == ann.as_str();
            assert_eq!(is_ann, subject == Some("ann"), "{key} {subject:?}");
        }
    }

    let (gateway, mut requests) =
        in_front_of(|| Response::new(Body::empty()), &[("GATEWAY_KEYS", &keys)]).await;
    let answer = gateway
        .me(SERVICE)
        .header("Notion-Auth-Subject", "ann")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let got = requests.recv().await.expect("a request").headers;
    assert!(!got.contains_key("notion-auth-subject"), "{got:?}");
}

#[tokio::test]
async fn a_key_that_calls_does_not_connect_and_one_that_connects_does_not_call() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    for path in [
        "/connect",
        "/connect/authorize",
        "/connect/status",
        "/connect/disconnect",
    ] {
        for accept in ["*/*", "text/html"] {
            let url = format!("{}{path}", gateway.url);
            let answer = ask::get(&url)
                .bearer(ANN)
                .header("accept", accept)
                .send()
                .await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {answer:?}");
        }
    }
    let answer = gateway.me(&connecting(ANN)).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    assert_eq!(answer.json()["code"], "restricted_resource");
    assert_eq!(gateway.me(ANN).send().await.status, StatusCode::OK);
}

/// A line and its key, as the program makes them.
fn new_key(options: &[&str]) -> (String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut program: Command = command(directory.path());
    let output = ended(program.args(["key", "new"]).args(options));
    assert!(output.status.success(), "{output:?}");
    let line = String::from_utf8(output.stdout).expect("text");
    let said = String::from_utf8(output.stderr).expect("text");
    let key = said.trim().rsplit(' ').next().expect("a key").to_owned();
    assert_eq!(key.len(), 43, "256 bits in base64url: {said}");
    assert!(!line.contains(&key), "{line}");
    (line, key)
}

#[test]
fn a_new_key_has_the_line_that_was_asked_for() {
    for (options, end) in [
        (&["--subject", "ann", "--id", "one"][..], " ann call\n"),
        (&["--subject", "*", "--id", "one"], " * call\n"),
        (
            &["--subject", "ann", "--id", "one", "--connect"],
            " ann connect\n",
        ),
        (
            &[
                "--subject",
                "a b",
                "--id",
                "one",
                "--expires",
                "2999-01-31",
                "--paths",
                "/v1/users",
            ],
            " a%20b call expires=2999-01-31 paths=/v1/users\n",
        ),
    ] {
        let (line, _) = new_key(options);
        assert!(line.starts_with("one "), "{line}");
        assert!(line.ends_with(end), "{line}");
    }
    for options in [
        &["key", "new"][..],
        &["key", "new", "--subject", ""],
        &["key", "new", "--subject", "ann", "--id", "a b"],
        &["key", "new", "--subject", "ann", "--expires", "soon"],
        &["key", "new", "--subject", "ann", "--expires", "2020-01-01"],
        &["key", "new", "--subject", "ann "],
        &["key", "new", "--subject", "ann", "--paths", "/v1/pages/*"],
        &["key", "new", "--subject", "ann", "--paths", "users"],
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let output = ended(command(directory.path()).args(options));
        assert!(!output.status.success(), "{options:?}");
        assert!(output.stdout.is_empty(), "{options:?}");
    }
}

#[tokio::test]
async fn keys_of_the_file_are_changed_while_the_gateway_runs() {
    let (line, key) = new_key(&["--subject", "ann", "--id", "first"]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys");
    fs::write(&path, &line).expect("a file");
    let gateway = Gateway::start_with(&[("GATEWAY_KEYS_FILE", path.to_str().expect("text"))]).await;
    gateway.connect(ANN).await;
    let status = async |key: &str| -> StatusCode {
        let answer: Answer = gateway.me(key).send().await;
        answer.status
    };
    assert_eq!(status(&key).await, StatusCode::OK);
    assert_eq!(status(ANN).await, StatusCode::OK);

    let (second_line, second) = new_key(&["--subject", "ann", "--id", "second"]);
    fs::write(&path, format!("{second_line}broken line\n")).expect("a file");
    gateway.process.hang_up();
    let complaint = format!("{}:2: a line is ID", path.display());
    eventually(|| gateway.process.said().contains(&complaint)).await;
    assert_eq!(status(&key).await, StatusCode::OK, "the old keys stay");

    fs::write(&path, &second_line).expect("a file");
    gateway.process.hang_up();
    eventually(|| gateway.process.said().contains("was read again")).await;
    assert_eq!(status(&second).await, StatusCode::OK);
    assert_eq!(status(&key).await, StatusCode::UNAUTHORIZED, "it is gone");
    let said = gateway.process.said();
    assert!(!said.contains(&key) && !said.contains(&second), "{said}");
}

#[tokio::test]
async fn wrong_keys_are_counted_and_logged_without_the_key() {
    let gateway = Gateway::start().await;
    for _ in 0..3 {
        let answer = gateway.me("nobody-has-this-key-0123").send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let metrics = ask::get(&format!("{}/metrics", gateway.url))
        .send()
        .await
        .text();
    assert!(metrics.contains("gateway_wrong_keys_total 3"), "{metrics}");
    let said = gateway.process.said();
    let lines = said
        .lines()
        .filter(|it| it.contains("none of the gateway's"));
    assert_eq!(lines.count(), 1, "{said}");
    assert!(!said.contains("nobody-has-this-key-0123"), "{said}");
}
