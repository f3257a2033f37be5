//! The requests of OAuth calls, and their URLs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE},
};
use notion_auth::{
    AccessToken, NotionAppCredentials, NotionUserCredentials, header::NOTION_VERSION,
    testing::MockNotion,
};
use serde_json::{Value, json};

use super::{
    CALLS, Kind, REDIRECT_URI, ann, app, assert_shows_none_of, built, call, fails, flow, provider,
    start, valid_answer, wire::Wire,
};

/// Returns the only value of the header.
#[track_caller]
fn header(headers: &HeaderMap, name: HeaderName) -> &HeaderValue {
    let values: Vec<_> = headers.get_all(&name).iter().collect();
    assert_eq!(values.len(), 1, "{name}");
    values[0]
}

#[tokio::test(start_paused = true)]
async fn every_call_is_a_post_of_json_with_basic_and_version() {
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": "nrt_1"});
    let exchange = json!({
        "grant_type": "authorization_code",
        "code": "c0de",
        "redirect_uri": REDIRECT_URI,
    });
    let token = json!({"token": "ntn_1"});
    for (name, path, expected) in [
        ("exchange", "token", &exchange),
        ("refresh", "token", &refresh),
        ("revoke", "revoke", &token),
        ("introspect", "introspect", &token),
    ] {
        let wire = Wire::json(200, &valid_answer());
        let app = app().version("2025-09-03").client_secret("a:b/secret~");
        call(&wire.flow(app), name).await.expect(name);

        let (head, body) = wire.request().into_parts();
        assert_eq!(head.method, Method::POST);
        let url = format!("https://api.notion.com/v1/oauth/{path}");
        assert_eq!(head.uri, *url, "{name}");
        let authorization = header(&head.headers, AUTHORIZATION);
        let basic = STANDARD.encode("1f2e:a:b/secret~");
        assert_eq!(authorization, &*format!("Basic {basic}"));
        assert!(authorization.is_sensitive());
        assert_eq!(header(&head.headers, CONTENT_TYPE), "application/json");
        assert_eq!(header(&head.headers, ACCEPT_ENCODING), "identity");
        assert_eq!(header(&head.headers, NOTION_VERSION), "2025-09-03");
        let headers = format!("{:?}", head.headers);
        assert_shows_none_of(&headers, &[&basic, "secret~"]);
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body, *expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn revoke_and_introspect_are_siblings_of_the_token_url() {
    for (token_url, parent) in [
        (
            "https://api.notion.com/v1/oauth/token",
            "https://api.notion.com/v1/oauth",
        ),
        (
            "http://127.0.0.1:8080/token?tenant=7",
            "http://127.0.0.1:8080",
        ),
        ("https://n.example/a/token/", "https://n.example/a"),
    ] {
        for name in ["revoke", "introspect"] {
            let wire = Wire::json(200, &valid_answer());
            let flow = wire.flow(app().token_url(token_url));
            call(&flow, name).await.expect(name);
            assert_eq!(wire.request().uri(), &*format!("{parent}/{name}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn urls_of_revoke_and_introspect_can_be_set() {
    let wire = Wire::json(200, &valid_answer());
    let builder = provider(app())
        .revoke_url("https://r.example/x")
        .introspect_url("http://localhost:9/y");
    let flow = built(builder.transport(wire.transport()));
    call(&flow, "revoke").await.expect("revoke");
    call(&flow, "introspect").await.expect("introspect");
    let seen = wire.seen();
    let uris: Vec<_> = seen.iter().map(|seen| seen.uri().to_string()).collect();
    assert_eq!(uris, ["https://r.example/x", "http://localhost:9/y"]);
}

#[test]
fn urls_of_revoke_and_introspect_are_https_or_loopback() {
    for bad in [
        "http://evil/revoke",
        "http://localhost.evil/",
        "https://user@n.example/",
        "https://n.example/#x",
        "revoke",
        "",
    ] {
        let revoke = provider(app()).revoke_url(bad).build();
        let introspect = provider(app()).introspect_url(bad).build();
        for (built, name) in [(revoke, "revoke_url"), (introspect, "introspect_url")] {
            let error = built.expect_err(bad);
            assert!(error.is_configuration());
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn incomplete_oauth_client_sends_nothing() {
    let bare = || NotionAppCredentials::builder().redirect_uri(REDIRECT_URI);
    for (app, missing) in [
        (bare().token("ntn_1"), "client id"),
        (bare().client_secret("s"), "client id"),
        (bare().client_id("1f2e"), "client secret"),
    ] {
        let wire = Wire::json(200, &valid_answer());
        let flow = wire.flow(app);
        for name in CALLS {
            let error = fails(call(&flow, name).await, &Kind::Configuration);
            assert!(error.to_string().contains(missing), "{error}");
        }
        fails(flow.authorize(&ann()), &Kind::Configuration);
        assert!(wire.seen().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_without_a_refresh_token_sends_nothing() {
    let wire = Wire::json(200, &valid_answer());
    let credentials = NotionUserCredentials::new(AccessToken::new("ntn_1"));
    let refreshed = wire.flow(app()).refresh(&credentials).await;
    fails(refreshed, &Kind::Configuration);
    assert!(wire.seen().is_empty());
}

#[tokio::test]
async fn introspect_reports_whether_a_token_was_revoked() {
    let notion = start(MockNotion::builder()).await;
    let flow = flow(&notion);
    let token = notion.connect().access_token;

    let before = flow.introspect(&token).await.expect("an answer");
    assert!(before.active);
    assert!(before.scope.is_some() && before.issued_at.is_some() && before.request_id.is_some());

    flow.revoke(&token).await.expect("revoked");
    assert!(!notion.ledger().is_access_token_live(token.expose()));
    let after = flow.introspect(&token).await.expect("an answer");
    assert!(!after.active);
    assert_eq!((after.scope, after.issued_at), (None, None));
}

#[tokio::test(start_paused = true)]
async fn introspection_without_a_boolean_active_is_ambiguous() {
    for body in [
        json!({}),
        json!({"active": "true"}),
        json!({"active": null}),
        json!([true]),
    ] {
        let flow = Wire::json(200, &body).flow(app());
        fails(call(&flow, "introspect").await, &Kind::Ambiguous);
    }
}
