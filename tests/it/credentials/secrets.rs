//! Secrets cannot be printed or serialized by mistake.

use std::fmt::{Display, LowerHex};

use notion_auth::{
    AccessToken, NotionAppCredentials, NotionUserCredentials,
    credentials::{ClientSecret, IdToken, RefreshToken},
};
use serde_json::json;
use static_assertions::assert_not_impl_any;

use super::{
    CANARY, app::builder, assert_debug_shows_no_canary, assert_error_shows_no_canary, read,
};

assert_not_impl_any!(AccessToken: Display, serde::Serialize, PartialEq, LowerHex);
assert_not_impl_any!(RefreshToken: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(IdToken: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(ClientSecret: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(NotionUserCredentials: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(NotionAppCredentials: Display, serde::Serialize, PartialEq);

#[test]
fn debug_of_secrets_is_redacted() {
    let access_token = AccessToken::new(CANARY);
    let text = format!("{access_token:?}");
    assert_eq!(text, "AccessToken([REDACTED])");
    assert_debug_shows_no_canary(&access_token.to_header_value());
    assert_debug_shows_no_canary(&RefreshToken::new(CANARY));
    assert_debug_shows_no_canary(&IdToken::new(CANARY));
    assert_debug_shows_no_canary(&ClientSecret::new(CANARY));
}

#[test]
fn debug_of_app_credentials_shows_the_client_id_and_no_secret() {
    let builder = builder().client_id("1f2e").client_secret(CANARY);
    let app = builder.token(CANARY).build().expect("valid credentials");
    assert_debug_shows_no_canary(&app);
    assert!(format!("{app:?}").contains("1f2e"));
}

#[test]
fn debug_of_user_credentials_shows_the_workspace_and_no_token() {
    let json = json!({
        "access_token": format!("{CANARY}1"), "refresh_token": format!("{CANARY}2"),
        "id_token": format!("{CANARY}3"), "workspace_name": "Acme",
        "raw": {"secret": format!("{CANARY}4"), "deep": {"x": [CANARY]}},
        "unknown": CANARY,
    });
    let credentials = read(&json.to_string());
    assert_debug_shows_no_canary(&credentials);
    assert_debug_shows_no_canary(&credentials.expose_tokens());
    assert!(format!("{credentials:?}").contains("Acme"));
}

#[test]
fn error_for_a_secret_of_the_wrong_type_does_not_show_it() {
    for text in ["7135071", r#"["Canary7e1Secret"]"#, "true", "null"] {
        let error = serde_json::from_str::<AccessToken>(text).expect_err(text);
        assert!(error.to_string().contains("expected a string"), "{error}");
        assert_error_shows_no_canary(&error);
    }
}
