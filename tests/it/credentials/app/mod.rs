//! The app's credentials: sources of their fields, and valid values.

mod environment;
mod errors;
mod files;
mod values;

use std::{collections::HashMap, ffi::OsString};

use notion_auth::{
    AppCredentialsError, NotionAppCredentials, credentials::NotionAppCredentialsBuilder as Builder,
};

pub(super) fn builder() -> Builder {
    NotionAppCredentials::builder()
}

/// Completes the credentials from these environment variables.
fn completed(builder: Builder, vars: &[(&str, &str)]) -> Result<Builder, AppCredentialsError> {
    let vars: HashMap<&str, &str> = vars.iter().copied().collect();
    builder.vars(|name| vars.get(name).map(OsString::from))
}

/// The credentials from these environment variables.
#[track_caller]
fn from_vars(vars: &[(&str, &str)]) -> NotionAppCredentials {
    completed(builder(), vars)
        .and_then(Builder::build)
        .expect("valid credentials")
}

/// Returns a field as text by its name.
fn field(app: &NotionAppCredentials, name: &str) -> Option<String> {
    match name {
        "authorization_url" => Some(app.authorization_url().to_string()),
        "token_url" => Some(app.token_url().to_string()),
        "client_id" => app.client_id().map(str::to_owned),
        "client_secret" => app.client_secret().map(|it| it.expose().to_owned()),
        "redirect_uri" => app.redirect_uri().map(str::to_owned),
        "token" => app.token().map(|it| it.expose().to_owned()),
        "default_scope" => Some(app.default_scope().join(" ")),
        "version" => Some(app.version().to_owned()),
        _ => panic!("there is no field {name}"),
    }
}

fn set(builder: Builder, name: &str, value: &str) -> Builder {
    match name {
        "authorization_url" => builder.authorization_url(value),
        "token_url" => builder.token_url(value),
        "client_id" => builder.client_id(value),
        "client_secret" => builder.client_secret(value),
        "redirect_uri" => builder.redirect_uri(value),
        "token" => builder.token(value),
        "default_scope" => builder.default_scope([value]),
        "version" => builder.version(value),
        _ => panic!("there is no field {name}"),
    }
}

const ALL_FIELDS: [&str; 8] = [
    "authorization_url",
    "token_url",
    "client_id",
    "client_secret",
    "redirect_uri",
    "token",
    "default_scope",
    "version",
];

/// Each field with variables: these in order of precedence, and two valid values.
const VARIABLES: [(&str, &[&str], [&str; 2]); 7] = [
    (
        "authorization_url",
        &["NOTION_AUTHORIZATION_URL", "NOTION_AUTHORIZE_URL"],
        ["https://a.example/one", "https://b.example/two"],
    ),
    (
        "token_url",
        &["NOTION_TOKEN_URL", "NOTION_ACCESS_TOKEN_URL"],
        ["https://a.example/one", "http://localhost:81/two"],
    ),
    ("client_id", &["NOTION_CLIENT_ID"], ["1f2e", "3d4c"]),
    (
        "client_secret",
        &["NOTION_CLIENT_SECRET"],
        ["secret_1", "with:colon!"],
    ),
    (
        "redirect_uri",
        &["NOTION_REDIRECT_URI"],
        ["https://app.example/cb", "http://127.0.0.1:3000/cb?x=%41"],
    ),
    (
        "token",
        &["NOTION_TOKEN", "NOTION_INTEGRATION_TOKEN"],
        ["ntn_1", "secret_2=="],
    ),
    (
        "version",
        &["NOTION_VERSION", "NOTION_API_VERSION"],
        ["2022-06-28", "2025-09-03"],
    ),
];

/// Values that the field must refuse, with the canary in them.
fn bad_values(name: &str) -> [String; 2] {
    use super::CANARY;

    let own = match name {
        "authorization_url" | "token_url" | "redirect_uri" => format!("http://{CANARY}.example/"),
        "client_id" => format!("{CANARY}:1"),
        _ => format!("{CANARY} {CANARY}"),
    };
    [own, format!("abc {CANARY}")]
}
