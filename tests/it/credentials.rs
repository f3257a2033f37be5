//! What is kept: the app's credentials, and its users'.

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt::{self, Debug, Display},
    time::{Duration, SystemTime},
};

use notion_auth::{
    AccessToken, AppCredentialsError, InvalidToken, NotionAppCredentials, NotionUserCredentials,
    credentials::{ClientSecret, Freshness, IdToken, NotionAppCredentialsBuilder, RefreshToken},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use static_assertions::assert_not_impl_any;

/// What must never be seen outside the field that it was put into.
const CANARY: &str = "Canary7e1Secret";

type Builder = NotionAppCredentialsBuilder;

fn app() -> Builder {
    NotionAppCredentials::builder()
}

/// The credentials that these environment variables give.
#[track_caller]
fn from_vars(vars: &[(&str, &str)]) -> NotionAppCredentials {
    completed(app(), vars)
        .and_then(Builder::build)
        .expect("good credentials")
}

fn completed(builder: Builder, vars: &[(&str, &str)]) -> Result<Builder, AppCredentialsError> {
    let vars: HashMap<&str, &str> = vars.iter().copied().collect();
    builder.vars(|name| vars.get(name).map(OsString::from))
}

/// A field as text, by its name.
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

/// Each field that has variables, in the order in which they are asked, and two good values.
const FIELDS: [(&str, &[&str], [&str; 2]); 7] = [
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

// The app's credentials: defaults, environment, precedence.

#[test]
fn every_field_has_the_documented_default() {
    let app = from_vars(&[]);
    let expected = [
        Some("https://api.notion.com/v1/oauth/authorize"),
        Some("https://api.notion.com/v1/oauth/token"),
        None,
        None,
        None,
        None,
        Some(""),
        Some("2026-03-11"),
    ];
    for (name, expected) in ALL_FIELDS.into_iter().zip(expected) {
        assert_eq!(field(&app, name).as_deref(), expected, "{name}");
    }
    assert_eq!(NotionAppCredentials::DEFAULT_VERSION, "2026-03-11");
    assert!(!app.has_oauth_client());
}

#[test]
fn every_field_is_read_from_each_of_its_variables() {
    for (name, variables, values) in FIELDS {
        for variable in variables {
            for value in values {
                let app = from_vars(&[(variable, value)]);
                assert_eq!(field(&app, name).as_deref(), Some(value), "{variable}");
            }
        }
    }
}

#[test]
fn a_variable_reaches_no_other_field() {
    let untouched = from_vars(&[]);
    for (name, variables, [value, _]) in FIELDS {
        for variable in variables {
            let app = from_vars(&[(variable, value)]);
            for other in ALL_FIELDS.into_iter().filter(|other| *other != name) {
                assert_eq!(field(&app, other), field(&untouched, other), "{variable}");
            }
        }
    }
}

#[test]
fn of_two_variables_the_first_one_set_wins() {
    for (name, variables, [first, second]) in FIELDS {
        if let [primary, alias] = variables {
            let app = from_vars(&[(alias, second), (primary, first)]);
            assert_eq!(field(&app, name).as_deref(), Some(first), "{name}");
        }
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let untouched = from_vars(&[]);
    for (name, variables, [value, _]) in FIELDS {
        for variable in variables {
            let app = from_vars(&[(variable, "")]);
            assert_eq!(field(&app, name), field(&untouched, name), "{variable}");
        }
        if let [primary, alias] = variables {
            let app = from_vars(&[(primary, ""), (alias, value)]);
            assert_eq!(field(&app, name).as_deref(), Some(value), "{name}");
        }
    }
}

#[test]
fn what_the_code_says_wins_over_the_environment() {
    for (name, variables, [explicit, environment]) in FIELDS {
        for variable in variables {
            let vars = [(*variable, environment)];
            let before = completed(set(app(), name, explicit), &vars);
            let after = completed(app(), &vars).map(|builder| set(builder, name, explicit));
            for builder in [before, after] {
                let app = builder.and_then(Builder::build).expect("good credentials");
                assert_eq!(field(&app, name).as_deref(), Some(explicit), "{variable}");
            }
        }
    }
}

#[test]
fn a_variable_that_is_not_needed_is_not_looked_at() {
    for (name, variables, [explicit, _]) in FIELDS {
        let asked = set(app(), name, explicit).vars(|asked| {
            assert!(!variables.contains(&asked), "{asked}");
            None
        });
        assert!(asked.is_ok());
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_named_and_not_shown() {
    use std::os::unix::ffi::OsStringExt as _;

    for (name, variables, [good, _]) in FIELDS {
        for (at, bad) in variables.iter().enumerate() {
            let bytes = [CANARY.as_bytes(), b"\xff"].concat();
            let error = app()
                .vars(|asked| match asked {
                    _ if asked == *bad => Some(OsString::from_vec(bytes.clone())),
                    // What comes later does not help.
                    _ if variables[at..].contains(&asked) => Some(good.into()),
                    _ => None,
                })
                .expect_err("a value that is not UTF-8");
            assert_eq!((error.field(), error.variable()), (name, Some(*bad)));
            assert_eq!(
                error.to_string(),
                format!("{name} (from {bad}): expected UTF-8 text")
            );
            shows_no_canary(&error);
        }
    }
}

#[test]
fn an_app_has_an_oauth_client_if_it_has_a_part_of_one() {
    for (vars, expected) in [
        (&[("NOTION_CLIENT_ID", "1f2e")][..], true),
        (&[("NOTION_CLIENT_SECRET", "s")][..], true),
        (&[("NOTION_TOKEN", "ntn_1")][..], false),
        (
            &[("NOTION_REDIRECT_URI", "https://a.example/cb")][..],
            false,
        ),
    ] {
        assert_eq!(from_vars(vars).has_oauth_client(), expected, "{vars:?}");
    }
}

// The app's credentials: what is refused.

/// A value that each field must refuse, with the canary in it.
fn bad_value(name: &str) -> String {
    match name {
        "authorization_url" | "token_url" | "redirect_uri" => format!("http://{CANARY}.example/"),
        "client_id" => format!("{CANARY}:1"),
        _ => format!("{CANARY} {CANARY}"),
    }
}

#[track_caller]
fn shows_no_canary(error: &(impl Display + Debug)) {
    for text in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{error:#?}"),
    ] {
        let text = text.to_ascii_lowercase();
        assert!(!text.contains(&CANARY.to_ascii_lowercase()), "{text}");
    }
}

/// What every field's error must say it expected.
fn expectation(name: &str) -> &'static str {
    match name {
        "authorization_url" | "token_url" | "redirect_uri" => "https",
        "client_id" => "without a colon",
        "client_secret" | "token" => "visible ASCII",
        "default_scope" => "without spaces",
        _ => "YYYY-MM-DD",
    }
}

#[test]
fn a_bad_value_in_the_code_is_refused_by_field_and_expectation_and_not_shown() {
    for name in ALL_FIELDS {
        let builder = set(app(), name, &bad_value(name));
        shows_no_canary_debug(&builder);
        let error = builder.build().expect_err("a bad value");
        assert_eq!((error.field(), error.variable()), (name, None));
        let text = error.to_string();
        assert!(text.starts_with(&format!("{name}: expected ")), "{text}");
        assert!(text.contains(expectation(name)), "{text}");
        shows_no_canary(&error);
    }
}

#[track_caller]
fn shows_no_canary_debug(it: &impl Debug) {
    let text = format!("{it:?} {it:#?}");
    assert!(!text.contains(CANARY), "{text}");
}

#[test]
fn a_bad_value_in_the_environment_is_refused_by_variable_too() {
    for (name, variables, _) in FIELDS {
        for variable in variables {
            let error = completed(app(), &[(variable, &bad_value(name))])
                .and_then(Builder::build)
                .expect_err("a bad value");
            assert_eq!((error.field(), error.variable()), (name, Some(*variable)));
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{name} (from {variable}): expected ")),
                "{text}"
            );
            shows_no_canary(&error);
        }
    }
}

#[test]
fn a_bad_value_in_a_file_is_refused_by_field_and_not_shown() {
    for name in ALL_FIELDS {
        let value = bad_value(name);
        let value = match name {
            "default_scope" => json!([value]),
            _ => json!(value),
        };
        file_refused(name, &value);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_field_and_not_shown() {
    let wrong = [
        json!(71_350_713),
        json!(7_135_071.5),
        json!(true),
        json!({ CANARY: CANARY }),
        json!([CANARY]),
        json!([[CANARY]]),
    ];
    for name in ALL_FIELDS {
        for value in &wrong {
            if (name, value) != ("default_scope", &json!([CANARY])) {
                file_refused(name, value);
            }
        }
    }
}

#[test]
fn an_error_in_a_toml_file_shows_no_secret_of_the_file() {
    for text in [
        format!("client_secret = \"{CANARY}\"\nversion = \"latest\"\n"),
        format!("version = \"latest\"\nclient_secret = \"{CANARY}\"\n"),
        format!("client_secret = \"{CANARY}\"\nbogus = 1\n"),
        format!("bogus = 1\nclient_secret = \"{CANARY}\"\n"),
        // A misspelt name.
        format!("client_secrets = \"{CANARY}\"\n"),
        format!("client_secret = [\"{CANARY}\"]\n"),
        format!("token = \"{CANARY} {CANARY}\"\n"),
    ] {
        shows_no_canary(&toml::from_str::<NotionAppCredentials>(&text).expect_err(&text));
    }
}

/// The field with that value is refused in JSON and in TOML, by name and without the value.
#[track_caller]
fn file_refused(name: &str, value: &Value) {
    let in_json = json!({ name: value }).to_string();
    let error = serde_json::from_str::<NotionAppCredentials>(&in_json).expect_err(&in_json);
    assert!(error.to_string().starts_with(&format!("{name}: ")));
    assert!(!error.to_string().contains("7135071"), "{error}");
    shows_no_canary(&error);

    let table: toml::Table = serde_json::from_str(&in_json).expect("a table");
    let in_toml = toml::to_string(&table).expect("TOML");
    let error = toml::from_str::<NotionAppCredentials>(&in_toml).expect_err(&in_toml);
    assert!(error.to_string().contains(name), "{error}");
    assert!(!error.to_string().contains("7135071"), "{error}");
    shows_no_canary(&error);
}

#[test]
fn what_is_no_table_of_known_names_is_refused() {
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
        assert!(!error.to_string().contains("7135071"), "{error}");
        shows_no_canary(&error);
    }
    let error = toml::from_str::<NotionAppCredentials>("client_idd = \"Canary7e1Secret\"")
        .expect_err("an unknown key");
    assert!(error.to_string().contains("client_idd"), "{error}");
    shows_no_canary(&error);
}

#[track_caller]
fn accepts(name: &str, value: &str) {
    if let Err(error) = set(app(), name, value).build() {
        panic!("{name} = {value:?}: {error}");
    }
}

#[track_caller]
fn refuses(name: &str, value: &str) {
    match set(app(), name, value).build() {
        Err(error) => assert_eq!(error.field(), name, "{value:?}"),
        Ok(app) => panic!("{name} = {value:?} was accepted: {:?}", field(&app, name)),
    }
}

const URLS: [&str; 3] = ["authorization_url", "token_url", "redirect_uri"];

#[test]
fn urls_are_https_or_on_this_machine() {
    for name in URLS {
        accepts(name, "https://app.example/x");
        accepts(name, "https://app.example:8443/x?tenant=1");
        accepts(name, "http://localhost/x");
        accepts(name, "http://localhost:3000/x");
        accepts(name, "http://LOCALHOST/x");
        accepts(name, "http://127.0.0.1:3000/x");
        accepts(name, "http://127.255.0.9/x");
        accepts(name, "http://[::1]:1");

        refuses(name, "http://evil");
        refuses(name, "http://api.notion.com/v1/oauth/token");
        refuses(name, "http://localhost.evil");
        refuses(name, "http://localhost.evil/");
        refuses(name, "http://evil.localhost/");
        refuses(name, "http://127.0.0.1.evil");
        refuses(name, "http://127.0.0.1@evil/");
        refuses(name, "http://localhost:80@evil/");
        refuses(name, "http://128.0.0.1/");
        refuses(name, "http://0.0.0.0/");
        refuses(name, "http://[::2]/");
        refuses(name, "http://[::]/");
        refuses(name, "http://[::ffff:10.0.0.1]/");
        refuses(name, "http:");
        refuses(name, "https://");
        refuses(name, "ftp://localhost/");
        refuses(name, "ws://localhost/");
        refuses(name, "file:///etc/passwd");
        refuses(name, "data:text/plain,https://app.example/");
        refuses(name, "javascript:alert(1)");
        refuses(name, "//app.example/x");
        refuses(name, "/x");
        refuses(name, "app.example/x");
        refuses(name, "");
    }
}

#[test]
fn urls_have_no_user_name_password_or_fragment() {
    for name in URLS {
        refuses(name, "https://user@app.example/x");
        refuses(name, "https://user:password@app.example/x");
        refuses(name, "https://:password@app.example/x");
        refuses(name, "http://user@localhost/x");
        refuses(name, "https://app.example/x#here");
        refuses(name, "https://app.example/x#");
        refuses(name, "https://app.example/x?y#z");
    }
}

#[test]
fn a_redirect_uri_is_kept_to_the_letter() {
    for uri in [
        "https://app.example",
        "https://APP.example:443/a/../b",
        "https://app.example/cb?x=%7e&y=a+b",
    ] {
        let app = app().redirect_uri(uri).build().expect(uri);
        assert_eq!(app.redirect_uri(), Some(uri));
    }
}

#[test]
fn a_redirect_uri_has_no_white_space_or_control_character() {
    for uri in [
        " https://app.example/cb",
        "https://app.example/cb\n",
        "https://app.example/c b",
        "https://app.ex\tample/cb",
        "https://app.example/c\r\nb",
        "https://app.example/c\0b",
    ] {
        refuses("redirect_uri", uri);
    }
}

#[test]
fn integration_token_is_any_visible_ascii() {
    for token in [
        "a",
        "ntn_5b6a",
        "secret_A1",
        "-._~+/09azAZ",
        "a==",
        "=",
        "a=b",
        "tok|en%41",
        "\"ntn,1\"",
    ] {
        accepts("token", token);
    }
    for token in [
        "",
        "Bearer ntn_1",
        "ntn_1 ",
        "ntn_1\n",
        "ntn_\t1",
        "ntn_\u{e9}",
        "ntn_\0",
        "ntn_\u{7f}",
    ] {
        refuses("token", token);
    }
}

#[test]
fn a_client_is_what_http_basic_can_carry() {
    for id in ["1f2e", "11d872f4-0000-4000-8000-6d6f636b6964", "a=b&c"] {
        accepts("client_id", id);
    }
    for id in ["", "a:b", "a b", "a\n", "\u{e9}"] {
        refuses("client_id", id);
    }
    for secret in ["secret_1", "a:b:c", "~!@#$%^&*()"] {
        accepts("client_secret", secret);
    }
    for secret in ["", "a b", "a\n", "\ta", "\u{e9}", "\u{7f}"] {
        refuses("client_secret", secret);
    }
}

#[test]
fn a_version_is_a_date_in_form() {
    for version in ["2021-05-11", "2026-03-11", "2099-12-31"] {
        accepts("version", version);
    }
    for version in [
        "",
        "latest",
        "v1",
        "2026-3-11",
        "2026/03/11",
        "20260311",
        "26-03-11",
        "2026-03-11 ",
        " 2026-03-11",
        "2026-03-11T00:00:00Z",
        "2026-03-1\u{661}",
        "2026-03-1x",
        "-026-03-11",
    ] {
        refuses("version", version);
    }
}

#[test]
fn a_scope_is_a_list_of_words() {
    for scope in ["read", "read:pages", "urn:x/y", "!#[]~"] {
        accepts("default_scope", scope);
    }
    for scope in ["", "a b", "a\"", "a\\b", "a\n", "\u{e9}"] {
        refuses("default_scope", scope);
    }
}

// The app's credentials: from a file.

#[test]
fn a_toml_file_can_set_every_field() {
    let app: NotionAppCredentials = toml::from_str(
        r#"
            authorization_url = "https://n.example/authorize"
            token_url = "http://localhost:8080/token"
            client_id = "1f2e"
            client_secret = "secret_3d4c"
            redirect_uri = "https://app.example/notion/callback"
            token = "ntn_5b6a"
            default_scope = ["read", "write"]
            version = "2025-09-03"
        "#,
    )
    .expect("a good file");
    sets_every_field(&app);
}

#[test]
fn a_json_file_can_set_every_field() {
    let app: NotionAppCredentials = serde_json::from_str(
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
    )
    .expect("a good file");
    sets_every_field(&app);
}

#[track_caller]
fn sets_every_field(app: &NotionAppCredentials) {
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
    for (name, expected) in ALL_FIELDS.into_iter().zip(expected) {
        assert_eq!(field(app, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(app.default_scope(), ["read", "write"]);
}

#[test]
fn a_file_may_leave_out_or_null_every_field() {
    let untouched = from_vars(&[]);
    let nulls: Map<String, Value> = ALL_FIELDS
        .into_iter()
        .map(|name| (name.to_owned(), Value::Null))
        .collect();
    for text in ["{}".to_owned(), Value::from(nulls).to_string()] {
        let app: NotionAppCredentials = serde_json::from_str(&text).expect(&text);
        for name in ALL_FIELDS {
            assert_eq!(field(&app, name), field(&untouched, name), "{name}");
        }
    }
    assert!(toml::from_str::<NotionAppCredentials>("").is_ok());
}

#[test]
fn a_file_is_completed_by_the_environment_and_wins_over_it() {
    let builder: Builder =
        toml::from_str("client_id = \"file\"\nversion = \"2022-06-28\"\n").expect("a good file");
    let app = completed(
        builder,
        &[
            ("NOTION_CLIENT_ID", "environment"),
            ("NOTION_CLIENT_SECRET", "secret_env"),
            ("NOTION_API_VERSION", "2025-09-03"),
        ],
    )
    .and_then(Builder::build)
    .expect("good credentials");
    assert_eq!(app.client_id(), Some("file"));
    assert_eq!(field(&app, "client_secret").as_deref(), Some("secret_env"));
    assert_eq!(app.version(), "2022-06-28");
}

#[test]
fn a_file_that_lacks_nothing_but_values_from_the_environment_is_checked_once_completed() {
    let builder: Builder = serde_json::from_value(json!({ "token": bad_value("token") }))
        .expect("nothing is checked before it is built");
    shows_no_canary_debug(&builder);
    let error = completed(builder, &[("NOTION_TOKEN", "ntn_good")])
        .and_then(Builder::build)
        .expect_err("the file's value wins, and is bad");
    assert_eq!((error.field(), error.variable()), ("token", None));
    shows_no_canary(&error);
}

// Secrets.

assert_not_impl_any!(AccessToken: Display, serde::Serialize, PartialEq, fmt::LowerHex);
assert_not_impl_any!(RefreshToken: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(IdToken: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(ClientSecret: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(NotionUserCredentials: Display, serde::Serialize, PartialEq);
assert_not_impl_any!(NotionAppCredentials: Display, serde::Serialize, PartialEq);

#[test]
fn secrets_print_as_redacted() {
    assert_eq!(
        format!("{:?}", AccessToken::new(CANARY)),
        "AccessToken([REDACTED])"
    );
    shows_no_canary_debug(&RefreshToken::new(CANARY));
    shows_no_canary_debug(&IdToken::new(CANARY));
    shows_no_canary_debug(&ClientSecret::new(CANARY));
    shows_no_canary_debug(&AccessToken::new(CANARY).to_header_value());

    let app = app()
        .client_id("1f2e")
        .client_secret(CANARY)
        .token(CANARY)
        .build()
        .expect("good credentials");
    shows_no_canary_debug(&app);
    assert!(format!("{app:?}").contains("1f2e"));
}

#[test]
fn a_secret_of_the_wrong_type_is_not_shown() {
    for text in ["7135071", r#"["Canary7e1Secret"]"#, "true", "null"] {
        let error = serde_json::from_str::<AccessToken>(text).expect_err(text);
        assert!(error.to_string().contains("expected a string"), "{error}");
        assert!(!error.to_string().contains("7135071"), "{error}");
        shows_no_canary(&error);
    }
}

#[test]
fn a_header_value_is_bearer_and_the_token_and_is_sensitive() {
    let value = AccessToken::new("ntn_1").to_header_value().expect("good");
    assert_eq!(value, "Bearer ntn_1");
    assert!(value.is_sensitive());
}

// The users' credentials: the JSON.

/// The JSON of `design.md`, its `…` filled in.
const DESIGN: &str = concat!(
    r#"{"access_token":"ntn_1","token_type":"Bearer","refresh_token":"nrt_1","scope":["read","write"],"#,
    r#""expires_in":null,"expires_at":null,"id_token":null,"workspace_id":"w1","workspace_name":"Acme","#,
    r#""workspace_icon":null,"raw":{"bot_id":"b1","owner":{"type":"user","user":{"object":"user","id":"u1"}},"#,
    r#""duplicated_template_id":null,"request_id":"r1"}}"#,
);

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

#[track_caller]
fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect(json)
}

/// Credentials of an access token and these members.
#[track_caller]
fn with(members: &Value) -> NotionUserCredentials {
    read(&with_token(members).to_string())
}

fn with_token(members: &Value) -> Value {
    let mut json = members.clone();
    json["access_token"] = "ntn_1".into();
    json
}

#[test]
fn the_json_of_the_design_comes_out_as_it_went_in() {
    let written = write(&read(DESIGN));
    assert_eq!(parse(&written), parse(DESIGN));
    let order: Vec<_> = [
        "access_token",
        "token_type",
        "refresh_token",
        "scope",
        "expires_in",
        "expires_at",
        "id_token",
        "workspace_id",
        "workspace_name",
        "workspace_icon",
        "raw",
    ]
    .iter()
    .map(|name| written.find(&format!("\"{name}\":")).expect(name))
    .collect();
    assert!(order.is_sorted(), "{written}");
    // To the letter but for the order of the members of `raw`, which is the map's.
    let head = DESIGN.split_once("\"raw\"").expect("raw").0;
    assert!(written.starts_with(head), "{written}");
}

#[test]
fn what_was_written_comes_out_to_the_letter() {
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
fn every_member_is_found_again() {
    let credentials = read(DESIGN);
    assert_eq!(credentials.access_token.expose(), "ntn_1");
    assert_eq!(credentials.token_type, "Bearer");
    assert_eq!(
        credentials.refresh_token.as_ref().map(RefreshToken::expose),
        Some("nrt_1")
    );
    assert_eq!(
        credentials.scope.as_deref(),
        Some(&["read".to_owned(), "write".to_owned()][..])
    );
    assert_eq!(credentials.expires_in, None);
    assert_eq!(credentials.expires_at, None);
    assert!(credentials.id_token.is_none());
    assert_eq!(credentials.workspace_id.as_deref(), Some("w1"));
    assert_eq!(credentials.workspace_name.as_deref(), Some("Acme"));
    assert_eq!(credentials.workspace_icon, None);
    assert_eq!(credentials.bot_id(), Some("b1"));
    assert_eq!(
        credentials.owner(),
        Some(&json!({"type": "user", "user": {"object": "user", "id": "u1"}}))
    );
    assert_eq!(credentials.duplicated_template_id(), None);
    assert_eq!(credentials.raw["request_id"], "r1");
}

#[test]
fn all_but_the_access_token_may_be_missing_or_null() {
    let bare = r#"{"access_token":"ntn_1"}"#;
    let nulls = with_token(&json!({
        "token_type": null, "refresh_token": null, "scope": null, "expires_in": null,
        "expires_at": null, "id_token": null, "workspace_id": null, "workspace_name": null,
        "workspace_icon": null, "raw": null,
    }));
    let made = NotionUserCredentials::new(AccessToken::new("ntn_1"));
    assert_eq!(write(&read(bare)), write(&made));
    assert_eq!(write(&read(&nulls.to_string())), write(&made));
    assert_eq!(
        parse(&write(&made)),
        with_token(&json!({
            "token_type": "Bearer", "refresh_token": null, "scope": null, "expires_in": null,
            "expires_at": null, "id_token": null, "workspace_id": null, "workspace_name": null,
            "workspace_icon": null, "raw": {},
        }))
    );
}

#[track_caller]
fn scope_reads(written: Value, expected: &[&str]) {
    let scope = with(&json!({ "scope": written })).scope;
    assert_eq!(scope.as_deref().unwrap_or_default(), expected);
    assert!(scope.is_some());
}

#[test]
fn a_scope_is_read_from_a_list_or_a_string() {
    scope_reads(json!(["read", "write"]), &["read", "write"]);
    scope_reads(json!("read write"), &["read", "write"]);
    scope_reads(json!("  read   write "), &["read", "write"]);
    scope_reads(json!("read"), &["read"]);
    scope_reads(json!(""), &[]);
    scope_reads(json!([]), &[]);
}

#[track_caller]
fn expires_at_reads(written: Value, expected: Duration) {
    let credentials = with(&json!({ "expires_at": written }));
    assert_eq!(
        credentials.expires_at,
        Some(SystemTime::UNIX_EPOCH + expected),
        "{written}"
    );
}

#[test]
fn expires_at_is_unix_seconds_with_or_without_a_fraction() {
    expires_at_reads(json!(0), Duration::ZERO);
    expires_at_reads(json!(1_767_225_600), Duration::from_secs(1_767_225_600));
    expires_at_reads(
        json!(1_767_225_600.25),
        Duration::from_millis(1_767_225_600_250),
    );
    expires_at_reads(json!(1_767_225_600.0), Duration::from_secs(1_767_225_600));
    expires_at_reads(json!("1767225600"), Duration::from_secs(1_767_225_600));
    // Before 1970 is over all the same.
    expires_at_reads(json!(-5), Duration::ZERO);
}

#[test]
fn an_expires_in_without_expires_at_says_nothing() {
    let credentials = with(&json!({ "expires_in": 3600 }));
    assert_eq!(credentials.expires_in, Some(3600));
    assert_eq!(credentials.expires_at, None);
    assert_eq!(
        credentials.freshness(SystemTime::now(), Duration::ZERO, Duration::ZERO),
        Freshness::Unknown
    );
}

#[test]
fn bearer_is_written_as_the_header_has_it() {
    for (read, kept) in [
        ("bearer", "Bearer"),
        ("BEARER", "Bearer"),
        ("Bearer", "Bearer"),
        ("mac", "mac"),
    ] {
        assert_eq!(with(&json!({ "token_type": read })).token_type, kept);
    }
}

#[test]
fn unknown_members_are_kept_in_raw_and_what_raw_had_wins() {
    let credentials = with(&json!({
        "bot_id": "outer", "later": {"a": [1]}, "nothing": null,
        "raw": {"bot_id": "inner", "owner": null},
    }));
    assert_eq!(
        Value::from(credentials.raw.clone()),
        json!({"bot_id": "inner", "owner": null, "later": {"a": [1]}, "nothing": null})
    );
    assert_eq!(credentials.owner(), None);
}

#[track_caller]
fn raw_becomes(raw: Value, expected: Value) {
    let credentials = with(&json!({
        "refresh_token": "nrt_2", "id_token": "eyJ3", "raw": raw,
    }));
    assert_eq!(Value::from(credentials.raw), expected, "{raw}");
}

#[test]
fn tokens_in_raw_are_dropped_by_name_and_by_value_at_any_depth() {
    raw_becomes(
        json!({"access_token": "other", "refresh_token": "x", "id_token": 1, "bot_id": "b"}),
        json!({"bot_id": "b"}),
    );
    raw_becomes(
        json!({"a": {"b": {"refresh_token": "other", "c": 1}}}),
        json!({"a": {"b": {"c": 1}}}),
    );
    raw_becomes(
        json!({"list": [{"access_token": "x", "k": 2}, "nrt_2", ["eyJ3", 3]]}),
        json!({"list": [{"k": 2}, [3]]}),
    );
    raw_becomes(
        json!({"echo": "ntn_1", "said": "token=nrt_2&x", "kept": "ntn_"}),
        json!({"kept": "ntn_"}),
    );
    raw_becomes(
        json!({"by_token": {"ntn_1": true, "k": {"Bearer nrt_2": 1}}}),
        json!({"by_token": {"k": {}}}),
    );
}

#[test]
fn no_token_is_written_twice() {
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
fn json_refused(json: &str, problem: &str) {
    let error = serde_json::from_str::<NotionUserCredentials>(json).expect_err(json);
    assert!(error.to_string().contains(problem), "{error}");
    assert!(!error.to_string().contains("7135071"), "{error}");
    shows_no_canary(&error);
}

#[test]
fn credentials_without_an_access_token_are_refused() {
    json_refused("{}", "missing field `access_token`");
    json_refused(r#"{"access_token":null}"#, "missing field `access_token`");
    json_refused(
        r#"{"raw":{"access_token":"Canary7e1Secret"}}"#,
        "missing field `access_token`",
    );
    json_refused(r#""Canary7e1Secret""#, "expected a JSON object");
    json_refused(r#"["Canary7e1Secret"]"#, "expected a JSON object");
    json_refused("null", "expected a JSON object");
    json_refused("7135071", "expected a JSON object");
}

#[test]
fn members_of_the_wrong_type_are_refused_by_name_and_not_shown() {
    let texts = [
        "access_token",
        "token_type",
        "refresh_token",
        "id_token",
        "workspace_id",
        "workspace_name",
        "workspace_icon",
    ];
    for name in texts {
        for value in [
            json!(7_135_071),
            json!(true),
            json!([CANARY]),
            json!({"a": CANARY}),
        ] {
            member_refused(name, &value);
        }
    }
    for value in [json!(7_135_071), json!({"a": CANARY}), json!([CANARY, 7])] {
        member_refused("scope", &value);
    }
    for name in ["expires_in", "expires_at"] {
        for value in [
            json!(CANARY),
            json!("nan"),
            json!("inf"),
            json!(""),
            json!(true),
            json!([7_135_071]),
            json!({"a": CANARY}),
        ] {
            member_refused(name, &value);
        }
    }
    for value in [json!(CANARY), json!([CANARY]), json!(7_135_071)] {
        member_refused("raw", &value);
    }
}

#[track_caller]
fn member_refused(name: &str, value: &Value) {
    let mut json = json!({ "access_token": "ntn_1" });
    json[name] = value.clone();
    json_refused(&json.to_string(), &format!("{name}: "));
}

#[test]
fn debug_shows_no_token() {
    let credentials = read(
        &json!({
            "access_token": format!("{CANARY}1"), "refresh_token": format!("{CANARY}2"),
            "id_token": format!("{CANARY}3"), "workspace_name": "Acme",
            "raw": {"secret": format!("{CANARY}4"), "deep": {"x": [CANARY]}},
            "unknown": CANARY,
        })
        .to_string(),
    );
    shows_no_canary_debug(&credentials);
    shows_no_canary_debug(&credentials.expose_tokens());
    assert!(format!("{credentials:?}").contains("Acme"));
}

// The users' credentials: freshness.

/// A token that ends at second 1000, at second `now`, with a leeway of 10 and a window of 300.
#[track_caller]
fn at_second(now: f64, expected: Freshness) {
    let credentials = with(&json!({ "expires_at": 1000 }));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(now);
    let found = credentials.freshness(now, Duration::from_secs(10), Duration::from_secs(300));
    assert_eq!(found, expected);
}

#[test]
fn a_token_is_fresh_then_due_then_expired() {
    at_second(0.0, Freshness::Fresh);
    at_second(689.9, Freshness::Fresh);
    at_second(690.0, Freshness::Due);
    at_second(989.9, Freshness::Due);
    at_second(990.0, Freshness::Expired);
    at_second(1000.0, Freshness::Expired);
    at_second(99_999.0, Freshness::Expired);
}

#[test]
fn freshness_keeps_its_head_at_the_extremes() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(500);
    let ends = with(&json!({ "expires_at": 1000 }));
    let second = Duration::from_secs(1);
    for (leeway, window, expected) in [
        (Duration::ZERO, Duration::ZERO, Freshness::Fresh),
        (Duration::ZERO, Duration::MAX, Freshness::Due),
        (second, Duration::MAX, Freshness::Due),
        (Duration::MAX, second, Freshness::Expired),
        (Duration::MAX, Duration::MAX, Freshness::Expired),
    ] {
        assert_eq!(ends.freshness(now, leeway, window), expected);
        let unknown = with(&json!({}));
        assert_eq!(unknown.freshness(now, leeway, window), Freshness::Unknown);
    }
}

#[test]
fn time_left_is_known_exactly_if_the_end_is() {
    let ends = with(&json!({ "expires_at": 1000 }));
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    assert_eq!(ends.time_left(at(400)), Some(Duration::from_secs(600)));
    assert_eq!(ends.time_left(at(1000)), Some(Duration::ZERO));
    assert_eq!(ends.time_left(at(5000)), Some(Duration::ZERO));
    assert_eq!(with(&json!({})).time_left(at(400)), None);
}

// Whatever comes.

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

/// Often a name that means something.
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

fn any_credentials() -> impl Strategy<Value = Value> {
    let text = || prop::option::of(any::<String>());
    let time = prop_oneof![
        Just(Value::Null),
        any::<u32>().prop_map(Value::from),
        (0.0..5e9).prop_map(Value::from),
        (0..253_402_300_800_u64).prop_map(Value::from),
    ];
    let scope = prop::option::of(prop::collection::vec(any::<String>(), 0..4));
    let raw = prop::collection::btree_map(any_name(), any_json(), 0..5);
    (
        ".{1,20}",
        text(),
        text(),
        text(),
        scope,
        prop::option::of(any::<u64>()),
        time,
        raw,
    )
        .prop_map(
            |(access, refresh, id, icon, scope, expires_in, expires_at, raw)| {
                let known = json!({
                    "access_token": access, "refresh_token": refresh, "id_token": id,
                    "workspace_icon": icon, "scope": scope, "expires_in": expires_in,
                    "expires_at": expires_at,
                });
                let mut json = json!({ "raw": raw.clone() });
                let members = json.as_object_mut().expect("an object");
                // What stands beside the known members, too.
                let typed = ["raw", "token_type", "workspace_id"];
                members.extend(
                    raw.into_iter()
                        .filter(|(name, _)| !typed.contains(&&**name)),
                );
                members.extend(known.as_object().cloned().expect("an object"));
                json
            },
        )
}

#[track_caller]
fn header_value_is_any_visible_ascii(text: &str) -> Result<(), TestCaseError> {
    let token = AccessToken::new(text);
    let expected = match text.chars().position(|it| !('!'..='~').contains(&it)) {
        _ if text.is_empty() => Err(InvalidToken::Empty),
        Some(before) => Err(InvalidToken::Character {
            position: before + 1,
        }),
        None => Ok(format!("Bearer {text}")),
    };
    prop_assert_eq!(token.check().err(), expected.as_ref().err().copied());
    let value = token.to_header_value();
    if let Ok(value) = &value {
        prop_assert!(value.is_sensitive());
    }
    let value = value.map(|value| value.to_str().unwrap().to_owned());
    prop_assert_eq!(value, expected, "{:?}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_json_is_read_or_refused(json in any_json(), text in any::<String>()) {
        for text in [json.to_string(), text] {
            let _ = serde_json::from_str::<NotionUserCredentials>(&text);
            let _ = serde_json::from_str::<NotionAppCredentials>(&text);
            let _ = toml::from_str::<NotionAppCredentials>(&text);
        }
    }

    #[test]
    fn any_members_are_read_or_refused(
        members in prop::collection::btree_map(any_name(), any_json(), 0..6),
    ) {
        let json = json!(members);
        if let Ok(credentials) = serde_json::from_value::<NotionUserCredentials>(json.clone()) {
            prop_assert_eq!(json["access_token"].as_str(), Some(credentials.access_token.expose()));
        }
        let _ = serde_json::from_value::<NotionAppCredentials>(json);
    }

    #[test]
    fn what_was_read_and_written_stays_as_it_is(json in any_credentials()) {
        let once = write(&read(&json.to_string()));
        let twice = write(&read(&once));
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn any_end_that_can_be_written_is_read_again(nanos in 0_u64..5_000_000_000_000_000_000) {
        let mut credentials = NotionUserCredentials::new(AccessToken::new("ntn_1"));
        let end = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        credentials.expires_at = Some(end);
        let read = read(&write(&credentials)).expires_at.expect("it was written");
        let off = read.duration_since(end).unwrap_or_else(|before| before.duration());
        prop_assert!(off < Duration::from_micros(1), "{:?}", off);
    }

    #[test]
    fn any_text_becomes_a_header_exactly_if_it_is_visible_ascii(
        text in any::<String>(),
        near in "[ -~]{0,12}",
        good in "[!-~]{1,12}",
    ) {
        for text in [text, near, good] {
            header_value_is_any_visible_ascii(&text)?;
        }
    }

    #[test]
    fn no_error_shows_a_bad_value(value in "[a-z]{3} [A-Z]{12}") {
        let canary = &value[4..];
        for name in ALL_FIELDS {
            let error = set(app(), name, &value).build().expect_err("it has a space");
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains(canary));
        }
    }
}
