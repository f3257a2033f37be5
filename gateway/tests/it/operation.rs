//! Settings of limits, logs and metrics.

use std::process::Command;

use super::{
    program::{ANN, command, ended},
    settings::complaint,
};

#[test]
fn wrong_setting_of_operation_is_refused_by_name() {
    for (name, value, words) in [
        ("GATEWAY_ACCESS_LOG", "yes", "on or off"),
        ("GATEWAY_LOG", "xml", "text or json"),
        ("GATEWAY_MAX_REQUESTS", "0", "at least 1"),
        ("GATEWAY_MAX_REQUESTS", "many", "a number of requests"),
        ("GATEWAY_MAX_REQUESTS", "1000000000", "ulimit -n"),
        ("GATEWAY_MAX_REQUESTS_PER_SUBJECT", "-1", "at least 1"),
        (
            "GATEWAY_MAX_REQUESTS_PER_SUBJECT",
            "1000000",
            "more than GATEWAY_MAX_REQUESTS",
        ),
        ("GATEWAY_METRICS_LISTEN", "here", "no port"),
        ("GATEWAY_METRICS_LISTEN", "192.0.2.1:80", "192.0.2.1:80"),
        (
            "GATEWAY_PASS_HEADERS",
            "x-good, Cookie",
            "cookie never goes on",
        ),
        ("GATEWAY_PASS_HEADERS", "authorization", "never goes on"),
        (
            "GATEWAY_PASS_HEADERS",
            "Notion-Auth-Subject",
            "never goes on",
        ),
        (
            "GATEWAY_PASS_HEADERS",
            "x-http-method-override",
            "never goes on",
        ),
        ("GATEWAY_PASS_HEADERS", "x good", "not the name of a header"),
    ] {
        let said = complaint(&[
            ("GATEWAY_KEYS", &format!("{ANN}=ann")),
            ("NOTION_TOKEN", "ntn_of_the_integration"),
            (name, value),
        ]);
        assert!(said.contains(&format!("{name}: ")), "{said}");
        assert!(said.contains(words), "{value}: {said}");
    }
}

#[test]
fn error_that_ends_the_process_is_json_in_a_json_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = ended(
        command(directory.path())
            .env("GATEWAY_LOG", "json")
            .env("NOTION_TOKEN", "ntn_of_the_integration"),
    );
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    let line: serde_json::Value = serde_json::from_str(&said).expect(&said);
    let message = line["message"].as_str().expect("a message");
    assert_eq!(line["level"], "ERROR");
    assert!(
        message.contains("GATEWAY_KEYS and GATEWAY_KEYS_FILE are not set"),
        "{said}"
    );
}

#[test]
fn too_few_file_descriptors_are_refused_with_the_number_that_is_enough() {
    let directory = tempfile::tempdir().expect("a directory");
    let start = "ulimit -n 100; exec \"$0\"";
    let output = ended(
        Command::new("/bin/sh")
            .args(["-c", start, env!("CARGO_BIN_EXE_notion-auth-gateway")])
            .current_dir(directory.path())
            .env_clear()
            .env("GATEWAY_KEYS", format!("{ANN}=ann"))
            .env("NOTION_TOKEN", "ntn_of_the_integration"),
    );
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("only 100 file descriptors"), "{said}");
    assert!(said.contains("to 130 or more"), "{said}");
}
