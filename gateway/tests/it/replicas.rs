//! Two replicas over one PostgreSQL, behind a proxy that hands each connection to the other one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::StatusCode;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use super::{
    ask,
    program::{ANN, BOB, Gateway, KEYS, connecting},
};
use crate::servers::{self, port};

/// Hands connections to these ports in turn, and to the next one if one does not listen.
async fn proxy(port: u16, replicas: [u16; 2]) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    let listener = listener.expect("a socket");
    tokio::spawn(async move {
        let next = Arc::new(AtomicUsize::new(0));
        while let Ok((mut caller, _)) = listener.accept().await {
            let next = Arc::clone(&next);
            tokio::spawn(async move {
                for _ in 0..replicas.len() {
                    let at = next.fetch_add(1, Ordering::Relaxed) % replicas.len();
                    if let Ok(mut replica) = TcpStream::connect(("127.0.0.1", replicas[at])).await {
                        let _ = copy_bidirectional(&mut caller, &mut replica).await;
                        return;
                    }
                }
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_behind_a_proxy_are_one_gateway() {
    let Some(postgres) = servers::postgres::shared() else {
        return;
    };
    let database = servers::postgres::fresh_database(postgres);
    let settings = [
        ("DATABASE_URL", &*postgres.url_of("postgres", &database)),
        KEYS,
    ];
    let [public, first, second] = [(); 3].map(|()| port::free());
    let mut gateway = Gateway::start_behind(public, first, &settings).await;
    let second_replica = gateway.start_replica(second);
    proxy(public, [first, second]).await;

    // Each request has a connection of its own, so one replica begins a flow and the other one completes it.
    for key in [ANN, BOB] {
        gateway.connect(key).await;
    }
    assert_ne!(gateway.bot(ANN).await, gateway.bot(BOB).await);

    // A visitor that one of them signed in is known to both.
    let signed_in = ask::post(&format!("{}/connect/sign-in", gateway.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &gateway.url)
        .body(format!("key={}", connecting(ANN)))
        .send()
        .await;
    for _ in 0..2 {
        let page = ask::get(&format!("{}/connect", gateway.url))
            .header("cookie", signed_in.cookie())
            .send()
            .await;
        assert!(page.text().contains("is connected"), "{}", page.text());
    }

    // A link that one of them made is used through one of them, once.
    let made = ask::post(&format!("{}/connect/links", gateway.url))
        .bearer(&connecting(ANN))
        .send()
        .await;
    let url = made.json()["url"].as_str().expect("a URL").to_owned();
    let (_, token) = url.split_once('?').expect("a token");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let followed = ask::post(&format!("{}/connect/link", gateway.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &gateway.url)
            .body(token.to_owned())
            .send()
            .await;
        statuses.push(followed.status);
    }
    let gone = StatusCode::GONE;
    assert_eq!(statuses, [StatusCode::SEE_OTHER, gone, gone]);

    let bot = gateway.bot(ANN).await;
    gateway.revoke_the_last_token();
    let requests: Vec<_> = (0..20)
        .map(|_| tokio::spawn(gateway.me(ANN).send()))
        .collect();
    for request in requests {
        let answer = request.await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.json()["id"], *bot);
    }
    assert_eq!(gateway.notion.ledger().refreshes().len(), 1);
    assert!(gateway.notion.ledger().refresh_token_reuses().is_empty());

    // While one is replaced, the other one serves.
    gateway.process.terminate();
    assert!(gateway.process.ended().success());
    for _ in 0..4 {
        assert_eq!(gateway.bot(ANN).await, bot);
    }
    for said in [gateway.process.said(), second_replica.said()] {
        assert!(said.contains("path=\"/v1/users/me\" status=200"), "{said}");
    }
}
