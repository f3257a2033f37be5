//! Property tests with arbitrary JSON, credentials, expiries and tokens.

use std::time::{Duration, SystemTime};

use notion_auth::{AccessToken, InvalidToken, NotionAppCredentials, NotionUserCredentials};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{read, write};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9.eE+-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any_name(), inner), 0..6)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Generates names, often those of a member.
fn any_name() -> impl Strategy<Value = String> {
    const NAMES: [&str; 14] = [
        "access_token",
        "token_type",
        "refresh_token",
        "scope",
        "expires_in",
        "expires_at",
        "id_token",
        "workspace_id",
        "raw",
        "owner",
        "client_id",
        "token",
        "default_scope",
        "version",
    ];
    prop_oneof![
        3 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

prop_compose! {
    /// Generates the JSON of credentials, with the members of `raw` also outside of it.
    fn any_credentials()(
        access_token in ".{1,20}",
        texts in prop::array::uniform3(prop::option::of(any::<String>())),
        scope in prop::option::of(prop::collection::vec(any::<String>(), 0..4)),
        expires_in in prop::option::of(any::<u64>()),
        expires_at in prop_oneof![
            Just(Value::Null),
            any::<u32>().prop_map(Value::from),
            (0.0..5e9).prop_map(Value::from),
            (0..253_402_300_800_u64).prop_map(Value::from),
        ],
        raw in prop::collection::btree_map(any_name(), any_json(), 0..5),
    ) -> Value {
        let mut json = json!(raw);
        // A value of the wrong type is refused.
        for name in ["token_type", "workspace_id"] {
            json.as_object_mut().expect("an object").remove(name);
        }
        let [refresh_token, id_token, workspace_icon] = texts;
        for (name, value) in [
            ("access_token", json!(access_token)),
            ("refresh_token", json!(refresh_token)),
            ("id_token", json!(id_token)),
            ("workspace_icon", json!(workspace_icon)),
            ("scope", json!(scope)),
            ("expires_in", json!(expires_in)),
            ("expires_at", expires_at),
            ("raw", json!(raw)),
        ] {
            json[name] = value;
        }
        json
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_json_or_text_is_read_or_refused(
        json in any_json(),
        members in prop::collection::btree_map(any_name(), any_json(), 0..6),
        text in any::<String>(),
    ) {
        for text in [json.to_string(), json!(members).to_string(), text] {
            if let Ok(credentials) = serde_json::from_str::<NotionUserCredentials>(&text) {
                let json: Value = serde_json::from_str(&text)?;
                let token = credentials.access_token.expose();
                prop_assert_eq!(json["access_token"].as_str(), Some(token));
            }
            let _ = serde_json::from_str::<NotionAppCredentials>(&text);
        }
    }

    #[test]
    fn written_credentials_are_read_and_written_unchanged(json in any_credentials()) {
        let once = write(&read(&json.to_string()));
        let twice = write(&read(&once));
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn expires_at_is_read_as_written_to_a_microsecond(nanos in 0_u64..5_000_000_000_000_000_000) {
        let mut credentials = NotionUserCredentials::new(AccessToken::new("ntn_1"));
        let end = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        credentials.expires_at = Some(end);
        let read = read(&write(&credentials)).expires_at.expect("an expiry");
        let off = read.duration_since(end).unwrap_or_else(|before| before.duration());
        prop_assert!(off < Duration::from_micros(1), "{:?}", off);
    }

    #[test]
    fn header_value_is_sensitive_and_exists_for_visible_ascii(
        text in any::<String>(),
        near in "[ -~]{0,12}",
        valid in "[!-~]{1,12}",
    ) {
        for text in [text, near, valid] {
            let bad = text.chars().position(|it| !it.is_ascii_graphic());
            let expected = match bad {
                _ if text.is_empty() => Err(InvalidToken::Empty),
                Some(before) => Err(InvalidToken::Character { position: before + 1 }),
                None => Ok(format!("Bearer {text}")),
            };
            let token = AccessToken::new(text);
            prop_assert_eq!(token.check(), expected.clone().map(drop));
            let value = token.to_header_value();
            if let Ok(value) = &value {
                prop_assert!(value.is_sensitive());
            }
            let value = value.map(|value| value.to_str().unwrap().to_owned());
            prop_assert_eq!(value, expected);
        }
    }
}
