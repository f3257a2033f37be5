//! The commands over the store of a running gateway.

use std::fs;

use http::StatusCode;
use serde_json::Value;

use super::program::{ANN, BOB, Gateway, command, ended};

fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines
        .map(|it| it.unwrap_or_else(|_| panic!("no JSON: {text}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_listed_shown_checked_refreshed_and_ended() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    gateway.connect(BOB).await;

    let (done, said, _) = gateway.run(&["list"]);
    assert!(done && said.lines().count() == 2, "{said}");
    assert!(said.starts_with("ann\tactive\t"), "{said}");
    for (arguments, expected) in [
        (&["list", "--json"][..], &["ann", "bob"][..]),
        (&["list", "--json", "--prefix", "b"], &["bob"]),
        (&["list", "--json", "--state", "active"], &["ann", "bob"]),
        (&["list", "--json", "--state", "revoked"], &[]),
        (&["list", "--json", "--state", "needs_reauthorization"], &[]),
    ] {
        let (done, said, _) = gateway.run(arguments);
        let subjects: Vec<Value> = objects(&said)
            .iter()
            .map(|it| it["subject"].clone())
            .collect();
        assert!(done && subjects == expected, "{arguments:?}: {said}");
    }

    let (done, said, _) = gateway.run(&["show", "ann"]);
    assert!(done && said.contains("state         active"), "{said}");
    let (done, said, _) = gateway.run(&["show", "ann", "--json"]);
    assert!(done && objects(&said)[0]["generation"] == 1, "{said}");

    let (done, said, _) = gateway.run(&["check", "ann"]);
    assert!(done && said.starts_with("ann: good: "), "{said}");
    assert!(gateway.notion.ledger().refreshes().is_empty());

    let (done, said, error) = gateway.run(&["refresh", "ann"]);
    assert!(done, "{said}{error}");
    assert_eq!(gateway.notion.ledger().refreshes().len(), 1);
    let (_, said, _) = gateway.run(&["show", "ann", "--json"]);
    assert_eq!(objects(&said)[0]["generation"], 2);

    let (done, said, _) = gateway.run(&["disconnect", "ann", "--json"]);
    assert!(done && objects(&said)[0]["outcome"] == "revoked", "{said}");
    let (done, said, _) = gateway.run(&["check", "ann", "--json"]);
    assert!(
        !done && objects(&said)[0]["verdict"] == "not_connected",
        "{said}"
    );
    let (_, said, _) = gateway.run(&["list", "--json"]);
    assert_eq!(objects(&said).len(), 1, "{said}");

    for (arguments, words) in [
        (&["show", "nobody"][..], "nobody: no workspace is connected"),
        (&["refresh", "nobody"], "no Notion workspace is connected"),
        (&["list", "--state", "good"], "--state: good is not one of"),
    ] {
        let (done, _, error) = gateway.run(arguments);
        assert!(!done && error.contains(words), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_connection_is_listed_by_its_reason_and_fails_check() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    gateway.connect(BOB).await;
    assert_eq!(gateway.me(ANN).send().await.status, StatusCode::OK);
    let call = gateway.notion.ledger().api_calls().pop().expect("a call");
    gateway.notion.revoke_grant(&call.token.expect("a token"));
    assert_eq!(
        gateway.me(ANN).send().await.status,
        StatusCode::UNAUTHORIZED
    );
    for state in ["revoked", "needs_reauthorization"] {
        let (_, said, _) = gateway.run(&["list", "--json", "--state", state]);
        let listed = objects(&said);
        assert!(
            listed.len() == 1 && listed[0]["subject"] == "ann",
            "{state}: {said}"
        );
    }
    let (done, said, _) = gateway.run(&["check", "ann"]);
    assert!(
        !done && said.starts_with("ann: needs_reauthorization: "),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_by_check() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    assert_eq!(gateway.me(ANN).send().await.status, StatusCode::OK);
    gateway.revoke_the_last_token();
    let (done, said, _) = gateway.run(&["check", "ann", "--json"]);
    let (_, _, error) = gateway.run(&["check", "ann"]);
    assert_eq!(error, "");
    let check = &objects(&said)[0];
    assert!(
        !done && check["verdict"] == "refused" && check["can_refresh"] == true,
        "{said}"
    );
    assert!(gateway.notion.ledger().refreshes().is_empty());
    assert_eq!(gateway.me(ANN).send().await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_stores_new_subjects_and_replaces_others_only_if_asked() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    let ann = gateway.bot(ANN).await;
    let credentials = serde_json::to_value(gateway.notion.connect().expose_tokens()).expect("JSON");
    let mut lines = String::from("\u{feff}");
    for subject in ["ann", "bob", "a\u{1b}[2Jb"] {
        let line = serde_json::json!({"subject": subject, "credentials": credentials});
        lines += &format!("{line}\r\n");
    }
    let path = gateway.directory.path().join("import.jsonl");
    fs::write(&path, &lines).expect("a file");
    let path = path.to_str().expect("text");

    let (done, said, _) = gateway.run(&["import", path, "--json"]);
    let outcomes: Vec<Value> = objects(&said)
        .iter()
        .map(|it| it["outcome"].clone())
        .collect();
    assert!(
        done && outcomes == ["left_alone", "stored", "stored"],
        "{said}"
    );
    assert_eq!(gateway.bot(ANN).await, ann);
    let bob = gateway.bot(BOB).await;
    assert_ne!(bob, ann);

    // A second run would replace refreshed tokens with spent ones.
    let (done, said, _) = gateway.run(&["import", path]);
    assert!(
        done && said.ends_with("0 stored, 0 replaced, 3 left alone, 0 refused\n"),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let (_, said, _) = gateway.run(&["list"]);
    assert!(
        said.contains("a\\u{1b}[2Jb\tactive") && !said.contains('\u{1b}'),
        "{said:?}"
    );

    let (done, said, _) = gateway.run(&["import", path, "--replace", "--json"]);
    let outcomes: Vec<Value> = objects(&said)
        .iter()
        .map(|it| it["outcome"].clone())
        .collect();
    assert!(
        done && outcomes == ["replaced", "replaced", "replaced"],
        "{said}"
    );

    let broken = gateway.directory.path().join("broken.jsonl");
    let good = lines.lines().nth(1).expect("a line").replace("bob", "cleo");
    fs::write(&broken, format!("{{\"subject\": hunter2\n{good}\n")).expect("a file");
    let (done, said, error) = gateway.run(&["import", broken.to_str().expect("text")]);
    assert!(!done, "{said}");
    assert!(
        said.contains("broken.jsonl:1: refused: it is not JSON"),
        "{said}"
    );
    assert!(
        said.contains("1 stored, 0 replaced, 0 left alone, 1 refused"),
        "{said}"
    );
    assert!(
        !format!("{said}{error}").contains("hunter2"),
        "{said}{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_without_a_refresh_token_says_so_and_not_that_the_token_is_refused() {
    let gateway = Gateway::start().await;
    let mut credentials =
        serde_json::to_value(gateway.notion.connect().expose_tokens()).expect("JSON");
    credentials["refresh_token"] = Value::Null;
    let line = serde_json::json!({"subject": "ann", "credentials": credentials});
    let path = gateway.directory.path().join("import.jsonl");
    fs::write(&path, line.to_string()).expect("a file");
    let (done, said, error) = gateway.run(&["import", path.to_str().expect("text")]);
    assert!(done, "{said}{error}");
    let (done, _, error) = gateway.run(&["refresh", "ann"]);
    assert!(
        !done && error.contains("ann: can't be refreshed, because there is no refresh token"),
        "{error}"
    );
    assert!(!error.contains("refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_with_another_client_name_the_settings_and_no_function() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    let output = ended(
        command(gateway.directory.path())
            .args(["check", "ann"])
            .env("NOTION_API_URL", gateway.notion.base_url())
            .env("NOTION_CLIENT_ID", "another-client")
            .env("NOTION_CLIENT_SECRET", "its-secret"),
    );
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("NOTION_CLIENT_ID, NOTION_TOKEN_URL") && said.contains("connect again"),
        "{said}"
    );
    assert!(
        !said.contains("adopt") && !said.contains("builder"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn import_after_a_disconnect_stores_nothing_unless_replace_is_given() {
    let gateway = Gateway::start().await;
    let credentials = serde_json::to_value(gateway.notion.connect().expose_tokens()).expect("JSON");
    let line = serde_json::json!({"subject": "ann", "credentials": credentials});
    let path = gateway.directory.path().join("import.jsonl");
    fs::write(&path, line.to_string()).expect("a file");
    let path = path.to_str().expect("text");
    let outcome = |said: &str| objects(said)[0]["outcome"].clone();

    let (_, said, _) = gateway.run(&["import", path, "--json"]);
    assert_eq!(outcome(&said), "stored", "{said}");
    let (done, said, error) = gateway.run(&["disconnect", "ann"]);
    assert!(done, "{said}{error}");
    let (_, said, _) = gateway.run(&["import", path]);
    assert!(
        said.contains("ann left_alone: its state is disconnected"),
        "{said}"
    );
    assert!(
        said.contains("0 stored, 0 replaced, 1 left alone"),
        "{said}"
    );
    assert!(gateway.run(&["show", "ann"]).2.contains("no workspace"));
    let (_, said, _) = gateway.run(&["import", path, "--replace", "--json"]);
    assert_eq!(outcome(&said), "stored", "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_shows_settings_without_secrets_and_tries_each_part() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    let (done, said, error) = gateway.run(&["check-config"]);
    assert!(done, "{said}{error}");
    for words in [
        "GATEWAY_KEYS                     6 keys  (GATEWAY_KEYS)",
        "DATABASE_URL                     sqlite:gateway.db  (default)",
        "GATEWAY_LOG                      text  (default)",
        "store                            good",
        "encryption keys                  decrypt all of 1 records that were tried",
        "Notion                           accepts NOTION_CLIENT_ID and NOTION_CLIENT_SECRET",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(
        !said.contains(ANN) && !said.contains(gateway.notion.client_secret()),
        "{said}"
    );

    let other = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q=";
    fs::remove_file(gateway.directory.path().join("gateway.db.keys")).expect("it was there");
    let output = ended(
        command(gateway.directory.path())
            .arg("check-config")
            .env("GATEWAY_KEYS", format!("{ANN}=ann"))
            .env("NOTION_API_URL", gateway.notion.base_url())
            .env("NOTION_CLIENT_ID", gateway.notion.client_id())
            .env("NOTION_CLIENT_SECRET", gateway.notion.client_secret())
            .env("NOTION_AUTH_KEYS", other),
    );
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("FAILED: NOTION_AUTH_KEYS: 1 of 1 records"),
        "{said}"
    );

    let output = ended(
        command(gateway.directory.path())
            .arg("check-config")
            .env("GATEWAY_KEYS", format!("{ANN}=ann"))
            .env("NOTION_API_URL", gateway.notion.base_url())
            .env("NOTION_CLIENT_ID", gateway.notion.client_id())
            .env("NOTION_CLIENT_SECRET", "a-wrong-secret")
            .env("DATABASE_URL", "sqlite:new.db"),
    );
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("Notion                           FAILED: "),
        "{said}"
    );
    assert!(said.contains("is made at the first start"), "{said}");
    assert!(said.contains("warning: no key may connect"), "{said}");
    assert!(!said.contains("a-wrong-secret"), "{said}");
    assert!(!gateway.directory.path().join("new.db").exists());
}
