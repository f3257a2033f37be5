use notion_auth::{
    RedisStore,
    store::{
        CredentialStore, StoreError,
        StoreErrorKind::{Misconfigured, Unavailable},
    },
};

use super::{active, assert_says, connected, loaded, write};
use crate::{
    own_process,
    servers::redis::{Redis, start},
};

fn url(server: &Redis, user: &str) -> String {
    server
        .url()
        .replace("redis://", &format!("redis://{user}@"))
}

/// Returns the error of connecting, or, for a server that may only be starting, of the health check.
async fn refused(url: &str) -> StoreError {
    match RedisStore::connect(url).await {
        Ok(store) => store.health().await.expect_err("it is refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn connect_with_a_wrong_password_or_none_is_refused() {
    let Some(server) = start() else { return };
    let open = connected(&server).await;
    write(&open, "ann", &active()).await;
    let error = refused(&url(&server, ":canary")).await;
    assert_says(&error, Misconfigured, "AUTH <password> called without any");

    let password = ["CONFIG", "SET", "requirepass", "right"];
    server.ask(&password).unwrap();
    for (url, code) in [
        (server.url(), "NOAUTH"),
        (url(&server, ":canary"), "WRONGPASS"),
        (url(&server, "canary:canary"), "WRONGPASS"),
    ] {
        let error = refused(&url).await;
        assert_says(&error, Misconfigured, code);
        assert_says(&error, Misconfigured, "correct the user and password");
    }
    let store = RedisStore::connect(url(&server, ":right")).await.unwrap();
    assert!(loaded(&store, "ann").await.is_some());
}

#[tokio::test]
async fn connect_to_a_url_that_is_not_one_of_redis_is_refused() {
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
async fn connect_to_a_database_selects_it_or_is_refused() {
    let Some(server) = start() else { return };
    let third = RedisStore::connect(format!("{}3", server.url())).await;
    write(&third.unwrap(), "ann", &active()).await;
    assert!(loaded(&connected(&server).await, "ann").await.is_none());
    let keys = server.ask(&["INFO", "keyspace"]).unwrap();
    assert!(keys.contains("db3:keys=2,"), "{keys}");

    let error = refused(&format!("{}99", server.url())).await;
    assert_says(&error, Misconfigured, "ERR DB index is out of range");
}

/// Even if the process has no default crypto provider.
#[tokio::test]
async fn connect_by_tls_to_a_port_without_it_is_refused() {
    const NAME: &str = "stores::redis::connecting::connect_by_tls_to_a_port_without_it_is_refused";
    if !own_process::is_alone(NAME, &[("SSL_CERT_FILE", None), ("SSL_CERT_DIR", None)]) {
        return;
    }
    let Some(server) = start() else { return };
    let error = refused(&server.url().replace("redis://", "rediss://")).await;
    assert_says(&error, Unavailable, "does not speak TLS on that port");
}

#[tokio::test]
async fn connect_to_a_full_server_is_named() {
    let Some(server) = start() else { return };
    let _first = connected(&server).await;
    server.ask(&["CONFIG", "SET", "maxclients", "1"]).unwrap();
    let error = refused(&url(&server, ":canary")).await;
    assert_says(&error, Unavailable, "ERR max number of clients reached");
}
