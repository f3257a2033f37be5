//! Valid values of each field.

use super::{builder, field, set};

#[track_caller]
fn assert_accepts(name: &str, values: &[&str]) {
    for value in values {
        if let Err(error) = set(builder(), name, value).build() {
            panic!("{name} = {value:?}: {error}");
        }
    }
}

#[track_caller]
fn assert_refuses(name: &str, values: &[&str]) {
    for value in values {
        match set(builder(), name, value).build() {
            Err(error) => assert_eq!(error.field(), name, "{value:?}"),
            Ok(app) => panic!("{name} = {value:?} was accepted: {:?}", field(&app, name)),
        }
    }
}

const URLS: [&str; 3] = ["authorization_url", "token_url", "redirect_uri"];

#[test]
fn urls_are_https_or_loopback() {
    for name in URLS {
        assert_accepts(
            name,
            &[
                "https://app.example/x",
                "https://app.example:8443/x?tenant=1",
                "http://localhost/x",
                "http://localhost:3000/x",
                "http://LOCALHOST/x",
                "http://127.0.0.1:3000/x",
                "http://127.255.0.9/x",
                "http://[::1]:1",
            ],
        );
        assert_refuses(
            name,
            &[
                "http://evil",
                "http://api.notion.com/v1/oauth/token",
                "http://localhost.evil",
                "http://localhost.evil/",
                "http://evil.localhost/",
                "http://127.0.0.1.evil",
                "http://127.0.0.1@evil/",
                "http://localhost:80@evil/",
                "http://128.0.0.1/",
                "http://0.0.0.0/",
                "http://[::2]/",
                "http://[::]/",
                "http://[::ffff:10.0.0.1]/",
                "http:",
                "https://",
                "ftp://localhost/",
                "ws://localhost/",
                "file:///etc/passwd",
                "data:text/plain,https://app.example/",
                "javascript:alert(1)",
                "//app.example/x",
                "/x",
                "app.example/x",
                "",
            ],
        );
    }
}

#[test]
fn urls_have_no_user_name_password_or_fragment() {
    for name in URLS {
        assert_refuses(
            name,
            &[
                "https://user@app.example/x",
                "https://user:password@app.example/x",
                "https://:password@app.example/x",
                "http://user@localhost/x",
                "https://app.example/x#here",
                "https://app.example/x#",
                "https://app.example/x?y#z",
            ],
        );
    }
}

#[test]
fn redirect_uri_is_kept_verbatim() {
    for uri in [
        "https://app.example",
        "https://APP.example:443/a/../b",
        "https://app.example/cb?x=%7e&y=a+b",
    ] {
        let app = builder().redirect_uri(uri).build().expect(uri);
        assert_eq!(app.redirect_uri(), Some(uri));
    }
}

#[test]
fn redirect_uri_has_no_white_space_or_control_character() {
    assert_refuses(
        "redirect_uri",
        &[
            " https://app.example/cb",
            "https://app.example/cb\n",
            "https://app.example/c b",
            "https://app.ex\tample/cb",
            "https://app.example/c\r\nb",
            "https://app.example/c\0b",
        ],
    );
}

#[test]
fn token_is_any_visible_ascii() {
    assert_accepts("token", &["ntn_5b6a", "secret_A1", "-._~+/09azAZ"]);
    assert_accepts("token", &["a", "a==", "=", "a=b", "tok|en%41", "\"ntn,1\""]);
    assert_refuses("token", &["", "Bearer ntn_1", "ntn_1 ", "ntn_1\n"]);
    assert_refuses("token", &["ntn_\t1", "ntn_\u{e9}", "ntn_\0", "ntn_\u{7f}"]);
}

#[test]
fn client_is_valid_for_http_basic() {
    let ids = ["1f2e", "11d872f4-0000-4000-8000-6d6f636b6964", "a=b&c"];
    assert_accepts("client_id", &ids);
    assert_refuses("client_id", &["", "a:b", "a b", "a\n", "\u{e9}"]);
    assert_accepts("client_secret", &["secret_1", "a:b:c", "~!@#$%^&*()"]);
    let secrets = ["", "a b", "a\n", "\ta", "\u{e9}", "\u{7f}"];
    assert_refuses("client_secret", &secrets);
}

#[test]
fn version_has_the_form_of_a_date() {
    assert_accepts("version", &["2021-05-11", "2026-03-11", "2099-12-31"]);
    assert_refuses(
        "version",
        &[
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
        ],
    );
}

#[test]
fn scope_is_a_word_of_rfc_6749() {
    let scopes = ["read", "read:pages", "urn:x/y", "!#[]~"];
    assert_accepts("default_scope", &scopes);
    let scopes = ["", "a b", "a\"", "a\\b", "a\n", "\u{e9}"];
    assert_refuses("default_scope", &scopes);
}
