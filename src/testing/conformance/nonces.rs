use std::time::Duration;

use tokio::task::JoinSet;

use super::trial::{Trial, broken};
use crate::store::Nonce;

const RULE: &str = "consume_nonce returns true once in a nonce's lifetime";

const LONG: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

pub(super) async fn check(trial: &Trial) {
    let nonce = |namespace: &str, digest| Nonce::new(trial.namespace(namespace), [digest; 32]);

    let ann = nonce("nonce", 1);
    expect(trial, &ann, LONG, true, "a new nonce").await;
    expect(trial, &ann, LONG, false, "a consumed nonce").await;
    expect(trial, &nonce("nonce", 2), LONG, true, "another digest").await;
    expect(trial, &nonce("other", 1), LONG, true, "another namespace").await;

    let (short, purged) = (nonce("nonce", 3), nonce("nonce", 4));
    let minute = nonce("nonce", 6);
    expect(trial, &minute, MINUTE, true, "a new nonce").await;
    expect(trial, &short, SHORT, true, "a new nonce").await;
    expect(trial, &purged, SHORT, true, "a new nonce").await;
    trial.pass(SHORT).await;
    expect(trial, &short, LONG, true, "an expired nonce").await;
    expect(
        trial,
        &minute,
        MINUTE,
        false,
        "a nonce of a minute, consumed again immediately",
    )
    .await;
    trial.purge().await;
    expect(trial, &purged, LONG, true, "a purged nonce").await;
    expect(
        trial,
        &short,
        LONG,
        false,
        "a nonce consumed again after a purge",
    )
    .await;

    let mut race = JoinSet::new();
    for _ in 0..8 {
        let (trial, nonce) = (trial.clone(), nonce("nonce", 5));
        race.spawn(async move { trial.consume(&nonce, LONG).await });
    }
    let wins = race.join_all().await.into_iter().filter(|won| *won).count();
    if wins != 1 {
        broken(
            RULE,
            format_args!("{wins} of 8 concurrent calls returned true"),
        );
    }
}

async fn expect(trial: &Trial, nonce: &Nonce, lifetime: Duration, first: bool, what: &str) {
    let consumed = trial.consume(nonce, lifetime).await;
    if consumed != first {
        broken(RULE, format_args!("{what}: {consumed}, expected {first}"));
    }
}
