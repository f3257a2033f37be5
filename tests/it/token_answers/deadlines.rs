//! How long an answer is waited for, and read.

use std::time::Duration;

use notion_auth::testing::notion::Fault;
use tokio::time::Instant;

use super::arrival::{Arrival, Change, Piece, Scene, cause};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The first half of the answer, and the second one after this time.
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
    // The first byte after 9 seconds, the last one 59 seconds later.
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
async fn expiry_of_a_slow_answer_counts_from_its_first_byte() {
    let scene = Scene::new();
    scene.next_arrives(|mut answer| {
        answer["expires_in"] = 3600.into();
        in_two(&answer, seconds(50))
    });
    let begun = notion_auth::clock::Clock::wall(&scene.world.clock);
    scene.exchange().await.unwrap();
    let expires_at = scene.stored().await.expires_at;
    assert_eq!(expires_at, Some(begun + seconds(3600)));
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_refresh_is_read_until_the_end_of_the_call() {
    let scene = Scene::connected().await;
    scene.refuse().await;
    scene.script([Fault::DelayAfter(seconds(4))]);
    scene.next_arrives(|answer| in_two(&answer, seconds(5)));
    assert_eq!(scene.request().await.unwrap(), 200);
    assert_eq!(scene.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_refresh_that_takes_longer_is_ambiguous() {
    let scene = Scene::connected().await;
    scene.script([Fault::DelayAfter(seconds(4))]);
    scene.next_arrives(|answer| in_two(&answer, seconds(7)));
    let began = Instant::now();
    let error = scene.world.provider.refresh(&scene.ann).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 10);
    let text = cause(&error).to_string();
    for words in ["not complete 10s after the request", "60 bytes"] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_does_not_begin_in_time_says_so() {
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
