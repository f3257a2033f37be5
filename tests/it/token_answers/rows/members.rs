//! Members of every type and size.

use serde_json::json;

use super::{super::arrival::Arrival, Expected::Pair, Row, pair_then, with};

pub(super) const ROWS: &[Row] = &[
    ("token_type absent", |it| pair_then(&it, r#""a":1}"#), Pair),
    (
        "token_type null",
        |it| with(it, json!({"token_type": null})),
        Pair,
    ),
    (
        "token_type blank",
        |it| with(it, json!({"token_type": " "})),
        Pair,
    ),
    (
        "token_type padded",
        |it| with(it, json!({"token_type": " BEARER "})),
        Pair,
    ),
    (
        "token_type a number",
        |it| with(it, json!({"token_type": 7})),
        Pair,
    ),
    (
        "expires_in as text",
        |it| with(it, json!({"expires_in": "3600"})),
        Pair,
    ),
    (
        "expires_in in words",
        |it| with(it, json!({"expires_in": "soon"})),
        Pair,
    ),
    (
        "expires_in a float",
        |it| with(it, json!({"expires_in": 3599.9})),
        Pair,
    ),
    (
        "expires_in huge",
        |it| with(it, json!({"expires_in": u64::MAX})),
        Pair,
    ),
    (
        "expires_in 1e300",
        |it| with(it, json!({"expires_in": 1e300})),
        Pair,
    ),
    (
        "expires_in 1e999",
        |it| pair_then(&it, r#""expires_in":1e999}"#),
        Pair,
    ),
    (
        "expires_in NaN",
        |it| pair_then(&it, r#""expires_in":NaN}"#),
        Pair,
    ),
    (
        "expires_in an object",
        |it| with(it, json!({"expires_in": {"s": 1}})),
        Pair,
    ),
    (
        "expires_at huge",
        |it| with(it, json!({"expires_at": u64::MAX})),
        Pair,
    ),
    (
        "expires_at 1e300",
        |it| pair_then(&it, r#""expires_at":1e300}"#),
        Pair,
    ),
    (
        "expires_at a date",
        |it| with(it, json!({"expires_at": "2026-01-01"})),
        Pair,
    ),
    (
        "scope odd",
        |it| with(it, json!({"scope": [7, {"a": null}]})),
        Pair,
    ),
    (
        "members of other types",
        |it| {
            with(
                it,
                json!({
                    "workspace_id": 1, "workspace_name": ["a"], "workspace_icon": {"emoji": "b"},
                    "bot_id": [], "owner": "c", "request_id": 2.5, "id_token": false, "raw": true,
                    "duplicated_template_id": {}, "": null,
                }),
            )
        },
        Pair,
    ),
    (
        "a name that is half a character",
        |it| pair_then(&it, r#""workspace_name":"\ud83d"}"#),
        Pair,
    ),
    (
        "a name with a NUL",
        |it| with(it, json!({"workspace_name": "a\u{0}b"})),
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
        |it| pair_then(&it, &format!(r#""deep":{}}}"#, nested(100))),
        Pair,
    ),
    (
        "a member nested 127 deep",
        |it| pair_then(&it, &format!(r#""deep":{}}}"#, nested(127))),
        Pair,
    ),
    (
        "a member nested 100000 deep",
        |it| pair_then(&it, &format!(r#""deep":{}}}"#, nested(100_000))),
        Pair,
    ),
];

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}
