//! What is there and does not speak: a server that makes no TLS, a proxy that makes no tunnel.

use std::{
    net::TcpListener,
    time::{Duration, SystemTime},
};

use http::StatusCode;
use notion_auth::{
    Keyring, NotionAppCredentials, NotionAuthProvider, SqliteStore,
    credentials::{AccessToken, NotionUserCredentials, RefreshToken},
};
use tokio::time::{sleep, timeout};

use super::{
    ask::{self, Answer},
    program::{ANN, Gateway},
};

const KEYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// More than a connection may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The system accepts its connections, and nobody reads them.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

async fn me(gateway: &Gateway) -> Answer {
    let sending = ask::get(&format!("{}/v1/users/me", gateway.url)).bearer(ANN);
    timeout(PATIENCE, sending.send()).await.expect("an answer")
}

#[tokio::test]
async fn a_notion_that_never_speaks_tls_is_given_up_and_nothing_was_sent() {
    let (_listener, address) = silent();
    let gateway = Gateway::start_with(&[
        ("NOTION_API_URL", &format!("https://{address}")),
        ("NOTION_CLIENT_ID", ""),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_TOKEN", "ntn_of_the_integration"),
    ])
    .await;
    let answer = me(&gateway).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["code"], "service_unavailable");
    assert!(answer.text().contains("nothing was sent"), "{answer:?}");
}

#[tokio::test]
async fn a_proxy_that_never_speaks_is_given_up_and_no_refresh_token_counts_as_sent() {
    let (_listener, address) = silent();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("gateway.db");
    store_expired(SqliteStore::open(&path).await.expect("a store")).await;
    let gateway = Gateway::start_with(&[
        ("NOTION_API_URL", "https://notion.invalid"),
        ("NOTION_CLIENT_ID", "id"),
        ("NOTION_CLIENT_SECRET", "secret"),
        ("HTTPS_PROXY", &format!("http://{address}")),
        ("DATABASE_URL", &format!("sqlite:{}", path.display())),
        ("NOTION_AUTH_KEYS", KEYS),
    ])
    .await;
    let answer = me(&gateway).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let calls = timeout(PATIENCE, async {
        loop {
            let metrics = ask::get(&format!("{}/metrics", gateway.url)).send().await;
            let text = metrics.text();
            let mut lines = text.lines().map(str::to_owned);
            if let Some(calls) =
                lines.find(|line| line.starts_with("notion_auth_token_calls_total{"))
            {
                break calls;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    let calls = calls.await.expect("an end of the call");
    assert!(calls.contains("outcome=\"not_sent\""), "{calls}");
}

/// Credentials of Ann's that must be refreshed before they are used.
async fn store_expired(store: SqliteStore) {
    let app = NotionAppCredentials::builder()
        .token_url("https://notion.invalid/v1/oauth/token")
        .client_id("id")
        .client_secret("secret");
    let provider = NotionAuthProvider::builder()
        .app(app.build().expect("good credentials"))
        .store(store)
        .keys(Keyring::parse(KEYS).expect("a key"))
        .build()
        .expect("a provider");
    let mut credentials = NotionUserCredentials::new(AccessToken::new("ntn_expired"));
    credentials.refresh_token = Some(RefreshToken::new("nrt_unspent"));
    credentials.expires_at = SystemTime::now().checked_sub(Duration::from_secs(3600));
    let stored = provider.store_credentials(&"ann".into(), credentials).await;
    stored.expect("they are stored");
}
