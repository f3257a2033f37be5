//! Content encodings.

use super::{
    super::arrival::{Arrival, Piece, gzip},
    Expected::{Ambiguous, Pair},
    MIB, Row, half, pair_first,
};

pub(super) const ROWS: &[Row] = &[
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
        "four bytes of gzip",
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
