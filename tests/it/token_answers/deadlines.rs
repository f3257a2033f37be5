//! Time limits for the start and the end of a response.

use std::time::{Duration, SystemTime};

use notion_auth::{clock::Clock, testing::notion::Fault};
use tokio::time::{Instant, sleep, sleep_until};

use super::arrival::{Arrival, Change, Piece, Scene, cause};
use crate::secrets::Readable;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sends the first half of the response, and the second half after this time.
fn in_two(answer: &serde_json::Value, pause: Duration) -> Arrival {
    let text = answer.to_string();
    let (first, second) = text.split_at(60);
    Arrival::of(first.to_owned())
        .then(Piece::Pause(pause))
        .then(Piece::Data(second.to_owned().into()))
}

#[tokio::test(start_paused = true)]
async fn answer_of_an_exchange_is_read_for_60_seconds() {
    let scene = Scene::new();
    // The first byte arrives after 9 seconds, and the last one 59 seconds later.
    scene.script([Fault::DelayAfter(seconds(9))]);
    scene.next_arrives(|answer| in_two(&answer, seconds(59)));
    let began = Instant::now();
    scene.exchange().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 68);
    assert_eq!(scene.request().await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn answer_of_an_exchange_that_takes_longer_is_ambiguous() {
    let scene = Scene::new();
    scene.script([Fault::DelayAfter(seconds(9))]);
    scene.next_arrives(|answer| in_two(&answer, seconds(61)));
    let began = Instant::now();
    let error = scene.exchange().await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 69);
    assert!(error.is_ambiguous());
    let text = error.to_string();
    for words in ["60s after its first byte", "60 bytes", "status 200"] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn expiry_of_a_slow_response_counts_from_its_first_byte() {
    let scene = Scene::new();
    scene.next_arrives(|mut answer| {
        answer["expires_in"] = 3600.into();
        in_two(&answer, seconds(50))
    });
    let begun = Clock::wall(&scene.world.clock);
    scene.exchange().await.unwrap();
    let expires_at = scene.stored().await.expires_at;
    assert_eq!(expires_at, Some(begun + seconds(3600)));
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_refresh_is_read_for_60_seconds_under_its_lease() {
    let scene = Scene::connected().await;
    scene.refuse().await;
    scene.script([Fault::DelayAfter(seconds(9))]);
    scene.next_arrives(|answer| in_two(&answer, seconds(59)));
    let began = Instant::now();
    // A request waits no longer than `acquire_timeout`.
    let error = scene.request().await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 15);
    assert!(error.is_transient(), "{error}");
    while began.elapsed() < seconds(67) {
        let lease = scene.record().await["lease"].clone();
        let since = seconds(lease["since"].as_u64().unwrap() / 1_000_000);
        let now = Clock::wall(&scene.world.clock);
        let age = now.duration_since(SystemTime::UNIX_EPOCH + since).unwrap();
        assert!(age < seconds(12), "{age:?} after {:?}", began.elapsed());
        sleep(seconds(1)).await;
    }
    sleep(seconds(2)).await;
    assert_eq!(scene.generation().await, (2, false));
    assert_eq!(scene.request().await.unwrap(), 200);
    assert_eq!(scene.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_refresh_that_takes_longer_is_ambiguous() {
    let readable = Readable::default();
    let _guard = readable.collect_logs();
    let scene = Scene::connected().await;
    scene.refuse().await;
    scene.script([Fault::DelayAfter(seconds(9))]);
    scene.next_arrives(|answer| in_two(&answer, seconds(61)));
    let began = Instant::now();
    drop(scene.request().await);
    for (time, is_in_doubt) in [(68, false), (70, true)] {
        sleep_until(began + seconds(time)).await;
        assert_eq!(scene.record().await["lease"]["in_doubt"], is_in_doubt);
    }
    for words in ["60s after its first byte", "60 bytes"] {
        readable.assert_says(words);
    }
}

#[tokio::test(start_paused = true)]
async fn response_that_does_not_begin_in_time_is_reported() {
    let late: Change = |answer| Arrival::json(&answer);
    let scene = Scene::connected().await;
    scene.script([Fault::DelayAfter(seconds(11)), Fault::HangAfter]);
    scene.next_arrives(late);
    let refreshed = scene.world.provider.refresh(&scene.ann).await.unwrap_err();
    let exchanged = scene.flow().exchange_code(&scene.code()).await.unwrap_err();
    for error in [cause(&refreshed), &exchanged] {
        assert!(error.is_ambiguous());
        let text = error.to_string();
        assert!(
            text.contains("no answer of the OAuth endpoint began within 10s"),
            "{text}"
        );
    }
}
