//! The mocked API: tokens, versions, users, pages and search.

use std::collections::HashSet;

use http::header::AUTHORIZATION;
use notion_auth::{header::NOTION_VERSION, testing::notion::MockNotion};
use serde_json::{Value, json};

use super::{api, call, granted, refresh_token, request};

#[tokio::test]
async fn invalid_token_is_reported_before_a_missing_version() {
    let (notion, grant) = granted();
    let me = async |token: &str, version: &str| {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![(AUTHORIZATION, &*bearer)];
        if !version.is_empty() {
            headers.push((NOTION_VERSION, version));
        }
        call(&notion, request("GET", "/v1/users/me", &headers, "")).await
    };
    let invalid = me("ntn_wrong", "").await;
    invalid.is_error(401, "unauthorized");
    assert_eq!(invalid.json["message"], "API token is invalid.");
    let request_id = invalid.text("request_id");
    assert_eq!(invalid.headers["x-notion-request-id"], request_id);
    for (token, version, status, code) in [
        (grant.access_token(), "", 400, "missing_version"),
        (grant.access_token(), "2020-01-01", 400, "validation_error"),
        (refresh_token(&grant), "2026-03-11", 401, "unauthorized"),
    ] {
        me(token, version).await.is_error(status, code);
    }
    let me = me(grant.access_token(), "2021-05-11").await.ok();
    assert_eq!(me.json["id"], grant.bot_id());
    assert_eq!(me.json["bot"]["owner"], grant.answer["owner"]);
    assert_eq!(me.json["bot"]["workspace_name"], "Workspace 1");
    assert!(me.headers.contains_key("x-notion-request-id"));
}

#[tokio::test]
async fn two_authorization_headers_are_refused_and_counted() {
    let (notion, grant) = granted();
    let bearer = format!("Bearer {}", grant.access_token());
    let headers = [
        (AUTHORIZATION, &*bearer),
        (AUTHORIZATION, &bearer),
        (NOTION_VERSION, "2025-09-03"),
    ];
    let answer = call(&notion, request("GET", "/v1/users/me?x=1", &headers, "")).await;
    answer.is_error(401, "unauthorized");
    let seen = notion.ledger().api_calls().remove(0);
    assert_eq!((seen.authorization_values, seen.token), (2, None));
    assert_eq!((&*seen.path, seen.status), ("/v1/users/me", Some(401)));
    assert_eq!(seen.notion_version.as_deref(), Some("2025-09-03"));
}

#[tokio::test]
async fn users_are_listed_in_pages() {
    let notion = MockNotion::builder().users(5).in_process();
    let grant = notion.grant();
    let list = async |query: &str| {
        let path = format!("/v1/users?{query}");
        api(&notion, &grant, "GET", &path, Value::Null).await
    };
    let (mut ids, mut query) = (HashSet::new(), "page_size=2".to_owned());
    for has_more in [true, true, false] {
        let page = list(&query).await.ok().json;
        let users = page["results"].as_array().unwrap();
        ids.extend(users.iter().map(|user| user["id"].to_string()));
        assert_eq!(page["has_more"], has_more);
        let cursor = page["next_cursor"].as_str();
        assert_eq!(cursor.is_some(), has_more);
        query = format!("page_size=2&start_cursor={}", cursor.unwrap_or_default());
    }
    assert_eq!(ids.len(), 5);
    for wrong in [
        "page_size=0",
        "page_size=101",
        "page_size=x",
        "start_cursor=nowhere",
    ] {
        list(wrong).await.is_error(400, "validation_error");
    }
}

#[tokio::test]
async fn pages_are_visible_in_their_workspace_only() {
    let (notion, ours) = granted();
    let theirs = notion.grant();
    let page = |title: &str| {
        json!({
            "parent": { "type": "workspace", "workspace": true },
            "properties": { "title": { "title": [{ "text": { "content": title } }] } },
        })
    };
    let create = async |title| {
        api(&notion, &ours, "POST", "/v1/pages", page(title))
            .await
            .ok()
    };
    let plan = create("Plan").await;
    create("Other").await;
    let path = format!("/v1/pages/{}", plan.text("id").replace('-', ""));
    let read = api(&notion, &ours, "GET", &path, Value::Null).await.ok();
    assert_eq!(read.json["properties"], page("Plan")["properties"]);
    api(&notion, &theirs, "GET", &path, Value::Null)
        .await
        .is_error(404, "object_not_found");

    for (grant, query, expected) in [
        (&ours, json!({}), 2),
        (&ours, json!({ "query": "plan" }), 1),
        (&ours, json!({ "page_size": 1 }), 1),
        (&theirs, json!({}), 0),
    ] {
        let found = api(&notion, grant, "POST", "/v1/search", query).await.ok();
        assert_eq!(found.json["results"].as_array().unwrap().len(), expected);
    }
}

#[tokio::test]
async fn invalid_api_requests_are_refused() {
    let (notion, grant) = granted();
    let no_parent = json!({ "parent": {} });
    for (method, path, body, code) in [
        ("POST", "/v1/pages", no_parent, "validation_error"),
        ("POST", "/v1/pages", json!([]), "validation_error"),
        ("GET", "/v1/pages/nonsense", Value::Null, "validation_error"),
        ("DELETE", "/v1/users/me", Value::Null, "invalid_request_url"),
        ("GET", "/nowhere", Value::Null, "invalid_request_url"),
    ] {
        let answer = api(&notion, &grant, method, path, body).await;
        answer.is_error(400, code);
    }
}
