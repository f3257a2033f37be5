use std::time::Instant;

use http::StatusCode;

use super::{
    ask,
    program::{BOB, Gateway, KEYS},
    wait::eventually_async,
};
use crate::servers;

#[tokio::test]
async fn its_metrics_are_those_of_the_crate_and_name_nobody() {
    let gateway = Gateway::start().await;
    let me = format!("{}/v1/users/me", gateway.url);
    ask::get(&me).bearer(BOB).send().await;
    let answer = ask::get(&format!("{}/metrics", gateway.url)).send().await;
    let said = answer.text();
    let waited = "notion_auth_acquire_duration_seconds_count{outcome=\"not_connected\"} 1";
    assert!(said.contains(waited), "{said}");
    // The other series that the crate's page for Prometheus queries.
    let bucket =
        "notion_auth_acquire_duration_seconds_bucket{outcome=\"not_connected\",le=\"15\"} 1";
    assert!(said.contains(bucket), "{said}");
    assert!(!said.contains("bob"), "{said}");
}

#[tokio::test]
async fn healthy_gateway_says_so() {
    let gateway = Gateway::start().await;
    for path in ["healthz", "readyz"] {
        let answer = ask::get(&format!("{}/{path}", gateway.url)).send().await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (StatusCode::OK, "ok\n")
        );
    }
    let answer = ask::get(&format!("{}/nothing", gateway.url)).send().await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_whether_it_is_ready_cost_the_store_one_question_in_a_second() {
    let Some(redis) = servers::redis::start() else {
        return;
    };
    let gateway = Gateway::start_with(&[("DATABASE_URL", &redis.url()), KEYS]).await;
    // Each question is one write that changes nothing.
    let asked = || {
        let statistics = redis.ask(&["INFO", "commandstats"]).expect("an answer");
        let (_, calls) = statistics
            .split_once("cmdstat_zadd:calls=")
            .expect("the number of calls");
        let (calls, _) = calls.split_once(',').expect("more after it");
        calls.parse::<u64>().expect("a number")
    };
    let before = asked();
    let begin = Instant::now();
    let everybody: Vec<_> = (0..100)
        .map(|_| tokio::spawn(ask::get(&format!("{}/readyz", gateway.url)).send()))
        .collect();
    for one in everybody {
        assert_eq!(one.await.expect("an answer").status, StatusCode::OK);
    }
    let took = begin.elapsed().as_secs();
    let questions = asked() - before;
    assert!(
        (1..=took + 1).contains(&questions),
        "{questions} in {took} s"
    );
}

#[tokio::test]
async fn store_that_is_away_makes_it_not_ready_but_leaves_it_healthy() {
    let Some(mut redis) = servers::redis::start() else {
        return;
    };
    let gateway = Gateway::start_with(&[("DATABASE_URL", &redis.url()), KEYS]).await;
    let status = async |path: &str| {
        let answer = ask::get(&format!("{}/{path}", gateway.url)).send().await;
        answer.status
    };
    assert_eq!(status("readyz").await, StatusCode::OK);
    redis.stop();
    eventually_async(async || status("readyz").await == StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(status("healthz").await, StatusCode::OK);
}

#[tokio::test]
async fn watched_gateway_says_that_it_is_draining_and_serves_while_it_does() {
    let mut gateway = Gateway::start().await;
    gateway.connect(BOB).await;
    let ready = || ask::get(&format!("{}/readyz", gateway.url)).send();
    assert_eq!(ready().await.status, StatusCode::OK);
    gateway.process.terminate();
    eventually_async(async || {
        let answer = ready().await;
        answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.text() == "draining\n"
    })
    .await;
    gateway.bot(BOB).await;
    assert!(gateway.process.ended().success());
}
