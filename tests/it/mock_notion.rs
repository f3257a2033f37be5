//! What `MockNotion` promises, on a socket and in process.

use std::{collections::HashSet, pin::pin, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::LOCATION};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use notion_auth::testing::notion::{
    Call, ConsentMode, ErrorShape, Fault, Grant, MockNotion, Outcome, TokenKind,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    task::yield_now,
    time::{error::Elapsed, sleep, timeout},
};
use tower::ServiceExt;

const BOTH: [Via; 2] = [Via::Socket, Via::Process];
const SHORT: Duration = Duration::from_millis(50);

/// More than a call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

// Refreshing

#[tokio::test]
async fn a_refresh_answers_a_new_pair_and_ends_the_old_one() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let next = refresh(&notion, old(&grant)).await.ok();

    assert_ne!(next.text("access_token"), grant.access_token());
    assert_ne!(next.text("refresh_token"), old(&grant));
    assert_eq!(next.json["bot_id"], grant.bot_id());
    me(&notion, grant.access_token())
        .await
        .is_error(401, "unauthorized");
    me(&notion, next.text("access_token")).await.ok();
    let pair = (
        next.text("access_token").to_owned(),
        next.text("refresh_token").to_owned(),
    );
    assert_eq!(notion.ledger().living_pair(grant.bot_id()), Some(pair));
}

#[tokio::test]
async fn a_token_answer_has_exactly_the_documented_fields() {
    let notion = MockNotion::in_process();
    let documented = HashSet::from([
        "access_token",
        "token_type",
        "refresh_token",
        "bot_id",
        "workspace_id",
        "workspace_name",
        "workspace_icon",
        "owner",
        "duplicated_template_id",
        "request_id",
    ]);
    let grant = notion.grant();
    let refreshed = refresh(&notion, old(&grant)).await.ok();
    for answer in [&grant.answer, &refreshed.json] {
        let names: HashSet<&str> = answer
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(names, documented);
        assert_eq!(answer["token_type"], "bearer");
    }
    assert!(grant.access_token().starts_with("ntn_") && old(&grant).starts_with("nrt_"));
    assert_eq!(
        MockNotion::in_process().grant().access_token(),
        grant.access_token()
    );
}

#[tokio::test]
async fn a_second_use_of_a_refresh_token_revokes_the_family() {
    let notion = MockNotion::in_process();
    let (grant, other) = (notion.grant(), notion.grant());
    let next = refresh(&notion, old(&grant)).await.ok();
    refresh(&notion, old(&grant))
        .await
        .is_error(400, "invalid_grant");

    me(&notion, next.text("access_token"))
        .await
        .is_error(401, "unauthorized");
    refresh(&notion, next.text("refresh_token"))
        .await
        .is_error(400, "invalid_grant");
    me(&notion, other.access_token()).await.ok();
    let ledger = notion.ledger();
    assert_eq!(ledger.families_revoked(), [grant.bot_id()]);
    assert_eq!(ledger.living_pair(grant.bot_id()), None);
    let outcomes: Vec<_> = ledger
        .refreshes()
        .into_iter()
        .map(|it| it.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::Accepted, Outcome::AlreadySpent, Outcome::Revoked]
    );
    assert_eq!(ledger.refresh_token_reuses().len(), 1);
}

#[tokio::test]
async fn without_family_revocation_only_the_second_use_fails() {
    let notion = MockNotion::builder().family_revocation(false).in_process();
    let grant = notion.grant();
    let next = refresh(&notion, old(&grant)).await.ok();
    refresh(&notion, old(&grant))
        .await
        .is_error(400, "invalid_grant");
    me(&notion, next.text("access_token")).await.ok();
    assert!(notion.ledger().families_revoked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn within_the_grace_window_a_replay_gets_the_same_pair() {
    let notion = MockNotion::builder()
        .grace(Duration::from_secs(30))
        .in_process();
    let grant = notion.grant();
    let first = refresh(&notion, old(&grant)).await.ok();
    tokio::time::advance(Duration::from_secs(30)).await;
    let second = refresh(&notion, old(&grant)).await.ok();
    assert_eq!(first.text("access_token"), second.text("access_token"));
    assert_eq!(first.text("refresh_token"), second.text("refresh_token"));
    assert_eq!(
        notion.ledger().refreshes()[1].outcome,
        Outcome::ReplayedInGrace
    );

    tokio::time::advance(Duration::from_secs(1)).await;
    refresh(&notion, old(&grant))
        .await
        .is_error(400, "invalid_grant");
    assert_eq!(notion.ledger().families_revoked(), [grant.bot_id()]);
}

#[tokio::test(start_paused = true)]
async fn grace_ends_when_the_successor_is_used() {
    let notion = MockNotion::builder()
        .grace(Duration::from_secs(30))
        .in_process();
    let grant = notion.grant();
    let next = refresh(&notion, old(&grant)).await.ok();
    refresh(&notion, next.text("refresh_token")).await.ok();
    refresh(&notion, old(&grant))
        .await
        .is_error(400, "invalid_grant");
}

#[tokio::test]
async fn options_change_what_a_token_answer_holds() {
    for value in [json!(3600), json!(0), json!("3600"), Value::Null] {
        let notion = MockNotion::builder().expires_in(value.clone()).in_process();
        assert_eq!(notion.grant().answer.get("expires_in"), Some(&value));
    }
    let notion = MockNotion::builder().refresh_tokens(false).in_process();
    let grant = notion.grant();
    assert_eq!(
        (grant.refresh_token(), &grant.answer["refresh_token"]),
        (None, &Value::Null)
    );

    let notion = MockNotion::builder()
        .keep_old_access_tokens(true)
        .in_process();
    let grant = notion.grant();
    refresh(&notion, old(&grant)).await.ok();
    me(&notion, grant.access_token()).await.ok();
}

#[tokio::test]
async fn a_reconnect_ends_the_connection_before_it() {
    let notion = MockNotion::in_process();
    let (first, second) = (notion.grant_for("Acme"), notion.grant_for("Acme"));
    assert_eq!(first.bot_id(), second.bot_id());
    assert_ne!(notion.grant().bot_id(), second.bot_id());
    refresh(&notion, old(&first))
        .await
        .is_error(400, "invalid_grant");
    me(&notion, second.access_token()).await.ok();

    let lenient = MockNotion::builder()
        .reconnect_ends_older(false)
        .in_process();
    let first = lenient.grant_for("Acme");
    let _second = lenient.grant_for("Acme");
    me(&lenient, first.access_token()).await.ok();
}

// The token endpoint's strictness

#[tokio::test]
async fn errors_come_in_the_shape_that_was_chosen() {
    let refused = |shape| async move {
        let notion = MockNotion::builder().error_shape(shape).in_process();
        let answer = refresh(&notion, "nrt_never_issued").await;
        let mut names: Vec<String> = answer.json.as_object().unwrap().keys().cloned().collect();
        names.sort();
        (answer.status.as_u16(), names.join(" "))
    };
    let oauth = (400, "error error_description request_id".to_owned());
    assert_eq!(refused(ErrorShape::OAuth).await, oauth);
    let api = (400, "code message object request_id status".to_owned());
    assert_eq!(refused(ErrorShape::Api).await, api);
}

#[tokio::test]
async fn the_token_endpoint_takes_the_client_from_basic_only() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let good = basic(&notion);
    let body = json!({ "grant_type": "refresh_token", "refresh_token": old(&grant) });
    let mut with_secret = body.clone();
    with_secret["client_id"] = notion.client_id().into();
    with_secret["client_secret"] = notion.client_secret().into();
    let wrong = format!("Basic {}", BASE64_STANDARD.encode("someone:else"));
    for (authorization, body) in [
        (&[][..], &with_secret),
        (&[&wrong], &body),
        (&[&good, &good], &body),
    ] {
        let mut request =
            Request::post("/v1/oauth/token").header("content-type", "application/json");
        for value in authorization {
            request = request.header("authorization", *value);
        }
        let answer = process(&notion, request.body(full(body)).unwrap())
            .await
            .unwrap();
        answer.is_error(401, "invalid_client");
    }
    assert!(notion.ledger().is_refresh_token_live(old(&grant)));
}

#[tokio::test]
async fn the_token_endpoint_refuses_what_is_not_documented() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let token = old(&grant);
    let table = [
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
    ];
    for (body, code) in table {
        post(&notion, "/v1/oauth/token", &body)
            .await
            .is_error(400, code);
    }
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    let request = Request::post("/v1/oauth/token")
        .header("authorization", basic(&notion))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(form));
    let answer = process(&notion, request.unwrap()).await.unwrap();
    answer.is_error(400, "invalid_request");
    let broken = Request::post("/v1/oauth/token")
        .header("authorization", basic(&notion))
        .header("content-type", "application/json")
        .body(Full::from("{"));
    process(&notion, broken.unwrap())
        .await
        .unwrap()
        .is_error(400, "invalid_json");

    let ledger = notion.ledger();
    assert!(ledger.is_refresh_token_live(token));
    assert_eq!(
        ledger.presentations_of(token).len(),
        4,
        "the form counts, the array does not"
    );
}

#[tokio::test]
async fn revoke_and_introspect_tell_and_change_the_truth() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let ask = |path, token: &str| {
        let body = json!({ "token": token });
        let notion = notion.clone();
        async move { post(&notion, path, &body).await.ok() }
    };
    let active = ask("/v1/oauth/introspect", grant.access_token()).await;
    assert_eq!(
        (&active.json["active"], active.json["iat"].is_u64()),
        (&json!(true), true)
    );
    assert!(active.json.get("exp").is_none());

    ask("/v1/oauth/revoke", grant.access_token()).await;
    assert!(notion.ledger().is_refresh_token_live(old(&grant)));
    ask("/v1/oauth/revoke", old(&grant)).await;
    assert!(!notion.ledger().is_refresh_token_live(old(&grant)));
    ask("/v1/oauth/revoke", "unknown").await;
    assert_eq!(
        ask("/v1/oauth/introspect", old(&grant)).await.json["active"],
        false
    );

    let unversioned = Request::post("/v1/oauth/revoke")
        .header("authorization", basic(&notion))
        .header("content-type", "application/json")
        .body(full(&json!({ "token": "t" })));
    process(&notion, unversioned.unwrap())
        .await
        .unwrap()
        .is_error(400, "missing_version");
}

// Consent

#[tokio::test]
async fn a_code_is_good_once_and_a_second_use_ends_what_it_gave() {
    let notion = MockNotion::in_process();
    let callback = notion.consent(&authorize(&notion, "")).unwrap();
    assert_eq!(param(&callback, "state").as_deref(), Some("st&te"));
    let code = param(&callback, "code").unwrap();
    let granted = exchange(&notion, &code, Some(notion.redirect_uri()))
        .await
        .ok();
    me(&notion, granted.text("access_token")).await.ok();

    exchange(&notion, &code, Some(notion.redirect_uri()))
        .await
        .is_error(400, "invalid_grant");
    me(&notion, granted.text("access_token"))
        .await
        .is_error(401, "unauthorized");
    let presented = notion.ledger().presentations_of(&code);
    assert_eq!(presented[0].token_kind, TokenKind::Code);
    assert_eq!(presented[0].bot_id.as_deref(), Some(granted.text("bot_id")));
    assert_eq!(presented[1].outcome, Outcome::AlreadySpent);
}

#[tokio::test]
async fn the_redirect_uri_is_repeated_exactly_or_left_out_in_both() {
    let notion = MockNotion::in_process();
    let with = authorize(&notion, "");
    let without = with.replace(
        "&redirect_uri=https%3A%2F%2Fapp.example%2Fnotion%2Fcallback",
        "",
    );
    assert_ne!(with, without);
    let uri = notion.redirect_uri();
    for (url, sent, good) in [
        (&with, Some(uri), true),
        (&with, None, false),
        (&with, Some("https://app.example/notion/callback/"), false),
        (&without, Some(uri), false),
        (&without, None, true),
    ] {
        let code = param(&notion.consent(url).unwrap(), "code").unwrap();
        let answer = exchange(&notion, &code, sent).await;
        if good {
            answer.ok();
        } else {
            answer.is_error(400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn an_authorization_request_that_does_not_hold_is_a_page_and_never_a_redirect() {
    let notion = MockNotion::builder()
        .consent(ConsentMode::Automatic)
        .start()
        .await
        .unwrap();
    let good = authorize(&notion, "");
    let table = [
        (good.replace("&owner=user", ""), "Missing owner"),
        (good.replace("owner=user", "owner=workspace"), "owner"),
        (
            good.replace("response_type=code", "response_type=token"),
            "response_type",
        ),
        (good.replace("client_id=", "client_id=x"), "client_id"),
        (good.replace("callback", "callback2"), "redirect_uri"),
        (format!("{good}&%3Cimg%3E=1&%3Cimg%3E=2"), "Duplicate"),
        (format!("{good}&state=again"), "Duplicate state"),
    ];
    for (url, why) in table {
        assert!(notion.consent(&url).unwrap_err().contains(why), "{url}");
        assert!(notion.deny(&url).is_err());
        let page = get(&notion, Via::Socket, &url).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(page.body.contains(why) && page.headers.get(LOCATION).is_none());
        assert!(
            !page.body.contains("<img"),
            "a page shows what came in the query as text"
        );
    }
    let redirect = get(&notion, Via::Socket, &good).await;
    assert_eq!(redirect.status, StatusCode::FOUND);
    assert!(param(redirect.location(), "code").is_some());
    assert!(
        notion
            .consent("https://api.notion.com/v1/oauth/authorize")
            .is_err()
    );
}

#[tokio::test]
async fn a_person_allows_or_denies_on_the_consent_page() {
    for via in BOTH {
        let notion = MockNotion::start().await.unwrap();
        let page = get(
            &notion,
            via,
            &authorize(&notion, "&note=%22%3E%3Cscript%3E"),
        )
        .await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("app.example would like to connect"));
        assert!(!page.body.contains("<script>"));
        let query = page.body.split("name=\"query\" value=\"").nth(1).unwrap();
        let query = query.split('"').next().unwrap().replace("&amp;", "&");

        let allowed = decide(&notion, via, &query, "allow").await;
        let code = param(allowed.location(), "code").unwrap();
        let granted = exchange(&notion, &code, Some(notion.redirect_uri()))
            .await
            .ok();
        assert_eq!(granted.json["workspace_name"], "Acme & Söhne");
        assert_eq!(
            granted.json["bot_id"],
            notion.grant_for("Acme & Söhne").bot_id()
        );

        let denied = decide(&notion, via, &query, "deny").await;
        let expected = format!("{}?error=access_denied&state=", notion.redirect_uri());
        assert_eq!(denied.location(), expected);
        assert_eq!(notion.deny(&authorize(&notion, "")), Ok(expected));
        let forged = decide(&notion, via, &query.replace("callback", "evil"), "allow").await;
        assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    }
}

// The API

#[tokio::test]
async fn a_bad_token_is_told_before_a_missing_version() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let call = |token: &str, version: Option<&str>| {
        let mut request =
            Request::get("/v1/users/me").header("authorization", format!("Bearer {token}"));
        if let Some(version) = version {
            request = request.header("notion-version", version);
        }
        let (notion, request) = (notion.clone(), request.body(Full::default()).unwrap());
        async move { process(&notion, request).await.unwrap() }
    };
    let invalid = call("ntn_wrong", None).await;
    invalid.is_error(401, "unauthorized");
    assert_eq!(invalid.json["message"], "API token is invalid.");
    assert_eq!(
        invalid.headers["x-notion-request-id"],
        invalid.text("request_id")
    );
    call(grant.access_token(), None)
        .await
        .is_error(400, "missing_version");
    call(grant.access_token(), Some("2020-01-01"))
        .await
        .is_error(400, "validation_error");
    call(old(&grant), Some("2026-03-11"))
        .await
        .is_error(401, "unauthorized");
    let me = call(grant.access_token(), Some("2021-05-11")).await.ok();
    assert_eq!(me.json["id"], grant.bot_id());
    assert_eq!(me.json["bot"]["owner"], grant.answer["owner"]);
    assert_eq!(me.json["bot"]["workspace_name"], "Workspace 1");
    assert!(me.headers.contains_key("x-notion-request-id"));
}

#[tokio::test]
async fn two_authorization_headers_are_no_token_and_are_counted() {
    let notion = MockNotion::in_process();
    let bearer = format!("Bearer {}", notion.grant().access_token());
    let request = Request::get("/v1/users/me?x=1")
        .header("authorization", &bearer)
        .header("authorization", &bearer)
        .header("notion-version", "2025-09-03");
    let answer = process(&notion, request.body(Full::default()).unwrap())
        .await
        .unwrap();
    answer.is_error(401, "unauthorized");
    let calls = notion.ledger().api_calls();
    assert_eq!((calls[0].authorization_values, &calls[0].token), (2, &None));
    assert_eq!(
        (calls[0].path.as_str(), calls[0].status),
        ("/v1/users/me", Some(401))
    );
    assert_eq!(calls[0].notion_version.as_deref(), Some("2025-09-03"));
}

#[tokio::test]
async fn users_come_in_pages() {
    let notion = MockNotion::builder().users(5).in_process();
    let grant = notion.grant();
    let (mut ids, mut cursor) = (HashSet::new(), String::new());
    for more in [true, true, false] {
        let path = format!("/v1/users?page_size=2{cursor}");
        let list = api(&notion, &grant, "GET", &path, Value::Null).await.ok();
        ids.extend(
            list.json["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["id"].to_string()),
        );
        assert_eq!(list.json["has_more"], more);
        assert_eq!(list.json["next_cursor"].is_string(), more);
        cursor = format!(
            "&start_cursor={}",
            list.json["next_cursor"].as_str().unwrap_or_default()
        );
    }
    assert_eq!(ids.len(), 5);
    for wrong in [
        "page_size=0",
        "page_size=101",
        "page_size=x",
        "start_cursor=nowhere",
    ] {
        let answer = api(
            &notion,
            &grant,
            "GET",
            &format!("/v1/users?{wrong}"),
            Value::Null,
        )
        .await;
        answer.is_error(400, "validation_error");
    }
}

#[tokio::test]
async fn pages_belong_to_their_workspace() {
    let notion = MockNotion::in_process();
    let (ours, theirs) = (notion.grant(), notion.grant());
    let page = |title: &str| {
        json!({
            "parent": { "type": "workspace", "workspace": true },
            "properties": { "title": { "title": [{ "text": { "content": title } }] } },
        })
    };
    let made = api(&notion, &ours, "POST", "/v1/pages", page("Plan"))
        .await
        .ok();
    api(&notion, &ours, "POST", "/v1/pages", page("Other"))
        .await
        .ok();
    let path = format!("/v1/pages/{}", made.text("id").replace('-', ""));
    let read = api(&notion, &ours, "GET", &path, Value::Null).await.ok();
    assert_eq!(read.json["properties"], page("Plan")["properties"]);
    api(&notion, &theirs, "GET", &path, Value::Null)
        .await
        .is_error(404, "object_not_found");

    let found = |grant: Grant, query: Value| {
        let notion = notion.clone();
        async move {
            let list = api(&notion, &grant, "POST", "/v1/search", query).await.ok();
            list.json["results"].as_array().unwrap().len()
        }
    };
    assert_eq!(found(ours.clone(), json!({})).await, 2);
    assert_eq!(found(ours.clone(), json!({ "query": "plan" })).await, 1);
    assert_eq!(found(ours.clone(), json!({ "page_size": 1 })).await, 1);
    assert_eq!(found(theirs, json!({})).await, 0);

    for (method, path, body, code) in [
        (
            "POST",
            "/v1/pages",
            json!({ "parent": {} }),
            "validation_error",
        ),
        ("POST", "/v1/pages", json!([]), "validation_error"),
        ("GET", "/v1/pages/nonsense", Value::Null, "validation_error"),
        ("DELETE", "/v1/users/me", Value::Null, "invalid_request_url"),
        ("GET", "/nowhere", Value::Null, "invalid_request_url"),
    ] {
        api(&notion, &ours, method, path, body)
            .await
            .is_error(400, code);
    }
}

#[tokio::test]
async fn tokens_and_grants_can_be_revoked_behind_the_clients_back() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    notion.revoke_access_token(grant.access_token());
    me(&notion, grant.access_token())
        .await
        .is_error(401, "unauthorized");
    let next = refresh(&notion, old(&grant)).await.ok();
    notion.revoke_grant(next.text("access_token"));
    refresh(&notion, next.text("refresh_token"))
        .await
        .is_error(400, "invalid_grant");
    assert!(
        notion.ledger().families_revoked().is_empty(),
        "nothing was used twice"
    );
}

#[tokio::test]
async fn a_restricted_account_gets_401_with_good_tokens() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    notion.restrict_account(grant.bot_id(), true);
    let answer = me(&notion, grant.access_token()).await;
    answer.is_error(401, "unauthorized");
    assert!(
        answer
            .text("message")
            .starts_with("This user's account is restricted")
    );
    let next = refresh(&notion, old(&grant)).await.ok();
    me(&notion, next.text("access_token"))
        .await
        .is_error(401, "unauthorized");
    notion.restrict_account(grant.bot_id(), false);
    me(&notion, next.text("access_token")).await.ok();
}

#[tokio::test]
async fn stragglers_are_answered_after_the_refresh() {
    let notion = MockNotion::in_process();
    let (grant, other) = (notion.grant(), notion.grant());
    notion.revoke_access_token(grant.access_token());
    notion.hold_back_401s(2);
    let call = || {
        let (notion, token) = (notion.clone(), grant.access_token().to_owned());
        tokio::spawn(async move { me(&notion, &token).await })
    };
    me(&notion, "ntn_never_issued")
        .await
        .is_error(401, "unauthorized");
    let (first, second) = (call(), call());
    while notion.ledger().api_calls_with(grant.access_token()).len() < 2 {
        yield_now().await;
    }
    me(&notion, grant.access_token())
        .await
        .is_error(401, "unauthorized");
    refresh(&notion, old(&other)).await.ok();
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(
        !first.is_finished() && !second.is_finished(),
        "another family's refresh is not theirs"
    );

    refresh(&notion, old(&grant)).await.ok();
    first.await.unwrap().is_error(401, "unauthorized");
    second.await.unwrap().is_error(401, "unauthorized");
}

#[tokio::test]
async fn only_the_newest_token_of_a_living_family_makes_stragglers() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    notion.hold_back_401s(1);
    let next = refresh(&notion, old(&grant)).await.ok();
    let replaced = me(&notion, grant.access_token()).await;
    replaced.is_error(401, "unauthorized");

    notion.revoke_access_token(next.text("access_token"));
    let held = tokio::spawn({
        let (notion, token) = (notion.clone(), next.text("access_token").to_owned());
        async move { me(&notion, &token).await }
    });
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!held.is_finished(), "the replaced token was not counted");
    notion.revoke_grant(old(&grant));
    held.await.unwrap().is_error(401, "unauthorized");
}

// Faults

#[tokio::test]
async fn faults_before_the_commit_leave_the_token_unspent() {
    let faults = [
        (Fault::refuse(400, "invalid_grant"), "400 invalid_grant"),
        (
            Fault::RateLimited {
                retry_after: Some(7),
            },
            "429 rate_limited",
        ),
        (Fault::StatusBefore(503), "503 service_unavailable"),
        (Fault::StatusBefore(529), "529 service_overload"),
        (Fault::StatusBefore(7), "500 internal_server_error"),
        (Fault::Blocked, "403 html"),
        (
            Fault::Redirect("https://elsewhere.example/".to_owned()),
            "307 ",
        ),
        (Fault::DropBefore, "no answer"),
        (Fault::HangBefore, "nothing"),
        (Fault::after_delay(SHORT, Fault::DropBefore), "no answer"),
    ];
    each(faults, true).await;
}

#[tokio::test]
async fn faults_after_the_commit_leave_the_token_spent() {
    let faults = [
        (Fault::StatusAfter(500), "500 internal_server_error"),
        (Fault::DropAfter, "no answer"),
        (Fault::HangAfter, "nothing"),
        (Fault::Truncated, "200 broken off"),
        (Fault::Oversized(100_000), "200 of 100000"),
        (Fault::Gzip, "200 gzip"),
        (Fault::Members(json!({"token_type": "mac"})), "200 right"),
        (Fault::Members(json!([])), "200 "),
        (Fault::WrongJson, "200 wrong"),
        (Fault::Html, "200 html"),
        (Fault::None, "200 right"),
        (Fault::Delay(SHORT), "200 right"),
        (Fault::DelayAfter(SHORT), "200 right"),
        (Fault::after_delay(SHORT, Fault::DropAfter), "no answer"),
    ];
    each(faults, false).await;
}

async fn each<const N: usize>(faults: [(Fault, &str); N], live: bool) {
    for via in BOTH {
        for (fault, seen) in &faults {
            let notion = MockNotion::start().await.unwrap();
            let grant = notion.grant();
            notion.script(Call::Refresh, [fault.clone()]);
            let request = refresh_request(&notion, old(&grant));
            let call = send(&notion, via, request);
            let answer = if *seen == "nothing" {
                unanswered(&notion, call).await
            } else {
                timeout(PATIENCE, call).await
            };
            let context = format!("{fault:?} {via:?}");
            assert_eq!(describe(&answer), *seen, "{context}");
            let ledger = notion.ledger();
            assert_eq!(ledger.is_refresh_token_live(old(&grant)), live, "{context}");
            let whole = seen.starts_with(char::is_numeric) && !seen.contains("broken");
            assert_eq!(ledger.refreshes()[0].answered, whole, "{context}");
            assert_eq!(
                ledger.refreshes()[0].outcome == Outcome::Accepted,
                !live,
                "{context}"
            );
        }
    }
}

/// Waits for a call until the server has received its refresh, and a little longer.
async fn unanswered<T>(notion: &MockNotion, call: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut call = pin!(call);
    let received = async {
        while notion.ledger().refreshes().is_empty() {
            sleep(SHORT / 10).await;
        }
        sleep(SHORT).await;
    };
    tokio::select! {
        answer = &mut call => Ok(answer),
        () = received => timeout(Duration::ZERO, call).await,
    }
}

#[tokio::test]
async fn members_of_an_answer_are_added_or_replaced() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let odd = json!({"refresh_token": null, "expires_in": "soon"});
    notion.script(Call::Refresh, [Fault::Members(odd)]);
    let answer = refresh(&notion, old(&grant)).await.ok();
    assert_eq!(answer.json["expires_in"], "soon");
    assert!(answer.json["refresh_token"].is_null());
    assert!(
        notion
            .ledger()
            .is_access_token_live(answer.text("access_token"))
    );
}

fn describe(answer: &Result<Result<Answer, Broken>, Elapsed>) -> String {
    match answer {
        Err(_) => "nothing".to_owned(),
        Ok(Err(Broken::NoAnswer)) => "no answer".to_owned(),
        Ok(Err(Broken::InTheMiddle(status))) => format!("{} broken off", status.as_u16()),
        Ok(Ok(answer)) => {
            let what = match &answer.json {
                _ if answer.body.len() == 100_000 => "of 100000",
                Value::Null if answer.body.starts_with("\u{1f}") => "gzip",
                Value::Null if answer.body.starts_with("<!doctype html>") => "html",
                json if json["access_token"].is_string() => "right",
                json if json["object"] == "unexpected" => "wrong",
                json => json["error"].as_str().unwrap_or_default(),
            };
            format!("{} {what}", answer.status.as_u16())
        }
    }
}

#[tokio::test]
async fn faults_carry_the_headers_that_clients_act_on() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let limited = Fault::RateLimited {
        retry_after: Some(7),
    };
    let unlimited = Fault::RateLimited { retry_after: None };
    let away = Fault::Redirect("https://elsewhere.example/".to_owned());
    notion.script(Call::Api, [limited, unlimited, Fault::Blocked, away]);
    let token = grant.access_token();
    let answer = me(&notion, token).await;
    assert_eq!(
        (&answer.headers["retry-after"], &answer.json["object"]),
        (&"7".parse().unwrap(), &json!("error"))
    );
    assert!(!me(&notion, token).await.headers.contains_key("retry-after"));
    assert!(me(&notion, token).await.headers.contains_key("cf-ray"));
    assert_eq!(
        me(&notion, token).await.location(),
        "https://elsewhere.example/"
    );
}

#[tokio::test]
async fn a_page_that_was_made_before_a_503_is_there() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    notion.script(Call::Api, [Fault::StatusAfter(503)]);
    let page = json!({ "parent": { "type": "workspace" }, "properties": {} });
    api(&notion, &grant, "POST", "/v1/pages", page)
        .await
        .is_error(503, "service_unavailable");
    let found = api(&notion, &grant, "POST", "/v1/search", json!({}))
        .await
        .ok();
    assert_eq!(found.json["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn scripted_faults_come_in_order_and_before_standing_ones() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    notion.always(Call::Token, Some(Fault::StatusBefore(502)));
    notion.always(Call::Refresh, Some(Fault::StatusBefore(504)));
    notion.script(Call::TokenExchange, [Fault::StatusBefore(500)]);
    notion.script(Call::Token, [Fault::StatusBefore(503), Fault::None]);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(refresh(&notion, "nrt_never_issued").await.status.as_u16());
    }
    for _ in 0..2 {
        seen.push(exchange(&notion, "unknown", None).await.status.as_u16());
    }
    assert_eq!(seen, [503, 400, 504, 500, 502]);
    me(&notion, grant.access_token()).await.ok();
    notion.always(Call::Token, None);
    notion.always(Call::Refresh, None);
    refresh(&notion, old(&grant)).await.ok();
}

#[tokio::test]
async fn a_client_that_goes_away_during_a_delay_has_spent_nothing() {
    for via in BOTH {
        let notion = MockNotion::start().await.unwrap();
        let grant = notion.grant();
        notion.script(Call::Refresh, [Fault::Delay(3600 * SHORT)]);
        let call = send(&notion, via, refresh_request(&notion, old(&grant)));
        assert!(unanswered(&notion, call).await.is_err());
        let first = notion.ledger().refreshes().remove(0);
        assert_eq!(first.outcome, Outcome::Undecided, "{via:?}");
        refresh(&notion, old(&grant)).await.ok();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_during_a_delay_is_never_decided() {
    let notion = MockNotion::builder().token_delay(SHORT).in_process();
    let grant = notion.grant();
    assert!(
        timeout(SHORT / 2, refresh(&notion, old(&grant)))
            .await
            .is_err()
    );
    sleep(2 * SHORT).await;
    let ledger = notion.ledger();
    assert!(ledger.is_refresh_token_live(old(&grant)));
    assert_eq!(ledger.refreshes()[0].outcome, Outcome::Undecided);
}

#[tokio::test(start_paused = true)]
async fn in_process_delays_take_no_time_when_time_is_paused() {
    let notion = MockNotion::builder()
        .token_delay(Duration::from_secs(3600))
        .in_process();
    let grant = notion.grant();
    notion.script(Call::Refresh, [Fault::Delay(Duration::from_secs(60))]);
    let (wall, paused) = (std::time::Instant::now(), tokio::time::Instant::now());
    refresh(&notion, old(&grant)).await.ok();
    assert_eq!(paused.elapsed().as_secs(), 3660);
    assert!(wall.elapsed() < Duration::from_secs(1800));
}

#[tokio::test(start_paused = true)]
async fn an_answer_delayed_after_the_commit_finds_the_token_spent_meanwhile() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    notion.script(Call::Refresh, [Fault::DelayAfter(SHORT)]);
    let start = tokio::time::Instant::now();
    let call = async {
        refresh(&notion, old(&grant)).await.ok();
        start.elapsed()
    };
    let watch = async {
        sleep(SHORT / 2).await;
        notion.ledger()
    };
    let (took, meanwhile) = tokio::join!(call, watch);
    assert_eq!(took, SHORT);
    assert!(!meanwhile.is_refresh_token_live(old(&grant)));
    let seen = meanwhile.refreshes().remove(0);
    assert_eq!((seen.outcome, seen.answered), (Outcome::Accepted, false));
}

// The ledger

#[tokio::test(start_paused = true)]
async fn the_ledger_sees_two_presentations_at_a_time() {
    let notion = MockNotion::in_process();
    let (grant, other) = (notion.grant(), notion.grant());
    notion.always(Call::Refresh, Some(Fault::Delay(SHORT)));
    let (first, second) =
        tokio::join!(refresh(&notion, old(&grant)), refresh(&notion, old(&grant)));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [200, 400],
        "whoever is decided first has the pair"
    );
    let next = refresh(&notion, old(&other)).await.ok();
    refresh(&notion, next.text("refresh_token")).await.ok();

    let ledger = notion.ledger();
    assert_eq!(ledger.max_parallel_presentations_of(old(&grant)), 2);
    assert_eq!(ledger.max_parallel_presentations_of(old(&other)), 1);
    assert_eq!(ledger.max_parallel_presentations_of("unknown"), 0);
    let overlapping: Vec<bool> = ledger.refreshes().iter().map(|it| it.overlapping).collect();
    assert_eq!(overlapping, [true, true, false, false]);
    assert_eq!(ledger.refreshes_of(other.bot_id()).len(), 2);
    assert_eq!(ledger.refreshes()[2].at, SHORT);
    assert_eq!(
        ledger
            .presentations()
            .iter()
            .map(|it| it.seq)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
}

#[tokio::test]
async fn a_presentation_lasts_until_its_answer_is_read() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    let unread = notion
        .service()
        .oneshot(refresh_request(&notion, old(&grant)))
        .await
        .unwrap();
    refresh(&notion, old(&grant))
        .await
        .is_error(400, "invalid_grant");
    drop(unread);
    refresh(&notion, old(&grant))
        .await
        .is_error(400, "invalid_grant");
    let seen: Vec<_> = notion
        .ledger()
        .refreshes()
        .iter()
        .map(|it| (it.overlapping, it.answered))
        .collect();
    assert_eq!(seen, [(true, false), (true, true), (false, true)]);
}

#[tokio::test]
async fn debug_shows_no_token() {
    let notion = MockNotion::in_process();
    let grant = notion.grant();
    me(&notion, grant.access_token()).await.ok();
    refresh(&notion, old(&grant)).await.ok();
    let shown = format!(
        "{:?} {:?} {grant:?} {notion:?} {:?} {:?}",
        notion.ledger(),
        notion.ledger().presentations(),
        notion.service(),
        MockNotion::builder(),
    );
    assert!(shown.contains(&grant.access_token()[..8]));
    for secret in [grant.access_token(), old(&grant), notion.client_secret()] {
        assert!(!shown.contains(&secret[..9]), "{shown}");
    }
}

#[tokio::test]
async fn the_server_stops_with_its_last_handle() {
    let notion = MockNotion::start().await.unwrap();
    let (url, service, second) = (notion.base_url(), notion.service(), notion.clone());
    let idle = connect(&url).await.unwrap();
    drop(notion);
    assert!(connect(&url).await.is_ok());
    drop(second);
    let stopped = async {
        while connect(&url).await.is_ok() {
            sleep(SHORT / 10).await;
        }
    };
    timeout(PATIENCE, stopped).await.expect("the server stops");
    let mut byte = [0];
    idle.readable().await.unwrap();
    assert!(
        !matches!(idle.try_read(&mut byte), Ok(1..)),
        "open connections close as well"
    );
    let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_connection_serves_several_calls() {
    let notion = MockNotion::start().await.unwrap();
    let grant = notion.grant();
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(
        connect(&notion.base_url()).await.unwrap(),
    ))
    .await
    .unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        client.ready().await.unwrap();
        let response = client
            .send_request(me_request(grant.access_token()))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(notion.ledger().api_calls().len(), 3);
}

// Helpers

#[derive(Clone, Copy, Debug)]
enum Via {
    Socket,
    Process,
}

#[derive(Debug)]
enum Broken {
    NoAnswer,
    InTheMiddle(StatusCode),
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    json: Value,
}

impl Answer {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self
    }

    #[track_caller]
    fn is_error(&self, status: u16, code: &str) {
        let name = if self.json.get("error").is_some() {
            "error"
        } else {
            "code"
        };
        assert_eq!(
            (self.status.as_u16(), &self.json[name]),
            (status, &json!(code)),
            "{self:?}"
        );
        if name == "code" {
            assert_eq!(
                (&self.json["object"], &self.json["status"]),
                (&json!("error"), &json!(status))
            );
        }
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap()
    }

    #[track_caller]
    fn location(&self) -> &str {
        self.headers[LOCATION].to_str().unwrap()
    }
}

fn old(grant: &Grant) -> &str {
    grant.refresh_token().unwrap()
}

fn full(body: &Value) -> Full<Bytes> {
    Full::from(body.to_string())
}

fn basic(notion: &MockNotion) -> String {
    let pair = format!("{}:{}", notion.client_id(), notion.client_secret());
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

fn authorize(notion: &MockNotion, more: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", notion.client_id())
        .append_pair("redirect_uri", notion.redirect_uri())
        .append_pair("response_type", "code")
        .append_pair("owner", "user")
        .append_pair("state", "st&te")
        .finish();
    format!("{}?{query}{more}", notion.authorization_url())
}

fn param(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

fn post_request(notion: &MockNotion, path: &str, body: &Value) -> Request<Full<Bytes>> {
    let request = Request::post(path)
        .header("authorization", basic(notion))
        .header("content-type", "application/json")
        .header("notion-version", "2026-03-11");
    request.body(full(body)).unwrap()
}

fn refresh_request(notion: &MockNotion, token: &str) -> Request<Full<Bytes>> {
    let body = json!({ "grant_type": "refresh_token", "refresh_token": token });
    post_request(notion, "/v1/oauth/token", &body)
}

fn me_request(token: &str) -> Request<Full<Bytes>> {
    let request = Request::get("/v1/users/me")
        .header("authorization", format!("Bearer {token}"))
        .header("notion-version", "2026-03-11");
    request.body(Full::default()).unwrap()
}

async fn post(notion: &MockNotion, path: &str, body: &Value) -> Answer {
    process(notion, post_request(notion, path, body))
        .await
        .unwrap()
}

async fn refresh(notion: &MockNotion, token: &str) -> Answer {
    process(notion, refresh_request(notion, token))
        .await
        .unwrap()
}

async fn exchange(notion: &MockNotion, code: &str, redirect_uri: Option<&str>) -> Answer {
    let mut body = json!({ "grant_type": "authorization_code", "code": code });
    if let Some(uri) = redirect_uri {
        body["redirect_uri"] = uri.into();
    }
    post(notion, "/v1/oauth/token", &body).await
}

async fn me(notion: &MockNotion, token: &str) -> Answer {
    process(notion, me_request(token)).await.unwrap()
}

async fn api(notion: &MockNotion, grant: &Grant, method: &str, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {}", grant.access_token()))
        .header("content-type", "application/json")
        .header("notion-version", "2026-03-11");
    let body = if body.is_null() {
        Full::default()
    } else {
        full(&body)
    };
    process(notion, request.body(body).unwrap()).await.unwrap()
}

async fn get(notion: &MockNotion, via: Via, url: &str) -> Answer {
    let path = url.strip_prefix(&notion.base_url()).unwrap();
    send(
        notion,
        via,
        Request::get(path).body(Full::default()).unwrap(),
    )
    .await
    .unwrap()
}

async fn decide(notion: &MockNotion, via: Via, query: &str, decision: &str) -> Answer {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("query", query)
        .append_pair("workspace", "Acme & Söhne")
        .append_pair("decision", decision)
        .finish();
    let request = Request::post("/v1/oauth/authorize/decision")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(form));
    send(notion, via, request.unwrap()).await.unwrap()
}

async fn send(
    notion: &MockNotion,
    via: Via,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Broken> {
    match via {
        Via::Process => process(notion, request).await,
        Via::Socket => {
            let stream = connect(&notion.base_url()).await.unwrap();
            let (mut client, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .unwrap();
            // Not spawned: dropping this call closes the connection, as a client that gives up does.
            let call = async {
                let response = client
                    .send_request(request)
                    .await
                    .map_err(|_| Broken::NoAnswer)?;
                read(response).await
            };
            let connection = async {
                let _ = connection.await;
                std::future::pending().await
            };
            tokio::select! { answer = call => answer, () = connection => unreachable!() }
        }
    }
}

async fn process(notion: &MockNotion, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
    let response = notion
        .service()
        .oneshot(request)
        .await
        .map_err(|_| Broken::NoAnswer)?;
    read(response).await
}

async fn read<B: http_body::Body>(response: http::Response<B>) -> Result<Answer, Broken> {
    let (head, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|_| Broken::InTheMiddle(head.status))?
        .to_bytes();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

async fn connect(base_url: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(base_url.strip_prefix("http://").unwrap()).await
}
