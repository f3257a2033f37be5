//! Notion's official clients, unmodified.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::program::{ANN, BOB, Gateway, KEYS};
use crate::servers;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/clients");

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_for_javascript_works_through_it() {
    let Some(installed) = installed("node_modules/@notionhq/client") else {
        return;
    };
    let mut command = Command::new("node");
    command
        .arg(Path::new(HERE).join("client.mjs"))
        .arg(installed.join("package.json"));
    talk(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_for_python_works_through_it() {
    let Some(installed) = installed("python/bin/python") else {
        return;
    };
    let mut command = Command::new(installed.join("python/bin/python"));
    command.arg(Path::new(HERE).join("client.py"));
    talk(command).await;
}

/// Does to Notion and to the store what the client's program asks for.
async fn talk(mut command: Command) {
    let Some(mut redis) = servers::redis::start() else {
        return;
    };
    let gateway = Gateway::start_with(&[("DATABASE_URL", &redis.url()), KEYS]).await;
    gateway.connect(ANN).await;
    // Not this machine's proxies and certificates: httpx reads those too.
    let path = env::var_os("PATH").unwrap_or_default();
    let mut client = command
        .env_clear()
        .env("PATH", path)
        .args([&gateway.url, ANN, BOB])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut answers = client.stdin.take().expect("it is piped");
    let mut revoked = 0;
    let mut last = String::new();
    for line in BufReader::new(client.stdout.take().expect("it is piped")).lines() {
        last = line.expect("text");
        let ledger = gateway.notion.ledger();
        let token = ledger
            .api_calls()
            .last()
            .and_then(|call| call.token.clone());
        match &*last {
            "revoke the access token" => {
                gateway.notion.revoke_access_token(&token.expect("a call"));
                revoked += 1;
            }
            "end the connection" => {
                assert_eq!(
                    ledger.refreshes().len(),
                    revoked,
                    "one refresh for 100 calls"
                );
                gateway.notion.revoke_grant(&token.expect("a call"));
            }
            "stop the store" => redis.stop(),
            _ => break,
        }
        writeln!(answers, "done").expect("it listens");
    }
    drop(answers);
    let ended = client.wait().expect("it ends");
    assert!(ended.success() && last == "finished", "{last}");
    assert_eq!(revoked, 1);
    assert!(gateway.notion.ledger().refresh_token_reuses().is_empty());
}

/// Where the clients are, if that one is there. Where `CI` is set, it must be.
fn installed(what: &str) -> Option<PathBuf> {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
    if clients.join(what).exists() {
        return Some(clients);
    }
    let why = format!("no {what} in target/clients: run gateway/tests/it/clients/install");
    assert!(env::var_os("CI").is_none(), "{why}");
    // Not by a macro: what those print is not shown with a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped, {why}");
    None
}
