//! One test row for each form of token response.

use std::time::Duration;

use notion_auth::{NotionUserCredentials, credentials::RefreshToken};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    arrival::{Arrival, Change, Scene, cause},
    rows::{
        Expected::{AccessToken, Ambiguous, Pair},
        rows,
    },
};
use crate::secrets::Readable;

#[tokio::test(start_paused = true)]
async fn exchange_saves_and_uses_the_pair_in_every_form() {
    for (name, change, expected) in rows() {
        let readable = Readable::default();
        let _guard = readable.collect_logs();
        let scene = Scene::new();
        scene.next_arrives(change);
        let outcome = scene.exchange().await;
        match expected {
            Ambiguous(words) => {
                let error = outcome.expect_err(name);
                assert!(error.is_ambiguous(), "{name}: {error}");
                assert_says(name, &error.to_string(), words);
                continue;
            }
            Pair | AccessToken => outcome.unwrap_or_else(|error| panic!("{name}: {error}")),
        }
        let stored = scene.stored().await;
        match expected {
            AccessToken => assert!(stored.refresh_token.is_none(), "{name}"),
            _ => is_the_living_pair(&scene, name).await,
        }
        assert_eq!(scene.request().await.unwrap(), 200, "{name}");
        assert_eq!(scene.refreshes(), 0, "{name}");
        assert!(stored.workspace_icon.is_none(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_saves_and_uses_the_pair_in_every_form() {
    for (name, change, expected) in rows() {
        let readable = Readable::default();
        let _guard = readable.collect_logs();
        let scene = Scene::connected().await;
        let old = scene.stored().await;
        scene.next_arrives(change);
        if let Ambiguous(words) = expected {
            let error = scene.world.provider.refresh(&scene.ann).await.unwrap_err();
            assert!(error.is_transient(), "{name}: {error}");
            assert_says(name, &cause(&error).to_string(), words);
            for words in words {
                readable.assert_says(words);
            }
            // The attempt is in doubt, so the lease stays.
            assert_eq!(scene.generation().await, (1, true), "{name}");
            continue;
        }
        scene.refuse().await;
        if scene.request().await.is_err() {
            // The response never ends, and is read for longer than a request waits.
            sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(scene.request().await.unwrap(), 200, "{name}");
        assert_eq!(scene.refreshes(), 1, "{name}");
        assert_eq!(scene.generation().await, (2, false), "{name}");
        let stored = scene.stored().await;
        match expected {
            AccessToken => {
                let token = |it: &NotionUserCredentials| {
                    it.refresh_token.as_ref().map(|it| it.expose().to_owned())
                };
                assert_eq!(token(&stored), token(&old), "{name}");
                assert_ne!(
                    stored.access_token.expose(),
                    old.access_token.expose(),
                    "{name}"
                );
            }
            _ => is_the_living_pair(&scene, name).await,
        }
        assert_eq!(scene.request().await.unwrap(), 200, "{name}");
        assert_eq!(scene.refreshes(), 1, "{name}");
        assert!(stored.workspace_icon.is_none(), "{name}");
    }
}

async fn is_the_living_pair(scene: &Scene, name: &str) {
    let ledger = scene.world.notion.ledger();
    let stored = scene.stored().await;
    let access = stored.access_token.expose();
    let refresh = stored.refresh_token.as_ref().map(RefreshToken::expose);
    assert!(ledger.is_access_token_live(access), "{name}");
    let is_live = refresh.is_some_and(|token| ledger.is_refresh_token_live(token));
    assert!(is_live, "{name}");
}

#[track_caller]
fn assert_says(name: &str, text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "{name}: {words:?} is not in {text:?}");
    }
}

/// Values of `refresh_token` that are not tokens, and the log message about each.
const UNUSABLE: [(Change, &str); 4] = [
    (|it| refresh_token(it, json!(7654321)), "a number"),
    (|it| refresh_token(it, json!({"a": "7654321"})), "an object"),
    (|it| refresh_token(it, json!(["7654321"])), "an array"),
    (|it| refresh_token(it, json!("")), "empty"),
];

fn refresh_token(mut answer: Value, token: Value) -> Arrival {
    answer["refresh_token"] = token;
    Arrival::json(&answer)
}

#[tokio::test(start_paused = true)]
async fn invalid_refresh_token_is_logged_and_the_old_one_kept() {
    for (change, problem) in UNUSABLE {
        let readable = Readable::default();
        let _guard = readable.collect_logs();
        let scene = Scene::connected().await;
        let old = scene.stored().await.refresh_token;
        scene.next_arrives(change);
        scene.world.provider.refresh(&scene.ann).await.unwrap();
        let new = scene.stored().await.refresh_token;
        assert_eq!(
            new.as_ref().map(RefreshToken::expose),
            old.as_ref().map(RefreshToken::expose)
        );
        readable.assert_says(&format!("its `refresh_token` is {problem}"));
        readable.assert_free_of(&[("refresh_token", "7654321")]);
    }
}

#[tokio::test(start_paused = true)]
async fn new_refresh_token_that_is_not_valid_json_replaces_the_old_one() {
    let rows: [(Change, &str); 3] = [
        (|it| quoted(&it, r"nrt_new\ud83d"), "nrt_new\u{fffd}"),
        (|it| quoted(&it, r"nrt_new\x"), r"nrt_new\x"),
        (|it| quoted(&it, "nrt_new\t\u{1}"), "nrt_new\t\u{1}"),
    ];
    for (change, token) in rows {
        let scene = Scene::connected().await;
        scene.next_arrives(change);
        scene.world.provider.refresh(&scene.ann).await.unwrap();
        let stored = scene.stored().await.refresh_token;
        assert_eq!(stored.unwrap().expose(), token);
    }
}

/// Returns a response whose refresh token is written in this way.
fn quoted(answer: &Value, literal: &str) -> Arrival {
    let access = &answer["access_token"];
    Arrival::of(format!(
        r#"{{"access_token":{access},"refresh_token":"{literal}"}}"#
    ))
}

#[tokio::test(start_paused = true)]
async fn negative_expires_in_has_expired() {
    let scene = Scene::new();
    scene.next_arrives(|mut answer| {
        answer["expires_in"] = json!(-5);
        Arrival::json(&answer)
    });
    scene.exchange().await.unwrap();
    assert_eq!(scene.stored().await.expires_in, Some(0));
    is_the_living_pair(&scene, "expires_in -5").await;
}

#[tokio::test(start_paused = true)]
async fn refusal_with_text_around_it_is_definite() {
    let changes: [Change; 3] = [
        |_| Arrival::of(r#"{"error":"invalid_grant"} <!-- x -->"#).status(400),
        |_| Arrival::of("\u{feff}\u{feff}{\"error\":\"invalid_grant\"}").status(400),
        |_| Arrival::of(r#"{"error":"invalid_grant",}"#).status(400),
    ];
    for change in changes {
        let scene = Scene::connected().await;
        scene.next_arrives(change);
        let error = scene.world.provider.refresh(&scene.ann).await.unwrap_err();
        assert!(error.to_string().contains("was revoked"), "{error}");
        assert_eq!(scene.refreshes(), 1);
    }
}
