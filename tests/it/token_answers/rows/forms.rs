//! Statuses, content types, and the text of the body.

use std::time::Duration;

use serde_json::json;

use super::{
    super::arrival::{Arrival, Piece},
    Expected::{AccessToken, Ambiguous, Pair},
    MIB, Row, half, pair_first, pair_then, with,
};

pub(super) const ROWS: &[Row] = &[
    ("201", |it| Arrival::json(&it).status(201), Pair),
    ("203", |it| Arrival::json(&it).status(203), Pair),
    (
        "an HTML content type",
        |it| Arrival::json(&it).header("content-type", "text/html"),
        Pair,
    ),
    (
        "a wrong charset",
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
        "text after it",
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
        |it| with(it, json!({"workspace_icon": icon(100_000)})),
        Pair,
    ),
    (
        "an icon of 3 MiB",
        |it| with(it, json!({"workspace_icon": icon(3 * MIB)})),
        Pair,
    ),
    (
        "an icon of 5 MiB after the pair",
        |it| pair_then(&it, &format!(r#""workspace_icon":"{}"}}"#, icon(5 * MIB))),
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
            pair_then(&it, &rest)
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
        |it| pair_then(&it, r#""access_token":"ntn_other""#),
        Ambiguous(&["two values for `access_token`"]),
    ),
    (
        "null after the pair",
        |it| pair_then(&it, r#""refresh_token":null,"access_token":null}"#),
        Pair,
    ),
    (
        "other types after the pair",
        |it| pair_then(&it, r#""refresh_token":"","access_token":7}"#),
        Pair,
    ),
    (
        "null after the pair and no end",
        |it| pair_then(&it, r#""refresh_token":null,"#),
        Pair,
    ),
    (
        "repeated commas and underscores",
        |it| pair_then(&it, r#",,"expires_in":3_600,}"#),
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
        |it| pair_then(&it, r#""owner":{"ty"#),
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
        |it| pair_then(&it, "").then(Piece::Break),
        Pair,
    ),
    (
        "a connection that breaks before the refresh token",
        |it| Arrival::of(half(&it)).then(Piece::Break),
        Ambiguous(&["the connection broke in the body"]),
    ),
    (
        "a body that stops after the pair and has no end",
        |it| pair_then(&it, "").then(Piece::Pause(Duration::from_secs(3600))),
        Pair,
    ),
    (
        "no refresh token",
        |it| Arrival::of(format!(r#"{{"access_token":{}}}"#, it["access_token"])),
        AccessToken,
    ),
    (
        "a refresh token that is null",
        |it| with(it, json!({"refresh_token": null})),
        AccessToken,
    ),
    (
        "a refresh token that is a number",
        |it| with(it, json!({"refresh_token": 7})),
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

fn utf16(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn icon(size: usize) -> String {
    format!("data:image/png;base64,{}", "A".repeat(size))
}
