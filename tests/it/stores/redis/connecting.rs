use notion_auth::{
    RedisStore, redis,
    store::{
        CredentialStore, StoreError,
        StoreErrorKind::{Misconfigured, Unavailable},
    },
};

use super::{assert_says, connect_subject, connected, key};
use crate::{
    own_process,
    servers::redis::{Redis, start},
};

fn url(server: &Redis, user: &str) -> String {
    server
        .url()
        .replace("redis://", &format!("redis://{user}@"))
}

async fn refused(url: &str) -> StoreError {
    RedisStore::connect(url).await.expect_err("it is refused")
}

#[tokio::test]
async fn a_wrong_password_or_none_is_said_and_not_shown() {
    let Some(server) = start() else { return };
    let open = connected(&server).await;
    connect_subject(&open, "ann").await;
    let password = ["CONFIG", "SET", "requirepass", "right"];
    server.ask(&password).unwrap();
    for url in [
        server.url(),
        url(&server, ":canary"),
        url(&server, "canary:canary"),
    ] {
        assert_says(&refused(&url).await, Misconfigured, "user and password");
        let older = format!("{url}?protocol=2");
        if let Ok(client) = redis::Client::open(older)
            .unwrap()
            .get_connection_manager()
            .await
        {
            let error = RedisStore::new(client).load(&key("ann")).await;
            let error = error.expect_err("it has not said who it is");
            assert_says(&error, Misconfigured, "user and password");
        }
    }
    let store = RedisStore::connect(url(&server, ":right")).await.unwrap();
    assert!(store.load(&key("ann")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_url_of_redis_is_said_and_not_shown() {
    for url in [
        "",
        "127.0.0.1:6379",
        "http://canary@127.0.0.1",
        "redis://:canary@",
        "redis://:canary@127.0.0.1/canary",
        "rediss://127.0.0.1/#canary",
    ] {
        let error = refused(url).await;
        assert_says(&error, Misconfigured, "write redis://user:password@host");
    }
}

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_said() {
    let Some(server) = start() else { return };
    let error = refused(&format!("{}99", server.url())).await;
    assert_says(&error, Misconfigured, "database with the URL's number");
}

/// Also where nobody has chosen a provider of cryptography for the process.
#[tokio::test]
async fn tls_with_a_server_that_does_not_speak_it_is_an_error() {
    const NAME: &str =
        "stores::redis::connecting::tls_with_a_server_that_does_not_speak_it_is_an_error";
    if !own_process::is_alone(NAME, &[("SSL_CERT_FILE", None), ("SSL_CERT_DIR", None)]) {
        return;
    }
    let Some(server) = start() else { return };
    let error = refused(&server.url().replace("redis://", "rediss://")).await;
    assert_says(&error, Unavailable, "does not speak TLS on that port");
}
