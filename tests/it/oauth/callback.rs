//! Callbacks with a code and a state, and all others.

use notion_auth::{
    oauth::{CallbackAnswer, OAuthError},
    testing::MockNotion,
};

use super::{Kind, all_texts, assert_shows_none_of, begin, fails, flow, parameter, start};

/// Parses the query alone and in URLs.
fn read(query: &str) -> [Result<CallbackAnswer, OAuthError>; 5] {
    [
        CallbackAnswer::from_query(query),
        CallbackAnswer::from_url(&format!("https://app.example/cb?{query}")),
        CallbackAnswer::from_url(&format!("https://app.example/cb?{query}#top")),
        CallbackAnswer::from_url(&format!("/cb?{query}")),
        CallbackAnswer::from_url(&format!("/cb?{query}#top")),
    ]
}

#[test]
fn callback_has_one_code_and_one_state() {
    for query in [
        "code=c&state=s",
        "state=s&code=c",
        "code=c&state=s&other=1",
        "code=%20&state=%2B",
    ] {
        for answer in read(query) {
            answer.expect(query);
        }
    }
}

#[test]
fn any_other_callback_is_refused() {
    let duplicate = "duplicate parameter";
    for (query, kind, problem) in [
        ("", Kind::Callback, "no code"),
        ("state=Canary", Kind::Callback, "no code"),
        ("code=&state=Canary", Kind::Callback, "no code"),
        ("Code=Canary&state=Canary", Kind::Callback, "no code"),
        ("code=Canary", Kind::Callback, "no state"),
        ("code=Canary&state=", Kind::Callback, "no state"),
        (
            "code=Canary1&code=Canary2&state=Canary",
            Kind::Callback,
            duplicate,
        ),
        (
            "code=Canary&code=Canary&state=Canary",
            Kind::Callback,
            duplicate,
        ),
        (
            "code=Canary&state=Canary1&state=Canary2",
            Kind::Callback,
            duplicate,
        ),
        ("code=Canary&state=Canary&state=", Kind::Callback, duplicate),
        (
            "code=Canary&%63ode=&state=Canary",
            Kind::Callback,
            duplicate,
        ),
        (
            "code=Canary&state=Canary&other=Canary1&other=Canary2",
            Kind::Callback,
            duplicate,
        ),
        (
            "error=access_denied&error=access_denied&state=",
            Kind::Callback,
            duplicate,
        ),
        (
            "error=access_denied&code=Canary&code=Canary",
            Kind::Callback,
            duplicate,
        ),
        // An error has precedence over code and state.
        ("error=access_denied&state=", Kind::Denied, "access_denied"),
        ("error=access_denied", Kind::Denied, "access_denied"),
        (
            "state=Canary&error=access_denied",
            Kind::Denied,
            "access_denied",
        ),
        (
            "code=Canary&state=Canary&error=access_denied",
            Kind::Denied,
            "access_denied",
        ),
        (
            "error=access_denied&error_description=Canary&code=&state=",
            Kind::Denied,
            "access_denied",
        ),
        (
            "error=server_error&code=Canary&state=Canary",
            Kind::Callback,
            "server_error",
        ),
        ("error=&code=Canary&state=Canary", Kind::Callback, ""),
        ("error=ntn_Canary&state=", Kind::Callback, "[REDACTED]"),
    ] {
        for answer in read(query) {
            let error = fails(answer, &kind);
            assert!(error.to_string().contains(problem), "{query}: {error}");
            assert_shows_none_of(&all_texts(&error), &["Canary"]);
        }
    }
}

#[tokio::test]
async fn denial_of_the_user_sends_nothing() {
    let notion = start(MockNotion::builder()).await;
    let url = begin(&flow(&notion)).url;
    let callback = notion.deny(url.as_str()).expect("a valid request");
    assert_eq!(parameter(&callback, "state"), "");
    fails(CallbackAnswer::from_url(&callback), &Kind::Denied);
    assert!(notion.ledger().presentations().is_empty());
}
