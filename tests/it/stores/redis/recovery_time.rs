use std::{cell::RefCell, time::Duration};

use super::{connected, proxy::Proxy};
use crate::{servers::redis::start, stores::recovery_time::measure};

const AIM: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes two minutes"]
async fn requests_succeed_within_5_seconds_after_a_killed_server_is_back() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let server = RefCell::new(server);
    for seconds in [1, 20] {
        let (down, up) = (
            || server.borrow_mut().kill(),
            || server.borrow_mut().start(),
        );
        let lasts = Duration::from_secs(seconds);
        measure("Redis killed", store.clone(), down, lasts, up, AIM).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes two minutes"]
async fn requests_succeed_within_5_seconds_after_a_failover() {
    let Some(server) = start() else { return };
    let store = connected(&server).await;
    let set = |host, port| drop(server.ask(&["REPLICAOF", host, port]).unwrap());
    for seconds in [1, 20] {
        let (down, up) = (|| set("127.0.0.1", "1"), || set("NO", "ONE"));
        let lasts = Duration::from_secs(seconds);
        measure("Redis a replica", store.clone(), down, lasts, up, AIM).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes half a minute"]
async fn requests_succeed_within_5_seconds_after_all_connections_died() {
    let Some(server) = start() else { return };
    let proxy = Proxy::to(&server).await;
    let store = notion_auth::RedisStore::connect(proxy.url()).await.unwrap();
    let down = || proxy.swallow();
    let what = "Redis connections swallow commands";
    measure(what, store, down, Duration::ZERO, || (), AIM).await;
}
