//! Errors name the field, the variable and the expected format, and show no value.

use notion_auth::{AppCredentialsError, NotionAppCredentials};
use serde_json::{Value, json};

use super::{
    super::{CANARY, CANARY_NUMBER, assert_debug_shows_no_canary, assert_error_shows_no_canary},
    ALL_FIELDS, Builder, VARIABLES, bad_values, builder, completed, set,
};

fn expectation(name: &str) -> &'static str {
    match name {
        "authorization_url" | "token_url" | "redirect_uri" => "https",
        "client_id" => "without a colon",
        "client_secret" | "token" => "visible ASCII",
        "default_scope" => "without spaces",
        _ => "YYYY-MM-DD",
    }
}

#[track_caller]
fn assert_names(error: &AppCredentialsError, name: &str, variable: Option<&str>) {
    assert_eq!((error.field(), error.variable()), (name, variable));
    let from = variable.map_or_else(String::new, |it| format!(" (from {it})"));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{name}{from}: expected ")),
        "{text}"
    );
    assert!(text.contains(expectation(name)), "{text}");
    assert_error_shows_no_canary(error);
}

#[test]
fn bad_value_in_the_code_is_named_and_not_shown() {
    for name in ALL_FIELDS {
        for value in bad_values(name) {
            let builder = set(builder(), name, &value);
            assert_debug_shows_no_canary(&builder);
            assert_names(&builder.build().expect_err(name), name, None);
        }
    }
}

#[test]
fn bad_value_in_the_environment_is_named_and_not_shown() {
    for (name, variables, _) in VARIABLES {
        for (variable, value) in variables.iter().zip(bad_values(name)) {
            let built = completed(builder(), &[(variable, &value)]).and_then(Builder::build);
            assert_names(&built.expect_err(variable), name, Some(variable));
        }
    }
}

#[test]
fn bad_value_of_a_file_is_named_when_the_credentials_are_built() {
    let [bad, _] = bad_values("token");
    let builder: Builder =
        serde_json::from_value(json!({ "token": bad })).expect("a builder does not check values");
    assert_debug_shows_no_canary(&builder);
    let error = completed(builder, &[("NOTION_TOKEN", "ntn_good")])
        .and_then(Builder::build)
        .expect_err("the value of the file wins");
    assert_names(&error, "token", None);
}

#[test]
fn bad_value_in_a_file_is_named_and_not_shown() {
    let wrong_types = [
        json!(CANARY_NUMBER * 10),
        json!(f64::from(CANARY_NUMBER) + 0.5),
        json!(true),
        json!({ CANARY: CANARY }),
        json!([CANARY]),
        json!([[CANARY]]),
    ];
    for name in ALL_FIELDS {
        for value in &wrong_types {
            if (name, value) != ("default_scope", &json!([CANARY])) {
                assert_refused_in_files(name, value);
            }
        }
        for value in bad_values(name) {
            let is_list = name == "default_scope";
            let value = if is_list {
                json!([value])
            } else {
                json!(value)
            };
            assert_refused_in_files(name, &value);
        }
    }
}

/// Asserts that a file with this value is refused.
#[track_caller]
fn assert_refused_in_files(name: &str, value: &Value) {
    let in_json = json!({ name: value }).to_string();
    let error = serde_json::from_str::<NotionAppCredentials>(&in_json).expect_err(&in_json);
    assert!(error.to_string().starts_with(&format!("{name}: ")));
    assert_error_shows_no_canary(&error);
}

#[test]
fn error_in_a_file_shows_no_secret_of_the_file() {
    for text in [
        format!(r#"{{"client_secret": "{CANARY}", "version": "latest"}}"#),
        format!(r#"{{"version": "latest", "client_secret": "{CANARY}"}}"#),
        format!(r#"{{"client_secret": "{CANARY}", "bogus": 1}}"#),
        format!(r#"{{"bogus": 1, "client_secret": "{CANARY}"}}"#),
        // A misspelt key.
        format!(r#"{{"client_secrets": "{CANARY}"}}"#),
        format!(r#"{{"client_secret": ["{CANARY}"]}}"#),
        format!(r#"{{"token": "{CANARY} {CANARY}"}}"#),
    ] {
        let error = serde_json::from_str::<NotionAppCredentials>(&text).expect_err(&text);
        assert_error_shows_no_canary(&error);
    }
}

#[test]
fn file_must_be_a_table_of_known_names() {
    for (text, problem) in [
        (r#"{"client_idd": "1"}"#, "unknown field `client_idd`"),
        (r#"{"default_scopes": []}"#, "unknown field"),
        (r#"{"Token": "ntn_1"}"#, "unknown field"),
        ("[]", "expected a table"),
        (r#""Canary7e1Secret""#, "expected a table"),
        ("7135071", "expected a table"),
        ("null", "expected a table"),
    ] {
        let error = serde_json::from_str::<NotionAppCredentials>(text).expect_err(text);
        assert!(error.to_string().contains(problem), "{error}");
        assert_error_shows_no_canary(&error);
    }
}
