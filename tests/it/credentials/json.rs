//! The JSON of the users' credentials.

use std::time::{Duration, SystemTime};

use notion_auth::{AccessToken, NotionUserCredentials, credentials::RefreshToken};
use serde_json::{Value, json};

use super::{CANARY, CANARY_NUMBER, assert_error_shows_no_canary, read, with, with_token, write};

/// The JSON in DESIGN.md, with values for its `…`.
const DESIGN: &str = concat!(
    r#"{"access_token":"ntn_1","token_type":"Bearer","refresh_token":"nrt_1","scope":["read","write"],"#,
    r#""expires_in":null,"expires_at":null,"id_token":null,"workspace_id":"w1","workspace_name":"Acme","#,
    r#""workspace_icon":null,"raw":{"bot_id":"b1","owner":{"type":"user","user":{"object":"user","id":"u1"}},"#,
    r#""duplicated_template_id":null,"request_id":"r1"}}"#,
);

#[track_caller]
fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect(json)
}

#[test]
fn documented_json_is_written_as_it_was_read() {
    let written = write(&read(DESIGN));
    assert_eq!(parse(&written), parse(DESIGN));
    // Byte for byte, except for the order of the members of `raw`, which depends on its map type.
    let (head, _) = DESIGN.split_once("\"raw\"").expect("raw");
    assert!(written.starts_with(head), "{written}");
}

#[test]
fn written_json_is_read_and_written_unchanged() {
    for json in [
        DESIGN,
        r#"{"access_token":"a"}"#,
        r#"{"access_token":"a","scope":[],"expires_in":0,"expires_at":0,"id_token":"i"}"#,
        r#"{"access_token":"a","expires_at":1767225600.25,"raw":{"x":[1,2.5,"y",null]}}"#,
        r#"{"access_token":"a","expires_at":1767225600.1234567,"raw":{"x":0.1234567890123456}}"#,
    ] {
        let written = write(&read(json));
        assert_eq!(write(&read(&written)), written);
    }
}

#[test]
fn every_member_is_read() {
    let it = read(DESIGN);
    let refresh_token = it.refresh_token.as_ref().map(RefreshToken::expose);
    assert_eq!(it.access_token.expose(), "ntn_1");
    assert_eq!(it.token_type, "Bearer");
    assert_eq!(refresh_token, Some("nrt_1"));
    assert_eq!(it.scope.as_deref().expect("a scope"), ["read", "write"]);
    assert_eq!((it.expires_in, it.expires_at), (None, None));
    assert!(it.id_token.is_none());
    assert_eq!(it.workspace_id.as_deref(), Some("w1"));
    assert_eq!(it.workspace_name.as_deref(), Some("Acme"));
    assert_eq!(it.workspace_icon, None);
    assert_eq!(it.bot_id(), Some("b1"));
    let owner = json!({"type": "user", "user": {"object": "user", "id": "u1"}});
    assert_eq!(it.owner(), Some(&owner));
    assert_eq!(it.duplicated_template_id(), None);
    assert_eq!(it.raw["request_id"], "r1");
}

#[test]
fn every_member_but_the_access_token_may_be_missing_or_null() {
    let nulls = json!({
        "token_type": null, "refresh_token": null, "scope": null, "expires_in": null,
        "expires_at": null, "id_token": null, "workspace_id": null, "workspace_name": null,
        "workspace_icon": null, "raw": null,
    });
    let mut expected = with_token(&nulls);
    expected["token_type"] = "Bearer".into();
    expected["raw"] = json!({});
    let new = NotionUserCredentials::new(AccessToken::new("ntn_1"));
    for credentials in [new, with(&json!({})), with(&nulls)] {
        assert_eq!(parse(&write(&credentials)), expected);
    }
}

#[test]
fn scope_is_read_from_a_list_or_a_string() {
    for (written, expected) in [
        (json!(["read", "write"]), &["read", "write"][..]),
        (json!("read write"), &["read", "write"]),
        (json!("  read   write "), &["read", "write"]),
        (json!("read"), &["read"]),
        (json!(""), &[]),
        (json!([]), &[]),
    ] {
        let scope = with(&json!({ "scope": written })).scope;
        assert_eq!(scope.expect("a scope"), expected, "{written}");
    }
}

#[test]
fn expires_at_is_read_from_unix_seconds_in_any_form() {
    for (written, milliseconds) in [
        (json!(0), 0),
        (json!(1_767_225_600), 1_767_225_600_000),
        (json!(1_767_225_600.25), 1_767_225_600_250),
        (json!(1_767_225_600.0), 1_767_225_600_000),
        (json!("1767225600"), 1_767_225_600_000),
        // Times before 1970 are in the past in any case.
        (json!(-5), 0),
    ] {
        let credentials = with(&json!({ "expires_at": written }));
        let expected = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        assert_eq!(credentials.expires_at, Some(expected), "{written}");
    }
}

#[test]
fn expires_in_without_expires_at_sets_no_expiry() {
    let credentials = with(&json!({ "expires_in": 3600 }));
    assert_eq!(credentials.expires_in, Some(3600));
    assert_eq!(credentials.expires_at, None);
}

#[test]
fn token_type_bearer_is_normalised() {
    for (written, expected) in [
        ("bearer", "Bearer"),
        ("BEARER", "Bearer"),
        ("Bearer", "Bearer"),
        ("mac", "mac"),
    ] {
        let credentials = with(&json!({ "token_type": written }));
        assert_eq!(credentials.token_type, expected);
    }
}

#[test]
fn unknown_members_are_kept_in_raw_unless_raw_has_them() {
    let credentials = with(&json!({
        "bot_id": "outer", "later": {"a": [1]}, "nothing": null,
        "raw": {"bot_id": "inner", "owner": null},
    }));
    assert_eq!(credentials.owner(), None);
    assert_eq!(
        Value::from(credentials.raw),
        json!({"bot_id": "inner", "owner": null, "later": {"a": [1]}, "nothing": null})
    );
}

#[test]
fn tokens_are_dropped_from_raw_by_name_and_by_value_at_any_depth() {
    for (raw, expected) in [
        (
            json!({"access_token": "other", "refresh_token": "x", "id_token": 1, "bot_id": "b"}),
            json!({"bot_id": "b"}),
        ),
        (
            json!({"a": {"b": {"refresh_token": "other", "c": 1}}}),
            json!({"a": {"b": {"c": 1}}}),
        ),
        (
            json!({"list": [{"access_token": "x", "k": 2}, "nrt_2", ["eyJ3", 3]]}),
            json!({"list": [{"k": 2}, [3]]}),
        ),
        (
            json!({"echo": "ntn_1", "said": "token=nrt_2&x", "kept": "ntn_"}),
            json!({"kept": "ntn_"}),
        ),
        (
            json!({"by_token": {"ntn_1": true, "k": {"Bearer nrt_2": 1}}}),
            json!({"by_token": {"k": {}}}),
        ),
    ] {
        let members = json!({ "refresh_token": "nrt_2", "id_token": "eyJ3", "raw": raw });
        assert_eq!(Value::from(with(&members).raw), expected, "{raw}");
    }
}

#[test]
fn each_token_is_written_once() {
    let echo =
        json!({"ntn_1": true, "deep": [["Bearer ntn_1", {"a": "nrt_2"}]], "id_token": "eyJ3"});
    let written = write(&with(&json!({
        "refresh_token": "nrt_2", "id_token": "eyJ3", "raw": echo, "answer": echo,
    })));
    for token in ["ntn_1", "nrt_2", "eyJ3"] {
        assert_eq!(written.matches(token).count(), 1, "{token} in {written}");
    }
}

#[track_caller]
fn assert_refused(json: &str, problem: &str) {
    let error = serde_json::from_str::<NotionUserCredentials>(json).expect_err(json);
    assert!(error.to_string().contains(problem), "{error}");
    assert_error_shows_no_canary(&error);
}

#[test]
fn credentials_without_an_access_token_are_refused() {
    for (json, problem) in [
        ("{}", "missing field `access_token`"),
        (r#"{"access_token":null}"#, "missing field `access_token`"),
        (
            r#"{"raw":{"access_token":"Canary7e1Secret"}}"#,
            "missing field `access_token`",
        ),
        (r#""Canary7e1Secret""#, "expected a JSON object"),
        (r#"["Canary7e1Secret"]"#, "expected a JSON object"),
        ("null", "expected a JSON object"),
        ("7135071", "expected a JSON object"),
    ] {
        assert_refused(json, problem);
    }
}

#[test]
fn members_of_the_wrong_type_are_named_and_not_shown() {
    let number = json!(CANARY_NUMBER);
    let object = json!({ "a": CANARY });
    let not_text = [number.clone(), json!(true), json!([CANARY]), object.clone()];
    let not_scope = [number.clone(), object.clone(), json!([CANARY, 7])];
    let not_time = [
        json!(CANARY),
        json!("nan"),
        json!("inf"),
        json!(""),
        json!(true),
        json!([CANARY_NUMBER]),
        object,
    ];
    let not_raw = [json!(CANARY), json!([CANARY]), number];
    for (name, values) in [
        ("access_token", &not_text[..]),
        ("token_type", &not_text),
        ("refresh_token", &not_text),
        ("id_token", &not_text),
        ("workspace_id", &not_text),
        ("workspace_name", &not_text),
        ("workspace_icon", &not_text),
        ("scope", &not_scope),
        ("expires_in", &not_time),
        ("expires_at", &not_time),
        ("raw", &not_raw),
    ] {
        for value in values {
            let mut json = with_token(&json!({}));
            json[name] = value.clone();
            assert_refused(&json.to_string(), &format!("{name}: "));
        }
    }
}
