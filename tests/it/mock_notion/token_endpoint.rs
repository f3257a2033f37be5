//! Calls that the OAuth endpoints refuse.

use http::{
    Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use notion_auth::testing::notion::{ErrorShape, MockNotion};
use serde_json::{Value, json};

use super::{JSON, basic, call, granted, post, refresh, refresh_token, request};

#[tokio::test]
async fn errors_have_the_configured_shape() {
    for (shape, members) in [
        (ErrorShape::OAuth, "error error_description request_id"),
        (ErrorShape::Api, "code message object request_id status"),
    ] {
        let notion = MockNotion::builder().error_shape(shape).in_process();
        let answer = refresh(&notion, "nrt_never_issued").await;
        let mut names: Vec<_> = answer.json.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!((answer.status.as_u16(), &*names.join(" ")), (400, members));
    }
}

#[tokio::test]
async fn client_is_authenticated_by_one_basic_header() {
    let (notion, grant) = granted();
    let token = refresh_token(&grant);
    let mut body = json!({ "grant_type": "refresh_token", "refresh_token": token });
    let valid = basic(&notion);
    // someone:else
    let wrong = "Basic c29tZW9uZTplbHNl";
    let post = |authorization: &[&str], body: &Value| {
        let mut headers = vec![JSON];
        headers.extend(authorization.iter().map(|it| (AUTHORIZATION, *it)));
        request("POST", "/v1/oauth/token", &headers, body.to_string())
    };
    for authorization in [&[wrong][..], &[&valid, &valid]] {
        let answer = call(&notion, post(authorization, &body)).await;
        answer.is_error(401, "invalid_client");
    }
    body["client_id"] = notion.client_id().into();
    body["client_secret"] = notion.client_secret().into();
    let answer = call(&notion, post(&[], &body)).await;
    answer.is_error(401, "invalid_client");
    assert!(notion.ledger().is_refresh_token_live(token));
}

#[tokio::test]
async fn undocumented_token_requests_are_refused() {
    let (notion, grant) = granted();
    let token = refresh_token(&grant);
    for (body, code) in [
        (
            json!({ "grant_type": "refresh_token", "refresh_token": token, "scope": "all" }),
            "validation_error",
        ),
        (
            json!({ "grant_type": "refresh_token", "refresh_token": 7 }),
            "validation_error",
        ),
        (json!({ "grant_type": "refresh_token" }), "validation_error"),
        (
            json!({ "grant_type": "password", "refresh_token": token }),
            "unsupported_grant_type",
        ),
        (json!({ "refresh_token": token }), "invalid_request"),
        (json!([token]), "validation_error"),
        (
            json!({ "grant_type": "authorization_code", "code": "c", "state": "s" }),
            "validation_error",
        ),
        (
            json!({ "grant_type": "authorization_code", "code": "c", "external_account": { "key": "k" } }),
            "validation_error",
        ),
        (
            json!({ "grant_type": "authorization_code", "code": "c" }),
            "invalid_grant",
        ),
    ] {
        let answer = post(&notion, "/v1/oauth/token", &body).await;
        answer.is_error(400, code);
    }
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    for (content_type, body, code) in [
        ("application/x-www-form-urlencoded", form, "invalid_request"),
        ("application/json", "{".to_owned(), "invalid_json"),
    ] {
        let headers = [
            (AUTHORIZATION, &*basic(&notion)),
            (CONTENT_TYPE, content_type),
        ];
        let request = request("POST", "/v1/oauth/token", &headers, body);
        call(&notion, request).await.is_error(400, code);
    }

    let ledger = notion.ledger();
    assert!(ledger.is_refresh_token_live(token));
    // All calls that contain the token, including the form but not the array.
    assert_eq!(ledger.presentations_of(token).len(), 4);
}

#[tokio::test]
async fn revoke_ends_a_token_and_introspect_reports_it() {
    let (notion, grant) = granted();
    let (access, refresh) = (grant.access_token(), refresh_token(&grant));
    let post = async |path, token| post(&notion, path, &json!({ "token": token })).await.ok();
    let active = post("/v1/oauth/introspect", access).await;
    assert_eq!(active.json["active"], true);
    assert!(active.json["iat"].is_u64());
    assert!(active.json.get("exp").is_none());

    post("/v1/oauth/revoke", access).await;
    assert!(notion.ledger().is_refresh_token_live(refresh));
    post("/v1/oauth/revoke", refresh).await;
    assert!(!notion.ledger().is_refresh_token_live(refresh));
    post("/v1/oauth/revoke", "unknown").await;
    let inactive = post("/v1/oauth/introspect", refresh).await;
    assert_eq!(inactive.json["active"], false);
}

#[tokio::test]
async fn revoke_without_a_version_is_refused() {
    let notion = MockNotion::in_process();
    let headers = [(AUTHORIZATION, &*basic(&notion)), JSON];
    let body = json!({ "token": "t" }).to_string();
    let unversioned: Request<_> = request("POST", "/v1/oauth/revoke", &headers, body);
    call(&notion, unversioned)
        .await
        .is_error(400, "missing_version");
}
