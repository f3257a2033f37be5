//! What a program that is started again finds in each store.

use http::StatusCode;
use notion_auth::integrations::sqlx::{Connection as _, Executor as _, PgConnection};

use super::{
    ask,
    program::{ANN, BOB, Gateway, KEYS, refused},
};
use crate::servers;

async fn assert_outlived(settings: &[(&str, &str)]) {
    let mut gateway = Gateway::start_with(settings).await;
    gateway.connect(ANN).await;
    let bot = gateway.bot(ANN).await;
    gateway.restart_with(&[]);
    assert_eq!(gateway.bot(ANN).await, bot);
    let answer = gateway.me(BOB).send().await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);

    // Not only is there what was stored: it goes on from there.
    gateway.revoke_the_last_token();
    assert_eq!(gateway.bot(ANN).await, bot);
    gateway.restart_with(&[]);
    assert_eq!(gateway.bot(ANN).await, bot);
    let ledger = gateway.notion.ledger();
    assert_eq!(ledger.refreshes().len(), 1);
    assert!(ledger.refresh_token_reuses().is_empty());
    let health = ask::get(&format!("{}/readyz", gateway.url)).send().await;
    assert_eq!(health.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_a_file_outlive_the_program() {
    assert_outlived(&[]).await;
    assert_outlived(&[("DATABASE_URL", "sqlite:other.db"), KEYS]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_postgresql_outlive_the_program() {
    let Some(server) = servers::postgres::shared() else {
        return;
    };
    let database = servers::postgres::fresh_database(server);
    let url = server.url_of("postgres", &database);
    assert_no_keys(&url);
    assert_outlived(&[("DATABASE_URL", &url), KEYS]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_every_role_can_read_is_a_warning() {
    let Some(server) = servers::postgres::shared() else {
        return;
    };
    let database = servers::postgres::fresh_database(server);
    let url = server.url_of("postgres", &database);
    let mut gateway = Gateway::start_with(&[("DATABASE_URL", &url), KEYS]).await;
    let words = "REVOKE ALL ON notion_auth_credentials FROM PUBLIC";
    assert!(!gateway.process.said().contains(words));
    let mut connection = PgConnection::connect(&url).await.expect("a database");
    let grant = "GRANT SELECT ON notion_auth_credentials TO PUBLIC";
    connection.execute(grant).await.expect("it is ours");
    gateway.restart_with(&[]);
    assert!(
        gateway.process.said().contains(words),
        "{}",
        gateway.process.said()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_redis_outlive_the_program() {
    let Some(server) = servers::redis::start() else {
        return;
    };
    assert_no_keys(&server.url());
    assert_outlived(&[("DATABASE_URL", &server.url()), KEYS]).await;
}

/// Without keys a store that others share is refused.
#[track_caller]
fn assert_no_keys(url: &str) {
    let output = refused(&[
        ("GATEWAY_KEYS", &format!("{ANN}=ann")),
        ("NOTION_CLIENT_ID", "id"),
        ("NOTION_CLIENT_SECRET", "secret"),
        ("DATABASE_URL", url),
    ]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("NOTION_AUTH_KEYS is not set"), "{said}");
}
