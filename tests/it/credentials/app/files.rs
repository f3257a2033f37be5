//! Credentials in configuration files.

use notion_auth::NotionAppCredentials;
use serde_json::{Map, Value};

use super::{ALL_FIELDS, Builder, completed, field, from_vars};

#[test]
fn file_sets_every_field() {
    let in_json = serde_json::from_str(
        r#"{
            "authorization_url": "https://n.example/authorize",
            "token_url": "http://localhost:8080/token",
            "client_id": "1f2e",
            "client_secret": "secret_3d4c",
            "redirect_uri": "https://app.example/notion/callback",
            "token": "ntn_5b6a",
            "default_scope": "read write",
            "version": "2025-09-03"
        }"#,
    );
    let expected = [
        "https://n.example/authorize",
        "http://localhost:8080/token",
        "1f2e",
        "secret_3d4c",
        "https://app.example/notion/callback",
        "ntn_5b6a",
        "read write",
        "2025-09-03",
    ];
    let app: NotionAppCredentials = in_json.expect("JSON");
    for (name, expected) in ALL_FIELDS.into_iter().zip(expected) {
        assert_eq!(field(&app, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(app.default_scope(), ["read", "write"]);
}

#[test]
fn every_field_of_a_file_may_be_missing_or_null() {
    let default = from_vars(&[]);
    let nulls = ALL_FIELDS.map(|name| (name.to_owned(), Value::Null));
    let nulls = Value::from(Map::from_iter(nulls));
    for text in ["{}", &nulls.to_string()] {
        let app: NotionAppCredentials = serde_json::from_str(text).expect(text);
        for name in ALL_FIELDS {
            assert_eq!(field(&app, name), field(&default, name), "{name}");
        }
    }
}

#[test]
fn file_wins_over_the_environment_and_is_completed_by_it() {
    let builder: Builder =
        serde_json::from_str(r#"{"client_id": "file", "version": "2022-06-28"}"#)
            .expect("a valid file");
    let vars = [
        ("NOTION_CLIENT_ID", "environment"),
        ("NOTION_CLIENT_SECRET", "secret_env"),
        ("NOTION_API_VERSION", "2025-09-03"),
    ];
    let built = completed(builder, &vars).and_then(Builder::build);
    let app = built.expect("valid credentials");
    assert_eq!(app.client_id(), Some("file"));
    assert_eq!(field(&app, "client_secret").as_deref(), Some("secret_env"));
    assert_eq!(app.version(), "2022-06-28");
}
