//! The credential types of the app and of its users, and their secrets.

mod app;
mod freshness;
mod json;
mod property;
mod secrets;

use std::fmt::{Debug, Display};

use notion_auth::NotionUserCredentials;
use serde_json::Value;

/// A secret, or a bad value that may be one.
const CANARY: &str = "Canary7e1Secret";

/// The same as a number.
const CANARY_NUMBER: u32 = 7_135_071;

#[track_caller]
fn assert_error_shows_no_canary(error: &(impl Display + Debug)) {
    let text = format!("{error} {error:?} {error:#?}").to_ascii_lowercase();
    let number = CANARY_NUMBER.to_string();
    for canary in [CANARY.to_ascii_lowercase(), number] {
        assert!(!text.contains(&canary), "{text}");
    }
}

#[track_caller]
fn assert_debug_shows_no_canary(it: &impl Debug) {
    let text = format!("{it:?} {it:#?}");
    assert!(!text.contains(CANARY), "{text}");
}

/// A user's credentials from JSON.
#[track_caller]
fn read(json: &str) -> NotionUserCredentials {
    match serde_json::from_str(json) {
        Ok(credentials) => credentials,
        Err(error) => panic!("{json}: {error}"),
    }
}

fn write(credentials: &NotionUserCredentials) -> String {
    serde_json::to_string(&credentials.expose_tokens()).expect("credentials serialise")
}

/// Credentials with an access token and these members.
#[track_caller]
fn with(members: &Value) -> NotionUserCredentials {
    read(&with_token(members).to_string())
}

fn with_token(members: &Value) -> Value {
    let mut json = members.clone();
    json["access_token"] = "ntn_1".into();
    json
}
