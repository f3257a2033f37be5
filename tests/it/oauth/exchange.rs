//! From a callback to credentials.

use std::time::Duration;

use notion_auth::{
    Subject,
    oauth::{OAuthFlow, PendingFlow},
    testing::{MockNotion, TestClock, notion::Outcome},
};
use serde_json::json;

use super::{
    Kind, all_texts, ann, answer, app_of, assert_connected, assert_shows_none_of, begin, built,
    code, consent, fails, flow, parameter, provider, refresh_token, start,
};

/// Asserts that a flow of ann's can be completed.
async fn connects(notion: &MockNotion, flow: &OAuthFlow) {
    let begun = begin(flow);
    let callback = answer(&consent(notion, &begun.url));
    let exchanged = flow.exchange(begun.pending, &ann(), callback).await;
    assert_connected(notion, &exchanged.expect("a connection"));
}

#[tokio::test]
async fn callback_is_exchanged_for_credentials() {
    let notion = start(MockNotion::builder()).await;
    connects(&notion, &flow(&notion)).await;
    let presented = notion.ledger().presentations();
    assert_eq!(presented.len(), 1);
    assert_eq!(presented[0].outcome, Outcome::Accepted);
}

#[tokio::test]
async fn code_is_valid_for_one_exchange() {
    let notion = start(MockNotion::builder()).await;
    let flow = flow(&notion);
    let code = code(&notion, &flow);
    let first = flow.exchange_code(&code).await.expect("a connection");
    assert_connected(&notion, &first);
    assert_eq!(notion.ledger().presentations_of(&code).len(), 1);
    let invalid_grant = Kind::Refused(400, "invalid_grant".to_owned());
    fails(flow.exchange_code(&code).await, &invalid_grant);
    assert_eq!(notion.ledger().presentations_of(&code).len(), 2);
}

#[tokio::test]
async fn refresh_rotates_both_tokens() {
    let notion = start(MockNotion::builder()).await;
    let old = notion.connect();
    let new = flow(&notion).refresh(&old).await.expect("a refresh");
    assert_connected(&notion, &new);
    assert_ne!(new.access_token.expose(), old.access_token.expose());
    assert_ne!(refresh_token(&new), refresh_token(&old));
    assert_eq!(notion.ledger().refreshes().len(), 1);
}

// The mock server requires the same redirect URI in the authorization URL and in the exchange, or none in
// both.

#[tokio::test]
async fn exchange_repeats_the_redirect_uri_verbatim() {
    let odd = "https://APP.example:443/a/../cb?x=%7e";
    let notion = start(MockNotion::builder().redirect_uri(odd)).await;
    connects(&notion, &flow(&notion)).await;
}

#[tokio::test]
async fn app_without_a_redirect_uri_sends_none() {
    let notion = start(MockNotion::builder()).await;
    let flow = built(provider(app_of(&notion)));
    let url = begin(&flow).url;
    assert!(url.query_pairs().all(|(name, _)| name != "redirect_uri"));
    connects(&notion, &flow).await;
    let exchanged = flow.exchange_code(&code(&notion, &flow)).await;
    assert_connected(&notion, &exchanged.expect("a connection"));
}

#[tokio::test(start_paused = true)]
async fn pending_flow_keeps_the_redirect_uri_it_was_created_with() {
    let (old, new) = ("https://app.example/old", "https://app.example/new");
    let notion = MockNotion::builder().redirect_uri(old).redirect_uri(new);
    let notion = notion.in_process();
    let begun = begin(&flow(&notion));
    let callback = answer(&consent(&notion, &begun.url));

    let app = app_of(&notion).redirect_uri(new);
    let after = built(provider(app).transport(notion.service()));
    let exchanged = after.exchange(begun.pending, &ann(), callback).await;
    assert_connected(&notion, &exchanged.expect("a connection"));
}

#[tokio::test]
async fn state_of_another_flow_is_refused_and_not_sent() {
    let notion = start(MockNotion::builder()).await;
    let flow = flow(&notion);
    let (pending, other) = (begin(&flow).pending, begin(&flow));
    let code = parameter(&consent(&notion, &other.url), "code");
    let state = pending.expose_state();
    for other in [
        other.pending.expose_state(),
        &state[..42],
        &format!("{state}A"),
        &state.to_ascii_lowercase(),
    ] {
        let callback = answer(&format!("/cb?code={code}&state={other}"));
        let exchanged = flow.exchange(pending.clone(), &ann(), callback).await;
        let error = fails(exchanged, &Kind::Callback);
        assert!(error.to_string().contains("another flow"), "{error}");
        assert_shows_none_of(&all_texts(&error), &[&code, state, other]);
    }
    assert!(notion.ledger().presentations().is_empty());
}

#[tokio::test]
async fn callback_for_another_subject_is_refused_and_not_sent() {
    let notion = start(MockNotion::builder()).await;
    let flow = flow(&notion);
    for other in ["bob", "", "ann ", "Ann"].map(Subject::new) {
        let begun = begin(&flow);
        let callback = answer(&consent(&notion, &begun.url));
        let exchanged = flow.exchange(begun.pending, &other, callback).await;
        let error = fails(exchanged, &Kind::Callback);
        assert!(error.to_string().contains("another subject"), "{error}");
    }
    assert!(notion.ledger().presentations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn pending_flow_expires_after_ten_minutes() {
    assert_eq!(PendingFlow::LIFETIME, Duration::from_secs(600));
    for (age, is_valid) in [(0, true), (600, true), (601, false), (86_400, false)] {
        let notion = MockNotion::in_process();
        let clock = TestClock::new();
        let builder = notion.provider_builder().expect("the mock's app is valid");
        let flow = built(builder.clock(clock.clone()));
        let begun = begin(&flow);
        let callback = answer(&consent(&notion, &begun.url));
        clock.step_wall_forward(Duration::from_secs(age));
        let exchanged = flow.exchange(begun.pending, &ann(), callback).await;
        if is_valid {
            exchanged.expect("a connection");
        } else {
            let error = fails(exchanged, &Kind::Callback);
            assert!(error.to_string().contains("10 minutes"), "{error}");
        }
        let sent = notion.ledger().presentations().len();
        assert_eq!(sent, usize::from(is_valid), "{age}");
    }
}

#[tokio::test(start_paused = true)]
async fn pending_flow_can_be_serialised() {
    let notion = MockNotion::in_process();
    let flow = flow(&notion);
    let begun = begin(&flow);
    let json = serde_json::to_string(&begun.pending).expect("it serialises");
    let pending: PendingFlow = serde_json::from_str(&json).expect("it deserialises");
    assert_eq!(pending.subject(), ann());
    assert_eq!(pending.expose_state(), begun.pending.expose_state());

    let callback = answer(&consent(&notion, &begun.url));
    let exchanged = flow.exchange(pending, &ann(), callback).await;
    assert_connected(&notion, &exchanged.expect("a connection"));
}

#[test]
fn error_for_an_invalid_pending_flow_does_not_show_it() {
    for json in [
        json!("Canary"),
        json!(["Canary"]),
        json!({"state": {"a": "Canary"}, "subject": "s", "created_at": 1}),
        json!({"state": "Canary", "subject": "s", "created_at": "Canary"}),
        json!({"state": "Canary"}),
    ] {
        let error = serde_json::from_value::<PendingFlow>(json).expect_err("no pending flow");
        assert_shows_none_of(&format!("{error} {error:?}"), &["Canary"]);
    }
}
