//! Access tokens of unusual form: those that are valid in a header are sent, and for the others an error
//! says why not.

use notion_auth::{
    AccessToken, Event, InvalidToken, NotionUserCredentials, store::RecordState,
    testing::notion::Fault,
};
use serde_json::{Value, json};

use super::arrival::{Arrival, Change, Scene};

/// A response with this access token.
macro_rules! answer_with {
    ($token:expr) => {
        |mut answer: Value| {
            answer["access_token"] = $token.into();
            Arrival::json(&answer)
        }
    };
}

#[tokio::test(start_paused = true)]
async fn token_of_any_visible_ascii_is_saved_and_sent() {
    // None of them is a b64token of RFC 6750.
    for (token, change) in [
        ("tok|en%41", answer_with!("tok|en%41") as Change),
        ("=", answer_with!("=")),
        ("a=b", answer_with!("a=b")),
        ("\"ntn_1\"", answer_with!("\"ntn_1\"")),
        (
            "!#$&'()*,:;<>?@[\\]^`{}~",
            answer_with!("!#$&'()*,:;<>?@[\\]^`{}~"),
        ),
    ] {
        let exchanged = Scene::new();
        exchanged.next_arrives(change);
        exchanged.exchange().await.unwrap();
        let refreshed = Scene::connected().await;
        refreshed.next_arrives(change);
        refreshed
            .world
            .provider
            .refresh(&refreshed.ann)
            .await
            .unwrap();
        for scene in [exchanged, refreshed] {
            assert_eq!(scene.stored().await.access_token.expose(), token);
            let status = scene.world.provider.status(&scene.ann).await.unwrap();
            assert_eq!(status.unwrap().invalid_token, None, "{token}");
            // The mock server does not know the token and answers 401.
            scene.request().await.unwrap();
            let sent = scene.world.notion.ledger().api_calls_with(token);
            assert!(!sent.is_empty(), "{token} was not sent");
        }
    }
}

const INVALID: [(Change, InvalidToken, &str); 6] = [
    (
        answer_with!(""),
        InvalidToken::Empty,
        "the access token is empty",
    ),
    (
        answer_with!("two words"),
        InvalidToken::Character { position: 4 },
        "at position 4",
    ),
    (
        answer_with!("ntn_\n"),
        InvalidToken::Character { position: 5 },
        "at position 5",
    ),
    (
        answer_with!("é"),
        InvalidToken::Character { position: 1 },
        "at position 1",
    ),
    (
        answer_with!("ab\u{7f}"),
        InvalidToken::Character { position: 3 },
        "at position 3",
    ),
    (
        |mut answer| {
            answer["token_type"] = "mac".into();
            Arrival::json(&answer)
        },
        InvalidToken::TokenType,
        "token_type is not bearer",
    ),
];

/// Asserts that the stored credentials cannot be sent for this reason, and that all sources report it.
async fn is_reported(scene: &Scene, generation: u64, reason: InvalidToken, words: &str) {
    let stored = scene.stored().await;
    let refresh = stored.refresh_token.as_ref().expect("it is saved").expose();
    assert!(scene.world.notion.ledger().is_refresh_token_live(refresh));
    let status = scene
        .world
        .provider
        .status(&scene.ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.state, RecordState::Active);
    assert_eq!(status.invalid_token, Some(reason));
    let event = Event::InvalidToken {
        subject: scene.ann.clone(),
        lineage: status.lineage.expect("it is readable"),
        generation,
        reason,
    };
    let events = scene.events();
    assert_eq!(
        events.iter().filter(|it| **it == event).count(),
        1,
        "{events:?}"
    );

    let error = scene.request().await.unwrap_err();
    assert_eq!(error.invalid_token(), Some(reason));
    for text in [error.to_string(), error.to_response().into_body()] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn token_invalid_in_a_header_is_saved_and_reported() {
    for (change, reason, words) in INVALID {
        let scene = Scene::new();
        scene.next_arrives(change);
        scene.exchange().await.unwrap();
        is_reported(&scene, 1, reason, words).await;

        let scene = Scene::connected().await;
        let old = scene.stored().await;
        scene.next_arrives(change);
        let error = scene.world.provider.refresh(&scene.ann).await.unwrap_err();
        assert_eq!(error.invalid_token(), Some(reason), "{error}");
        is_reported(&scene, 2, reason, words).await;
        // The replaced token is not sent any more.
        let sent = scene
            .world
            .notion
            .ledger()
            .api_calls_with(old.access_token.expose());
        assert!(sent.is_empty(), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_replaces_a_token_that_cannot_be_sent() {
    for (change, reason, _) in INVALID {
        let scene = Scene::new();
        scene.next_arrives(change);
        scene.exchange().await.unwrap();
        let refreshed = scene.world.provider.refresh(&scene.ann).await;
        if reason == InvalidToken::TokenType {
            // The response contains the usual token type.
            assert_eq!(scene.stored().await.token_type, "Bearer");
        }
        assert_eq!(refreshed.unwrap().generation(), 2);
        assert_eq!(scene.request().await.unwrap(), 200, "{reason}");
        scene.world.assert_nothing_lost("ann").await;
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_sent_are_stored_unchanged() {
    let scene = Scene::new();
    let mut credentials = NotionUserCredentials::new(AccessToken::new("two words"));
    let provider = &scene.world.provider;
    let stored = provider
        .store_credentials(&scene.ann, credentials.clone())
        .await;
    stored.unwrap();
    let error = scene.request().await.unwrap_err();
    assert_eq!(
        error.invalid_token(),
        Some(InvalidToken::Character { position: 4 })
    );
    assert!(!error.to_string().contains("words"), "{error}");

    let session = provider.with_credentials(&credentials).map(drop);
    assert_eq!(session, Err(InvalidToken::Character { position: 4 }));
    credentials.access_token = AccessToken::new("ntn_1");
    credentials.token_type = "mac".to_owned();
    let session = provider.with_credentials(&credentials).map(drop);
    assert_eq!(session, Err(InvalidToken::TokenType));
}

#[tokio::test(start_paused = true)]
async fn icon_of_more_than_64_kib_is_not_stored() {
    let icon = |size: usize| format!("data:image/png,{}", "A".repeat(size - 15));
    for (size, is_stored) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let exchanged = Scene::new();
        let members = json!({"workspace_icon": icon(size), "workspace_name": "Acme"});
        exchanged.script([Fault::Members(members.clone())]);
        exchanged.exchange().await.unwrap();

        let refreshed = Scene::connected().await;
        refreshed.script([Fault::Members(members.clone())]);
        refreshed
            .world
            .provider
            .refresh(&refreshed.ann)
            .await
            .unwrap();

        let imported = Scene::new();
        let mut json = members;
        json["access_token"] = "ntn_1".into();
        let credentials = serde_json::from_value(json).unwrap();
        let provider = &imported.world.provider;
        provider
            .store_credentials(&imported.ann, credentials)
            .await
            .unwrap();

        for scene in [exchanged, refreshed, imported] {
            let stored = scene.stored().await;
            assert_eq!(stored.workspace_name.as_deref(), Some("Acme"));
            assert_eq!(stored.workspace_icon.is_some(), is_stored, "{size}");
        }
    }
}
