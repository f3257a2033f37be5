use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use http::StatusCode;

use super::{
    ask,
    program::{ANN, BOB, Gateway, KEYS, command},
    wait::{eventually_async, soon},
};
use crate::servers::{self, port};

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

// The start of the program blocks one of the threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_that_waits_for_its_store_is_healthy_and_not_ready() {
    let Some(mut redis) = servers::redis::start() else {
        return;
    };
    let database = redis.url();
    redis.stop();
    let port = port::free();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let listen = format!("127.0.0.1:{port}");
    let metrics = format!("127.0.0.1:{}", port::free());
    let metrics_url = format!("http://{metrics}/metrics");
    let starting = tokio::spawn(async move {
        let settings = [
            ("DATABASE_URL", &*database),
            KEYS,
            ("GATEWAY_LISTEN", &listen),
            ("GATEWAY_PUBLIC_URL", "https://gateway.example/notion"),
            ("GATEWAY_METRICS_LISTEN", &metrics),
        ];
        Gateway::start_with(&settings).await
    });
    let get = async |path: &str| ask::get(&url(path)).bearer(ANN).try_send().await;
    eventually_async(async || get("/healthz").await.is_some()).await;
    for (path, status, text) in [
        ("/healthz", StatusCode::OK, "ok\n"),
        ("/notion/healthz", StatusCode::OK, "ok\n"),
        ("/readyz", StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        (
            "/v1/users/me",
            StatusCode::SERVICE_UNAVAILABLE,
            "does not answer yet",
        ),
    ] {
        let answer = get(path).await.expect("an answer");
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.text().contains(text), "{path}: {answer:?}");
        // Or the connection would be served like this for ever.
        assert_eq!(answer.header("connection"), "close");
    }
    let answer = soon(ask::get(&metrics_url).send()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.header("connection"), "close");
    assert!(!starting.is_finished());
    redis.start();
    let _gateway = starting.await.expect("it starts");
    let ready = get("/readyz").await.expect("an answer");
    assert_eq!((ready.status, &*ready.text()), (StatusCode::OK, "ok\n"));
    assert_eq!(ask::get(&metrics_url).send().await.status, StatusCode::OK);
}

#[test]
fn gateway_that_waits_for_its_store_ends_with_a_signal() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut waiting = command(directory.path())
        .env("GATEWAY_KEYS", format!("{ANN}=ann"))
        .env("GATEWAY_LISTEN", format!("127.0.0.1:{}", port::free()))
        .env("NOTION_CLIENT_ID", "id")
        .env("NOTION_CLIENT_SECRET", "secret-of-the-client")
        .env(
            "DATABASE_URL",
            format!("redis://127.0.0.1:{}/", port::free()),
        )
        .envs([KEYS])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let errors = BufReader::new(waiting.stderr.take().expect("it is piped"));
    let mut lines = errors.lines().map_while(Result::ok);
    let said = lines.find(|line| line.contains("waiting up to 60 s"));
    let sent = Command::new("kill")
        .args(["-s", "TERM", &waiting.id().to_string()])
        .status();
    let status = waiting.wait().expect("it ended");
    assert!(said.is_some() && sent.is_ok_and(|it| it.success()));
    assert!(status.success(), "not by the signal itself: {status:?}");
}
