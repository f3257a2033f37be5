//! The responses to `introspect` and `revoke`.

use serde_json::Value;

use super::arrival::{Arrival, Change, Piece, Scene};

const USABLE: [(&str, Change); 6] = [
    ("as it is", |it| Arrival::json(&it)),
    ("gzip", |it| Arrival::gzip(it.to_string())),
    ("gzip without a header", |it| {
        Arrival::gzip(it.to_string()).header("content-encoding", "identity")
    }),
    ("a header of gzip alone", |it| {
        Arrival::json(&it).header("content-encoding", "gzip")
    }),
    ("a byte order mark", |it| {
        Arrival::of(format!("\u{feff}{it}"))
    }),
    ("an HTML content type", |it| {
        Arrival::json(&it).header("content-type", "text/html")
    }),
];

/// Responses to a revocation, of which only the status matters.
const ACKNOWLEDGED: [(&str, Change); 4] = [
    ("204", |_| Arrival::of("").status(204)),
    ("nothing", |_| Arrival::of("")),
    ("a line break", |_| Arrival::of("\r\n")),
    ("an empty object", |_| Arrival::of("{}")),
];

const UNUSABLE: [(&str, Change, &str); 5] = [
    (
        "a page",
        |_| Arrival::of("<p>Sign in").header("content-type", "text/html"),
        "content type text/html",
    ),
    (
        "br",
        |_| Arrival::of("\u{7}").header("content-encoding", "br"),
        "encoded as `br`",
    ),
    (
        "a gzip bomb",
        |_| Arrival::gzip(" ".repeat(64 << 20)),
        "more than 4 MiB",
    ),
    (
        "half an answer",
        |it| Arrival::of(it.to_string()[..9].to_owned()).then(Piece::Break),
        "the connection broke in the body",
    ),
    (
        "half of nothing",
        |_| Arrival::of("").then(Piece::Break),
        "the connection broke in the body",
    ),
];

#[tokio::test(start_paused = true)]
async fn introspect_and_revoke_read_every_form_of_response() {
    for (name, change) in USABLE {
        let scene = Scene::connected().await;
        let token = scene.stored().await.access_token;
        scene.next_arrives(change);
        assert!(scene.flow().introspect(&token).await.expect(name).active);
        scene.next_arrives(change);
        scene.flow().revoke(&token).await.expect(name);
        assert!(!scene.flow().introspect(&token).await.unwrap().active);
    }
}

#[tokio::test(start_paused = true)]
async fn revocation_is_acknowledged_by_its_status() {
    for (name, change) in ACKNOWLEDGED {
        let scene = Scene::connected().await;
        let token = scene.stored().await.access_token;
        scene.next_arrives(change);
        scene.flow().revoke(&token).await.expect(name);
    }
}

#[tokio::test(start_paused = true)]
async fn unusable_introspect_and_revoke_responses_are_reported() {
    for (name, change, words) in UNUSABLE {
        let scene = Scene::connected().await;
        let token = scene.stored().await.access_token;
        scene.next_arrives(change);
        let introspected = scene.flow().introspect(&token).await.expect_err(name);
        scene.next_arrives(change);
        let revoked = scene.flow().revoke(&token).await.expect_err(name);
        for error in [introspected, revoked] {
            assert!(error.is_ambiguous(), "{name}: {error}");
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn introspection_without_active_names_the_missing_member() {
    let scene = Scene::connected().await;
    let token = scene.stored().await.access_token;
    scene.next_arrives(|_| Arrival::json(&Value::Object(Default::default())));
    let error = scene.flow().introspect(&token).await.unwrap_err();
    assert!(error.to_string().contains("`active`"), "{error}");
}
