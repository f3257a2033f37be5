//! Defaults, environment variables and their precedence.

use std::ffi::OsString;

use notion_auth::NotionAppCredentials;

use super::{ALL_FIELDS, Builder, VARIABLES, builder, completed, field, from_vars, set};

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
fn every_variable_sets_its_field_and_no_other() {
    let default = from_vars(&[]);
    for (name, variables, values) in VARIABLES {
        for variable in variables {
            for value in values {
                let app = from_vars(&[(variable, value)]);
                for it in ALL_FIELDS {
                    let default = field(&default, it);
                    let expected = if it == name {
                        Some(value.to_owned())
                    } else {
                        default
                    };
                    assert_eq!(field(&app, it), expected, "{it} by {variable}");
                }
            }
        }
    }
}

#[test]
fn first_variable_that_is_set_and_not_empty_wins() {
    let default = from_vars(&[]);
    for (name, variables, [first, second]) in VARIABLES {
        for variable in variables {
            let app = from_vars(&[(variable, "")]);
            assert_eq!(field(&app, name), field(&default, name), "{variable}");
        }
        if let [primary, alias] = variables {
            for (value, expected) in [(first, first), ("", second)] {
                let app = from_vars(&[(alias, second), (primary, value)]);
                assert_eq!(field(&app, name).as_deref(), Some(expected), "{name}");
            }
        }
    }
}

#[test]
fn explicit_values_win_over_the_environment_in_any_order() {
    for (name, variables, [explicit, value]) in VARIABLES {
        let before = set(builder(), name, explicit).vars(|it| {
            assert!(!variables.contains(&it), "{it} is not needed");
            None
        });
        let vars: Vec<_> = variables.iter().map(|it| (*it, value)).collect();
        let after = completed(builder(), &vars).map(|it| set(it, name, explicit));
        for builder in [before, after] {
            let app = builder.and_then(Builder::build).expect(name);
            assert_eq!(field(&app, name).as_deref(), Some(explicit), "{name}");
        }
    }
}

#[cfg(unix)]
#[test]
fn variable_that_is_not_utf8_is_named_and_not_shown() {
    use std::os::unix::ffi::OsStringExt as _;

    use super::super::{CANARY, assert_error_shows_no_canary};

    for (name, variables, [valid, _]) in VARIABLES {
        for (at, bad) in variables.iter().enumerate() {
            let bytes = [CANARY.as_bytes(), b"\xff"].concat();
            let error = builder()
                .vars(|it| match it {
                    _ if it == *bad => Some(OsString::from_vec(bytes.clone())),
                    // A valid variable of lower precedence does not help.
                    _ if variables[at..].contains(&it) => Some(valid.into()),
                    _ => None,
                })
                .expect_err("a value that is not UTF-8");
            assert_eq!((error.field(), error.variable()), (name, Some(*bad)));
            let expected = format!("{name} (from {bad}): expected UTF-8 text");
            assert_eq!(error.to_string(), expected);
            assert_error_shows_no_canary(&error);
        }
    }
}

#[test]
fn variable_in_quotes_is_named_and_not_shown() {
    for (name, variables, [valid, _]) in VARIABLES {
        for variable in variables {
            for quote in ['"', '\''] {
                let quoted = format!("{quote}{valid}{quote}");
                let error = completed(builder(), &[(variable, &quoted)]).expect_err("quotes");
                assert_eq!((error.field(), error.variable()), (name, Some(*variable)));
                let text = error.to_string();
                assert!(text.contains("quotes") && !text.contains(valid), "{text}");
            }
        }
    }
}

#[test]
fn client_id_or_secret_makes_an_oauth_client() {
    for (variable, value, expected) in [
        ("NOTION_CLIENT_ID", "1f2e", true),
        ("NOTION_CLIENT_SECRET", "s", true),
        ("NOTION_TOKEN", "ntn_1", false),
        ("NOTION_REDIRECT_URI", "https://a.example/cb", false),
    ] {
        let app = from_vars(&[(variable, value)]);
        assert_eq!(app.has_oauth_client(), expected, "{variable}");
    }
}
