//! Property tests with arbitrary responses and callbacks.

use std::collections::BTreeSet;

use notion_auth::{AccessToken, oauth::CallbackAnswer};
use proptest::prelude::*;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    all_texts, app, kind, stored,
    token_answers::json_of,
    wire::{Wire, response},
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Generates bytes, or JSON that is almost a valid response.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec("[a-z]{0,3}", 0..3).prop_map(Value::from),
        "[a-z]{0,3}".prop_map(|text| json!({"access_token": text, "object": "error"})),
    ];
    const NAMES: [&str; 14] = [
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "expires_at",
        "scope",
        "id_token",
        "workspace_id",
        "workspace_name",
        "owner",
        "active",
        "error",
        "object",
        "code",
    ];
    let token = prop_oneof![
        2 => "[a-z]{0,2}".prop_map(|text| Some(Value::from(text))),
        1 => value.clone().prop_map(Some),
        1 => Just(None),
    ];
    let members = prop::collection::btree_map(prop::sample::select(&NAMES[..]), value, 0..8);
    let members = (members, token).prop_map(|(mut members, token)| {
        if let Some(token) = token {
            members.insert("access_token", token);
        }
        members
    });
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..200),
        4 => members.prop_map(|members| json!(members).to_string().into_bytes()),
        1 => (members_text(), any::<prop::sample::Index>())
            .prop_map(|(text, end)| text.as_bytes()[..end.index(text.len())].to_vec()),
    ]
}

/// Generates a token response to be truncated.
fn members_text() -> impl Strategy<Value = String> {
    "[ -~]{1,20}"
        .prop_map(|token| json!({"access_token": token, "token_type": "bearer"}).to_string())
}

fn any_status() -> impl Strategy<Value = u16> {
    prop_oneof![1 => Just(200_u16), 1 => Just(400_u16), 1 => 200..1000_u16]
}

fn any_callback() -> impl Strategy<Value = String> {
    const PARTS: [&str; 14] = [
        "code=c",
        "state=s",
        "error=e",
        "error=access_denied",
        "code",
        "state=",
        "code=",
        "&",
        "=",
        "%",
        "%63ode=c",
        "#",
        "?",
        "+",
    ];
    let part = prop_oneof![
        6 => prop::sample::select(&PARTS[..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop_oneof![
        any::<String>(),
        prop::collection::vec(part, 0..6).prop_map(|parts| parts.join("&")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn credentials_need_a_2xx_with_an_access_token(body in any_body(), status in any_status()) {
        let sent = body.clone();
        let wire = Wire::new(move |_| response(status, sent.clone()));
        let flow = wire.flow(app());
        let (exchanged, refreshed, introspected) = runtime().block_on(async {
            (
                flow.exchange_code("c0de").await,
                flow.refresh(&stored()).await,
                flow.introspect(&AccessToken::new("ntn_1")).await,
            )
        });
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_text = |name| answer[name].as_str().is_some_and(|it| !it.is_empty());
        let token = answer["access_token"].as_str();
        let token = token.filter(|token| !token.is_empty() || is_text("refresh_token"));
        let is_valid = token.is_some() && (200..300).contains(&status);
        for outcome in [exchanged, refreshed] {
            prop_assert_eq!(outcome.is_ok(), is_valid);
            match outcome {
                Ok(credentials) => {
                    prop_assert_eq!(Some(credentials.access_token.expose()), token);
                    json_of(&credentials);
                }
                Err(error) => {
                    kind(&error);
                    all_texts(&error);
                }
            }
        }
        if let Ok(introspected) = introspected {
            prop_assert_eq!(answer["active"].as_bool(), Some(introspected.active));
        }
    }

    #[test]
    fn callback_needs_one_code_one_state_no_error_and_no_duplicate(
        prefix in prop::sample::select(&["", "/", "/cb?", "https://a.example/?", "https:?", "//", "?"][..]),
        query in any_callback(),
    ) {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let names: BTreeSet<_> = pairs.iter().map(|(name, _)| name).collect();
        let has = |name| pairs.iter().any(|(it, value)| it == name && !value.is_empty());
        let has_error = pairs.iter().any(|(name, _)| name == "error");
        let is_valid = names.len() == pairs.len() && has("code") && has("state") && !has_error;
        prop_assert_eq!(CallbackAnswer::from_query(&query).is_ok(), is_valid);

        if let Err(error) = CallbackAnswer::from_url(&format!("{prefix}{query}")) {
            kind(&error);
            all_texts(&error);
        }
    }
}
