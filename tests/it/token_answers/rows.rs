//! The forms in which a token answer arrives, and what becomes of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::arrival::{Arrival, Change, Piece, gzip};

/// What becomes of both halves: of an exchange, and of a refresh.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// The pair is saved and used.
    Pair,
    /// The access token is saved and used. There is no new refresh token: an exchange saves none,
    /// and a refresh keeps the old one.
    AccessToken,
    /// What the server did is not known. The error and the log contain these words.
    Ambiguous(&'static [&'static str]),
}

use Expected::{AccessToken, Ambiguous, Pair};

pub(super) type Row = (&'static str, Change, Expected);

/// The answer with these members added or replaced.
fn with(mut answer: Value, members: Value) -> Value {
    let members = members.as_object().cloned().unwrap();
    answer.as_object_mut().unwrap().extend(members);
    answer
}

/// The text of the answer from the member after the token pair on: the pair comes first.
fn pair_first(answer: &Value, rest: &str) -> String {
    let (access, refresh) = (&answer["access_token"], &answer["refresh_token"]);
    format!(r#"{{"access_token":{access},"refresh_token":{refresh},{rest}"#)
}

fn half(answer: &Value) -> String {
    let text = answer.to_string();
    text[..text.find("refresh_token").unwrap() + 20].to_owned()
}

fn utf16(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

const MIB: usize = 1024 * 1024;

pub(super) const ENCODINGS: &[Row] = &[
    ("as it is", |it| Arrival::json(&it), Pair),
    (
        "identity",
        |it| Arrival::json(&it).header("content-encoding", "identity"),
        Pair,
    ),
    ("gzip", |it| Arrival::gzip(it.to_string()), Pair),
    (
        "x-gzip in capitals",
        |it| Arrival::gzip(it.to_string()).header("content-encoding", "X-GZip"),
        Pair,
    ),
    (
        "gzip and identity",
        |it| Arrival::gzip(it.to_string()).header("content-encoding", "gzip, identity"),
        Pair,
    ),
    (
        "gzip twice",
        |it| Arrival::gzip(gzip(it.to_string())).header("content-encoding", "gzip, gzip"),
        Pair,
    ),
    (
        "blanks and byte order marks before gzip",
        |it| Arrival::of([b"\xEF\xBB\xBF \x0C\xEF\xBB\xBF", &*gzip(it.to_string())].concat()),
        Pair,
    ),
    (
        "br in gzip",
        |_| Arrival::gzip(b"\x8B\x03").header("content-encoding", "br, gzip"),
        Ambiguous(&["encoded as `br, gzip`"]),
    ),
    (
        "an encoding that quotes a token",
        |_| Arrival::of("\u{7}").header("content-encoding", "NTN_0"),
        Ambiguous(&["has an unknown encoding"]),
    ),
    (
        "br that is cut off",
        |_| {
            let arrival = Arrival::of("\u{7}").header("content-encoding", "br");
            arrival.then(Piece::Break)
        },
        Ambiguous(&["broke in the body (reset by peer); the body is encoded as `br`"]),
    ),
    (
        "gzip without a header",
        |it| Arrival::of(gzip(it.to_string())),
        Pair,
    ),
    (
        "a header of gzip alone",
        |it| Arrival::json(&it).header("content-encoding", "gzip"),
        Pair,
    ),
    (
        "a header of br alone",
        |it| Arrival::json(&it).header("content-encoding", "br"),
        Pair,
    ),
    (
        "gzip without its end",
        |it| {
            let mut body = gzip(it.to_string());
            body.truncate(body.len() - 8);
            Arrival::of(body)
        },
        Pair,
    ),
    (
        "gzip of a pair and much more",
        |it| Arrival::gzip(pair_first(&it, &" ".repeat(64 * MIB))),
        Pair,
    ),
    (
        "gzip of which hardly a byte came",
        |it| Arrival::gzip(&gzip(it.to_string())[..4]).header("content-encoding", "gzip"),
        Ambiguous(&["it is not a JSON object"]),
    ),
    (
        "a gzip bomb",
        |_| Arrival::gzip(" ".repeat(64 * MIB)),
        Ambiguous(&["gzip body decodes to more than 4 MiB"]),
    ),
    (
        "damaged gzip",
        |_| Arrival::of(&b"\x1F\x8B\x08\0\0\0\0\0\0\x03\x07damaged"[..]),
        Ambiguous(&["gzip body is damaged"]),
    ),
    (
        "half of gzip",
        |it| Arrival::of(gzip(half(&it))[..60].to_vec()),
        Ambiguous(&["end of the gzip body is missing"]),
    ),
    (
        "br",
        |_| Arrival::of(&b"\x8B\x03\x80\x7B"[..]).header("content-encoding", "br"),
        Ambiguous(&["encoded as `br`", "only gzip and identity", "4 bytes"]),
    ),
    (
        "zstd",
        |_| Arrival::of(&b"\x28\xB5\x2F\xFD"[..]).header("content-encoding", "ZSTD"),
        Ambiguous(&["encoded as `zstd`"]),
    ),
    (
        "deflate",
        |_| Arrival::of(&b"\x78\x9C\xAB"[..]).header("content-encoding", "deflate"),
        Ambiguous(&["encoded as `deflate`"]),
    ),
    (
        "br over gzip",
        |_| Arrival::of(&b"\x8B\x03"[..]).header("content-encoding", "gzip, br"),
        Ambiguous(&["encoded as `gzip, br`"]),
    ),
];

pub(super) const FORMS: &[Row] = &[
    ("201", |it| Arrival::json(&it).status(201), Pair),
    ("203", |it| Arrival::json(&it).status(203), Pair),
    (
        "an HTML content type",
        |it| Arrival::json(&it).header("content-type", "text/html"),
        Pair,
    ),
    (
        "a charset that is not so",
        |it| Arrival::json(&it).header("content-type", "application/json; charset=utf-16"),
        Pair,
    ),
    (
        "a byte order mark",
        |it| Arrival::of(format!("\u{feff}{it}")),
        Pair,
    ),
    ("UTF-16", |it| Arrival::of(utf16(&it.to_string())), Pair),
    (
        "a name in Latin-1",
        |it| {
            Arrival::of(
                [
                    pair_first(&it, r#""workspace_name":"#).as_bytes(),
                    b"\"\xE9\"}",
                ]
                .concat(),
            )
        },
        Pair,
    ),
    (
        "an array around it",
        |it| Arrival::of(format!("[{it}]")),
        Pair,
    ),
    (
        "something after it",
        |it| Arrival::of(format!("{it}\n<!-- served by a proxy -->")),
        Pair,
    ),
    (
        "another object after it",
        |it| Arrival::of(format!(r#"{it}{{"access_token":"ntn_evil"}}"#)),
        Pair,
    ),
    (
        "200 KiB of blanks",
        |it| Arrival::of(format!("{}{it}", " ".repeat(200 * 1024))),
        Pair,
    ),
    (
        "an icon of 100 KB",
        |it| Arrival::json(&with(it, json!({"workspace_icon": icon(100_000)}))),
        Pair,
    ),
    (
        "an icon of 3 MiB",
        |it| Arrival::json(&with(it, json!({"workspace_icon": icon(3 * MIB)}))),
        Pair,
    ),
    (
        "an icon of 5 MiB after the pair",
        |it| {
            Arrival::of(pair_first(
                &it,
                &format!(r#""workspace_icon":"{}"}}"#, icon(5 * MIB)),
            ))
        },
        Pair,
    ),
    (
        "an icon of 5 MiB before the pair",
        |it| {
            Arrival::of(format!(
                r#"{{"workspace_icon":"{}","a":{it}}}"#,
                icon(5 * MIB)
            ))
        },
        Ambiguous(&["the body is larger than 4 MiB", "`access_token`"]),
    ),
    (
        "the same member twice",
        |it| {
            let refresh = &it["refresh_token"];
            let rest = format!(r#""refresh_token":{refresh},"request_id":1,"request_id":2}}"#);
            Arrival::of(pair_first(&it, &rest))
        },
        Pair,
    ),
    (
        "two refresh tokens, of which every JSON parser takes the last",
        |it| {
            Arrival::of(format!(
                r#"{{"refresh_token":"nrt_other",{}"#,
                &it.to_string()[1..]
            ))
        },
        Pair,
    ),
    (
        "two access tokens and no end",
        |it| Arrival::of(pair_first(&it, r#""access_token":"ntn_other""#)),
        Ambiguous(&["two values for `access_token`"]),
    ),
    (
        "null after the pair",
        |it| {
            Arrival::of(pair_first(
                &it,
                r#""refresh_token":null,"access_token":null}"#,
            ))
        },
        Pair,
    ),
    (
        "other types after the pair",
        |it| Arrival::of(pair_first(&it, r#""refresh_token":"","access_token":7}"#)),
        Pair,
    ),
    (
        "null after the pair and no end",
        |it| Arrival::of(pair_first(&it, r#""refresh_token":null,"#)),
        Pair,
    ),
    (
        "repeated commas and underscores",
        |it| Arrival::of(pair_first(&it, r#",,"expires_in":3_600,}"#)),
        Pair,
    ),
    (
        "blanks and byte order marks before it",
        |it| Arrival::of(format!("\u{feff} \u{c}\u{a0}\u{feff}\0{it}")),
        Pair,
    ),
    ("a NUL before it", |it| Arrival::of(format!("\0{it}")), Pair),
    (
        "a prefix against scripts of other origins",
        |it| Arrival::of(format!(")]}}',\n{it}")),
        Pair,
    ),
    (
        "an empty object before it",
        |it| Arrival::of(format!("[{{}},{it}]")),
        Pair,
    ),
    (
        "cut off after the pair",
        |it| Arrival::of(pair_first(&it, r#""owner":{"ty"#)),
        Pair,
    ),
    (
        "cut off before the refresh token is complete",
        |it| Arrival::of(half(&it)),
        Ambiguous(&[
            "ends before `refresh_token` is complete",
            "application/json",
        ]),
    ),
    (
        "cut off after a refresh token that is null",
        |it| {
            Arrival::of(format!(
                r#"{{"access_token":{},"refresh_token":null,"#,
                it["access_token"]
            ))
        },
        Ambiguous(&["ends before `refresh_token` is complete"]),
    ),
    (
        "cut off in the access token",
        |_| Arrival::of(r#"{"access_token":"ntn_0"#),
        Ambiguous(&["ends before `access_token` is complete"]),
    ),
    (
        "a connection that breaks after the pair",
        |it| Arrival::of(pair_first(&it, "")).then(Piece::Break),
        Pair,
    ),
    (
        "a connection that breaks before the refresh token",
        |it| Arrival::of(half(&it)).then(Piece::Break),
        Ambiguous(&["the connection broke in the body"]),
    ),
    (
        "a body that stops after the pair and has no end",
        |it| Arrival::of(pair_first(&it, "")).then(Piece::Pause(Duration::from_secs(3600))),
        Pair,
    ),
    (
        "no refresh token",
        |it| Arrival::of(format!(r#"{{"access_token":{}}}"#, it["access_token"])),
        AccessToken,
    ),
    (
        "a refresh token that is null",
        |it| Arrival::json(&with(it, json!({"refresh_token": null}))),
        AccessToken,
    ),
    (
        "a refresh token that is a number",
        |it| Arrival::json(&with(it, json!({"refresh_token": 7}))),
        AccessToken,
    ),
    (
        "nothing",
        |_| Arrival::of(""),
        Ambiguous(&["status 200", "0 bytes", "not a JSON object"]),
    ),
    (
        "204",
        |_| Arrival::of("").status(204),
        Ambiguous(&["status 204", "not a JSON object"]),
    ),
    (
        "a page",
        |_| Arrival::of("<p>Sign in").header("content-type", "text/html; charset=utf-8"),
        Ambiguous(&["content type text/html,", "10 bytes", "not a JSON object"]),
    ),
    (
        "single quotes",
        |it| Arrival::of(it.to_string().replace('"', "'")),
        Ambiguous(&["ends before `access_token` is complete"]),
    ),
    (
        "the pair inside of a member",
        |it| Arrival::json(&json!({ "data": it })),
        Ambiguous(&["no string member `access_token`"]),
    ),
    (
        "another array element first",
        |it| Arrival::of(format!("[1,null,{it}]")),
        Pair,
    ),
    (
        "the pair in an error's status",
        |it| Arrival::json(&it).status(500),
        Ambiguous(&["status 500"]),
    ),
];

pub(super) const MEMBERS: &[Row] = &[
    (
        "token_type absent",
        |it| Arrival::of(pair_first(&it, r#""a":1}"#)),
        Pair,
    ),
    (
        "token_type null",
        |it| Arrival::json(&with(it, json!({"token_type": null}))),
        Pair,
    ),
    (
        "token_type blank",
        |it| Arrival::json(&with(it, json!({"token_type": " "}))),
        Pair,
    ),
    (
        "token_type padded",
        |it| Arrival::json(&with(it, json!({"token_type": " BEARER "}))),
        Pair,
    ),
    (
        "token_type a number",
        |it| Arrival::json(&with(it, json!({"token_type": 7}))),
        Pair,
    ),
    (
        "expires_in as text",
        |it| Arrival::json(&with(it, json!({"expires_in": "3600"}))),
        Pair,
    ),
    (
        "expires_in in words",
        |it| Arrival::json(&with(it, json!({"expires_in": "soon"}))),
        Pair,
    ),
    (
        "expires_in a float",
        |it| Arrival::json(&with(it, json!({"expires_in": 3599.9}))),
        Pair,
    ),
    (
        "expires_in huge",
        |it| Arrival::json(&with(it, json!({"expires_in": u64::MAX}))),
        Pair,
    ),
    (
        "expires_in 1e300",
        |it| Arrival::json(&with(it, json!({"expires_in": 1e300}))),
        Pair,
    ),
    (
        "expires_in 1e999",
        |it| Arrival::of(pair_first(&it, r#""expires_in":1e999}"#)),
        Pair,
    ),
    (
        "expires_in NaN",
        |it| Arrival::of(pair_first(&it, r#""expires_in":NaN}"#)),
        Pair,
    ),
    (
        "expires_in an object",
        |it| Arrival::json(&with(it, json!({"expires_in": {"s": 1}}))),
        Pair,
    ),
    (
        "expires_at huge",
        |it| Arrival::json(&with(it, json!({"expires_at": u64::MAX}))),
        Pair,
    ),
    (
        "expires_at 1e300",
        |it| Arrival::of(pair_first(&it, r#""expires_at":1e300}"#)),
        Pair,
    ),
    (
        "expires_at a date",
        |it| Arrival::json(&with(it, json!({"expires_at": "2026-01-01"}))),
        Pair,
    ),
    (
        "scope odd",
        |it| Arrival::json(&with(it, json!({"scope": [7, {"a": null}]}))),
        Pair,
    ),
    (
        "members of other types",
        |it| {
            Arrival::json(&with(
                it,
                json!({
                    "workspace_id": 1, "workspace_name": ["a"], "workspace_icon": {"emoji": "b"},
                    "bot_id": [], "owner": "c", "request_id": 2.5, "id_token": false, "raw": true,
                    "duplicated_template_id": {}, "": null,
                }),
            ))
        },
        Pair,
    ),
    (
        "a name that is half a character",
        |it| Arrival::of(pair_first(&it, r#""workspace_name":"\ud83d"}"#)),
        Pair,
    ),
    (
        "a name with a NUL",
        |it| Arrival::json(&with(it, json!({"workspace_name": "a\u{0}b"}))),
        Pair,
    ),
    (
        "a name that quotes a token",
        |it| {
            let name = r#"","access_token":"ntn_evil","refresh_token":"nrt_evil","x":""#;
            let name = format!(r#"{{"workspace_name":{},"#, json!(name));
            Arrival::of(it.to_string().replacen('{', &name, 1))
        },
        Pair,
    ),
    (
        "an owner with a member of that name",
        |it| {
            let evil = r#"{"owner":{"access_token":"ntn_evil","refresh_token":"nrt_evil"},"#;
            Arrival::of(it.to_string().replacen('{', evil, 1))
        },
        Pair,
    ),
    (
        "a member nested 100 deep",
        |it| Arrival::of(pair_first(&it, &format!(r#""deep":{}}}"#, nested(100)))),
        Pair,
    ),
    (
        "a member nested 127 deep",
        |it| Arrival::of(pair_first(&it, &format!(r#""deep":{}}}"#, nested(127)))),
        Pair,
    ),
    (
        "a member nested 100000 deep",
        |it| Arrival::of(pair_first(&it, &format!(r#""deep":{}}}"#, nested(100_000)))),
        Pair,
    ),
];

fn icon(size: usize) -> String {
    format!("data:image/png;base64,{}", "A".repeat(size))
}
