//! Keys that are changed.

use std::process::Output;

use serde_json::{Value, json};

use super::program::{ANN, Gateway, command, ended};

const OLD: &str = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=";
const NEW: &str = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=";

#[tokio::test]
async fn rotate_encrypts_with_the_new_key_until_the_old_one_can_go() {
    let gateway = Gateway::start_with(&[("NOTION_AUTH_KEYS", OLD)]).await;
    gateway.connect(ANN).await;

    let (done, said) = rotate(&gateway, NEW);
    assert!(!done, "{said}");
    assert!(said.contains("ann: it can't be read: "), "{said}");
    assert!(
        said.contains("remove no key from NOTION_AUTH_KEYS yet"),
        "{said}"
    );

    let (done, said) = rotate(&gateway, &format!("{NEW},{OLD}"));
    assert!(done, "{said}");
    assert!(said.contains("1 encrypted again, 0 were already"), "{said}");

    let (done, said) = rotate(&gateway, NEW);
    assert!(done, "{said}");
    assert!(said.contains("0 encrypted again, 1 were already"), "{said}");

    for (keys, expected) in [
        (
            NEW,
            json!({"re_encrypted": 0, "current": 1, "pending": [], "unreadable": 0}),
        ),
        (
            OLD,
            json!({"re_encrypted": 0, "current": 0, "pending": [], "unreadable": 1}),
        ),
    ] {
        let (_, said) = rotate_with(&gateway, keys, &["rotate", "--json"]);
        let report = said.lines().next().expect("a line");
        let mut report: Value = serde_json::from_str(report).expect("JSON");
        let unreadable = report["unreadable"].as_array().map(Vec::len);
        report["unreadable"] = unreadable.into();
        assert_eq!(report, expected, "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made_for_it() {
    let gateway = Gateway::start().await;
    let path = gateway.directory.path().join("gateway.db");
    drop(gateway.process);
    std::fs::remove_file(&path).expect("it was there");
    let output = ended(
        command(gateway.directory.path())
            .arg("rotate")
            .env("GATEWAY_KEYS", format!("{ANN}=ann"))
            .env("NOTION_TOKEN", "ntn_of_the_integration"),
    );
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said, "gateway: DATABASE_URL: there is no gateway.db\n");
    assert!(!path.exists());
}

/// Runs `notion-auth-gateway rotate` on the database of a running gateway.
fn rotate(gateway: &Gateway, keys: &str) -> (bool, String) {
    rotate_with(gateway, keys, &["rotate"])
}

fn rotate_with(gateway: &Gateway, keys: &str, arguments: &[&str]) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(gateway.directory.path())
        .args(arguments)
        .env("GATEWAY_KEYS", format!("{ANN}=ann"))
        .env("GATEWAY_LISTEN", gateway.url.trim_start_matches("http://"))
        .env("NOTION_API_URL", gateway.notion.base_url())
        .env("NOTION_CLIENT_ID", gateway.notion.client_id())
        .env("NOTION_CLIENT_SECRET", gateway.notion.client_secret())
        .env("NOTION_AUTH_KEYS", keys)
        .output()
        .expect("it starts");
    let said = [stdout, stderr].concat();
    (status.success(), String::from_utf8(said).expect("text"))
}
