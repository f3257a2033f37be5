//! Shutdown during a refresh, whose response is the only copy of the new tokens.

use std::net;

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    gate::Gate,
    program::{ANN, Gateway, KEYS},
    wait::{eventually, soon},
};
use crate::servers;

/// A gateway whose token endpoint holds answers back, with a connection of Ann whose access token was revoked.
async fn due_for_a_refresh(settings: &[(&str, &str)]) -> (Gateway, Gate, String) {
    let mut gateway = Gateway::start_with(settings).await;
    // Before the connection is made: credentials belong to the token server that issued them.
    let gate = Gate::before(&gateway.notion).await;
    gateway.restart_with(&[("NOTION_TOKEN_URL", &gate.token_url)]);
    gateway.connect(ANN).await;
    let bot = gateway.bot(ANN).await;
    gateway.revoke_the_last_token();
    gate.close();
    (gateway, gate, bot)
}

/// Asserts that a restarted program has the tokens that the one before it obtained.
async fn assert_saved(mut gateway: Gateway, bot: &str) {
    gateway.restart_with(&[]);
    assert_eq!(gateway.bot(ANN).await, bot);
    let ledger = gateway.notion.ledger();
    assert_eq!(ledger.refreshes().len(), 1);
    assert!(ledger.refresh_token_reuses().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_waits_for_a_refresh_has_its_answer_before_the_end() {
    let (mut gateway, gate, bot) = due_for_a_refresh(&[]).await;
    let asked = tokio::spawn(gateway.me(ANN).send());
    soon(gate.holds_an_answer()).await;
    gateway.process.terminate();
    eventually(|| gateway.process.said().contains("shutting down")).await;
    assert!(gateway.process.is_running() && !asked.is_finished());
    gate.open();
    let answer = soon(asked).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json()["id"], *bot);
    assert!(gateway.process.ended().success());
    assert_saved(gateway, &bot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_nobody_waits_for_any_more_is_saved_before_the_end() {
    let (mut gateway, gate, bot) = due_for_a_refresh(&[]).await;
    let address = gateway.url["http://".len()..].to_owned();
    let mut caller = TcpStream::connect(&address).await.expect("it listens");
    let request = format!(
        "GET /v1/users/me HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {ANN}\r\n\r\n"
    );
    caller
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    soon(gate.holds_an_answer()).await;
    caller.shutdown().await.expect("it is open");
    // The gateway has seen it go when it closes the connection, too.
    let mut answer = Vec::new();
    let _ = soon(caller.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());

    gateway.process.terminate();
    eventually(|| net::TcpStream::connect(&address).is_err()).await;
    assert!(gateway.process.is_running());
    gate.open();
    assert!(gateway.process.ended().success());
    assert_saved(gateway, &bot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_whose_store_is_away_is_saved_when_it_is_back_and_then_it_ends() {
    let Some(mut redis) = servers::redis::start() else {
        return;
    };
    let (mut gateway, gate, bot) = due_for_a_refresh(&[("DATABASE_URL", &redis.url()), KEYS]).await;
    let asked = tokio::spawn(gateway.me(ANN).try_send());
    soon(gate.holds_an_answer()).await;
    redis.stop();
    gate.open();
    gateway.process.terminate();
    // The caller is asked to retry, and only the refresh is still running.
    soon(asked).await.expect("it ends");
    eventually(|| net::TcpStream::connect(&gateway.url["http://".len()..]).is_err()).await;
    assert!(gateway.process.is_running());
    redis.start();
    assert!(gateway.process.ended().success());
    assert_saved(gateway, &bot).await;
}
