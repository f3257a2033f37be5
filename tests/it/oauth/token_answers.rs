//! The credentials that an exchange and a refresh create from a token response.

use std::time::Duration;

use notion_auth::{
    NotionUserCredentials,
    clock::Clock as _,
    testing::{
        MockNotion, TestClock,
        notion::{Call, Fault},
    },
};
use serde_json::{Value, json};

use super::{
    Kind, all_texts, app, assert_shows_none_of, built, code, fails, stored, token_answer,
    wire::Wire,
};

/// The start time of a `TestClock`, in Unix seconds.
const NOW: u64 = 1_767_225_600;

pub(super) fn json_of(credentials: &NotionUserCredentials) -> Value {
    serde_json::to_value(credentials.expose_tokens()).expect("credentials serialise")
}

/// Returns the object with these members added or replaced.
fn with(mut object: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().expect("an object") {
        object[name] = value.clone();
    }
    object
}

/// Asserts how the credentials change if these members are added to the token response of an exchange.
#[track_caller]
fn exchanged(answer: &Value, changes: &Value) -> impl Future<Output = ()> {
    let new = json!({
        "access_token": "ntn_2", "token_type": "Bearer", "refresh_token": "nrt_2",
        "scope": null, "expires_in": null, "expires_at": null, "id_token": null,
        "workspace_id": null, "workspace_name": null, "workspace_icon": null, "raw": {},
    });
    let expected = with(new, changes);
    let answer = with(token_answer(), answer);
    async move {
        let flow = Wire::json(200, &answer).flow(app());
        let credentials = flow.exchange_code("c0de").await.expect("credentials");
        assert_eq!(json_of(&credentials), expected, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn exchange_reads_every_form_of_expires_in() {
    for (value, expected) in [
        (json!(null), None),
        (json!(0), Some(0)),
        (json!(3600), Some(3600)),
        (json!(3599.9), Some(3599)),
        (json!(1e3), Some(1000)),
        (json!("3600"), Some(3600)),
        (json!(" 3600 "), Some(3600)),
        (json!("3600.5"), Some(3600)),
        (json!(-5), Some(0)),
        (json!("-5"), Some(0)),
        (json!("soon"), None),
        (json!(""), None),
        (json!("nan"), None),
        (json!("inf"), None),
        (json!(true), None),
        (json!([3600]), None),
        (json!({"seconds": 3600}), None),
    ] {
        let expires_at = expected.map(|seconds| NOW + seconds);
        let changes = json!({"expires_in": expected, "expires_at": expires_at});
        exchanged(&json!({ "expires_in": value }), &changes).await;
    }
    // This expiry cannot be represented as a time.
    let longest = json!({ "expires_in": u64::MAX });
    exchanged(&longest, &longest).await;
}

#[tokio::test(start_paused = true)]
async fn exchange_prefers_expires_at_if_it_is_readable() {
    let both = json!({"expires_at": 1_800_000_000, "expires_in": 60});
    exchanged(&both, &both).await;
    for unreadable in [
        json!("later"),
        json!("nan"),
        json!(true),
        json!({}),
        json!(null),
    ] {
        let mut answer = json!({ "expires_at": unreadable });
        exchanged(&answer, &json!({})).await;
        answer["expires_in"] = 60.into();
        let changes = json!({"expires_at": NOW + 60, "expires_in": 60});
        exchanged(&answer, &changes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn expires_in_counts_from_the_answer() {
    let notion = MockNotion::builder().expires_in(3600).in_process();
    let clock = TestClock::new();
    let builder = notion.provider_builder().expect("the mock's app is valid");
    let flow = built(builder.clock(clock.clone()));
    let late = Fault::DelayAfter(Duration::from_secs(7));
    notion.script(Call::TokenExchange, [late]);
    let sent_at = clock.wall();
    let exchanged = flow.exchange_code(&code(&notion, &flow)).await;
    let expires_at = exchanged.expect("a connection").expires_at;
    assert_eq!(expires_at, Some(sent_at + Duration::from_secs(3607)));
}

#[tokio::test(start_paused = true)]
async fn exchange_reads_every_member_and_ignores_those_of_a_wrong_type() {
    for (answer, changes) in [
        (json!({}), json!({})),
        (
            json!({"refresh_token": null}),
            json!({"refresh_token": null}),
        ),
        (json!({"refresh_token": ""}), json!({"refresh_token": null})),
        (json!({"refresh_token": 5}), json!({"refresh_token": null})),
        (
            json!({"refresh_token": ["x"]}),
            json!({"refresh_token": null}),
        ),
        (
            json!({"scope": "read write"}),
            json!({"scope": ["read", "write"]}),
        ),
        (
            json!({"scope": ["read", "write"]}),
            json!({"scope": ["read", "write"]}),
        ),
        (json!({"scope": ""}), json!({"scope": []})),
        (json!({"scope": null}), json!({})),
        (json!({"scope": 7}), json!({})),
        (json!({"scope": ["read", 7]}), json!({})),
        (json!({"token_type": "BEARER"}), json!({})),
        (json!({"token_type": "mac"}), json!({"token_type": "mac"})),
        (json!({"token_type": null}), json!({})),
        (json!({"token_type": 7}), json!({})),
    ] {
        exchanged(&answer, &changes).await;
    }
    let flow = Wire::json(200, &json!({"access_token": "ntn_2"})).flow(app());
    let minimal = flow.exchange_code("c0de").await.expect("credentials");
    assert!(minimal.refresh_token.is_none());
}

#[tokio::test(start_paused = true)]
async fn exchange_keeps_unknown_members_in_raw_without_tokens() {
    let unknown = json!({
        "bot_id": "b1", "owner": {"type": "workspace", "workspace": true}, "later": [1, {"a": 2}],
        "request_id": "r1", "duplicated_template_id": null,
    });
    let echo = json!({
        "echo": "ntn_2", "deep": {"refresh_token": "other", "kept": [true, "see nrt_2"]},
    });
    let kept = with(unknown.clone(), &json!({"deep": {"kept": [true]}}));
    exchanged(&with(unknown, &echo), &json!({ "raw": kept })).await;
}

#[tokio::test(start_paused = true)]
async fn success_without_an_access_token_is_ambiguous() {
    for answer in [
        json!({}),
        json!({"access_token": null, "refresh_token": "nrt_2"}),
        json!({"access_token": ""}),
        json!({"access_token": "", "refresh_token": null}),
        json!({"access_token": 7, "refresh_token": "nrt_2"}),
        json!({"token": "ntn_2"}),
        json!({"error": "invalid_grant"}),
        json!({"data": {"access_token": "ntn_2", "refresh_token": "nrt_2"}}),
        json!([1, {"data": {"access_token": "ntn_2", "refresh_token": "nrt_2"}}]),
        json!("ntn_2"),
        json!(null),
    ] {
        let flow = Wire::json(200, &answer).flow(app());
        let error = fails(flow.exchange_code("c0de").await, &Kind::Ambiguous);
        assert_shows_none_of(&all_texts(&error), &["ntn_2", "nrt_2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_keeps_missing_members_except_the_expiry() {
    let raw = |changes| json!({ "raw": with(json_of(&stored())["raw"].take(), &changes) });
    let same = |members: Value| (members.clone(), members);
    for (answer, changes) in [
        (json!({}), json!({})),
        (json!({"refresh_token": null}), json!({})),
        (json!({"refresh_token": ""}), json!({})),
        same(json!({"refresh_token": "nrt_2"})),
        same(json!({"workspace_id": "w2"})),
        (json!({"workspace_id": null}), json!({})),
        same(json!({"workspace_name": "New"})),
        same(json!({"workspace_icon": "i2"})),
        same(json!({"workspace_icon": null})),
        (json!({"scope": "a b"}), json!({"scope": ["a", "b"]})),
        (json!({"scope": null}), json!({})),
        same(json!({"id_token": "eyJ2"})),
        (
            json!({"expires_in": 90}),
            json!({"expires_in": 90, "expires_at": NOW + 90}),
        ),
        (json!({"bot_id": "b2"}), raw(json!({"bot_id": "b2"}))),
        (json!({"bot_id": null, "owner": null}), json!({})),
        (
            json!({"request_id": "r2", "duplicated_template_id": null, "later": 1}),
            raw(json!({"request_id": "r2", "duplicated_template_id": null, "later": 1})),
        ),
    ] {
        let defaults = json!({"access_token": "ntn_2", "expires_in": null, "expires_at": null});
        let expected = with(with(json_of(&stored()), &defaults), &changes);
        let answer = with(answer, &json!({"access_token": "ntn_2"}));
        let refreshed = Wire::json(200, &answer)
            .flow(app())
            .refresh(&stored())
            .await;
        let credentials = refreshed.expect("credentials");
        assert_eq!(json_of(&credentials), expected, "{answer}");
    }
}
