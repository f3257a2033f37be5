//! Authorization requests, the consent page, and authorization codes.

use http::{
    StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use notion_auth::testing::notion::{ConsentMode, MockNotion, Outcome, TokenKind};
use url::{Url, form_urlencoded::Serializer};

use super::{Answer, BOTH, Via, exchange, is_unauthorized, me, request, send};

/// Returns a valid authorization URL with additional parameters.
fn authorization_url(notion: &MockNotion, more: &str) -> String {
    let query = Serializer::new(String::new())
        .append_pair("client_id", notion.client_id())
        .append_pair("redirect_uri", notion.redirect_uri())
        .append_pair("response_type", "code")
        .append_pair("owner", "user")
        .append_pair("state", "st&te")
        .finish();
    format!("{}?{query}{more}", notion.authorization_url())
}

fn param(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

async fn get(notion: &MockNotion, via: Via, url: &str) -> Answer {
    let path = url.strip_prefix(&notion.base_url()).unwrap();
    let get = request("GET", path, &[], "");
    send(notion, via, get).await.unwrap()
}

/// Submits the form of the consent page.
async fn decide(notion: &MockNotion, via: Via, query: &str, decision: &str) -> Answer {
    let form = Serializer::new(String::new())
        .append_pair("query", query)
        .append_pair("workspace", "Acme & Söhne")
        .append_pair("decision", decision)
        .finish();
    let headers = [(CONTENT_TYPE, "application/x-www-form-urlencoded")];
    let post = request("POST", "/v1/oauth/authorize/decision", &headers, form);
    send(notion, via, post).await.unwrap()
}

#[tokio::test]
async fn second_use_of_a_code_revokes_what_it_granted() {
    let notion = MockNotion::in_process();
    let callback = notion.consent(&authorization_url(&notion, "")).unwrap();
    assert_eq!(param(&callback, "state").as_deref(), Some("st&te"));
    let code = param(&callback, "code").unwrap();
    let redirect_uri = Some(notion.redirect_uri());
    let granted = exchange(&notion, &code, redirect_uri).await.ok();
    me(&notion, granted.access_token()).await.ok();

    let again = exchange(&notion, &code, redirect_uri).await;
    again.is_error(400, "invalid_grant");
    is_unauthorized(&notion, granted.access_token()).await;
    let presented = notion.ledger().presentations_of(&code);
    assert_eq!(presented[0].token_kind, TokenKind::Code);
    assert_eq!(presented[0].bot_id.as_deref(), Some(granted.text("bot_id")));
    assert_eq!(presented[1].outcome, Outcome::AlreadySpent);
}

#[tokio::test]
async fn redirect_uri_of_the_exchange_must_be_that_of_the_request() {
    let notion = MockNotion::in_process();
    let with = authorization_url(&notion, "");
    let encoded = "&redirect_uri=https%3A%2F%2Fapp.example%2Fnotion%2Fcallback";
    let without = with.replace(encoded, "");
    assert_ne!(with, without);
    let uri = notion.redirect_uri();
    let other = format!("{uri}/");
    for (url, sent, is_valid) in [
        (&with, Some(uri), true),
        (&with, None, false),
        (&with, Some(&*other), false),
        (&without, Some(uri), false),
        (&without, None, true),
    ] {
        let code = param(&notion.consent(url).unwrap(), "code").unwrap();
        let answer = exchange(&notion, &code, sent).await;
        if is_valid {
            answer.ok();
        } else {
            answer.is_error(400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn invalid_authorization_request_gets_a_page_and_no_redirect() {
    let builder = MockNotion::builder().consent(ConsentMode::Automatic);
    let notion = builder.start().await.unwrap();
    let valid = authorization_url(&notion, "");
    for (url, problem) in [
        (valid.replace("&owner=user", ""), "Missing owner"),
        (valid.replace("owner=user", "owner=workspace"), "owner"),
        (
            valid.replace("response_type=code", "response_type=token"),
            "response_type",
        ),
        (valid.replace("client_id=", "client_id=x"), "client_id"),
        (valid.replace("callback", "callback2"), "redirect_uri"),
        (format!("{valid}&%3Cimg%3E=1&%3Cimg%3E=2"), "Duplicate"),
        (format!("{valid}&state=again"), "Duplicate state"),
    ] {
        assert!(notion.consent(&url).unwrap_err().contains(problem), "{url}");
        assert!(notion.deny(&url).is_err());
        let page = get(&notion, Via::Socket, &url).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(page.body.contains(problem) && page.headers.get(LOCATION).is_none());
        assert!(!page.body.contains("<img"), "the query is not escaped");
    }
    let redirect = get(&notion, Via::Socket, &valid).await;
    assert_eq!(redirect.status, StatusCode::FOUND);
    assert!(param(redirect.location(), "code").is_some());
    let elsewhere = "https://api.notion.com/v1/oauth/authorize";
    assert!(notion.consent(elsewhere).is_err());
}

#[tokio::test]
async fn consent_page_allows_and_denies() {
    for via in BOTH {
        let notion = MockNotion::start().await.unwrap();
        let url = authorization_url(&notion, "&note=%22%3E%3Cscript%3E");
        let page = get(&notion, via, &url).await.ok();
        assert!(page.body.contains("app.example would like to connect"));
        assert!(!page.body.contains("<script>"));
        let query = page.body.split("name=\"query\" value=\"").nth(1).unwrap();
        let query = query.split('"').next().unwrap().replace("&amp;", "&");

        let allowed = decide(&notion, via, &query, "allow").await;
        let code = param(allowed.location(), "code").unwrap();
        let granted = exchange(&notion, &code, Some(notion.redirect_uri())).await;
        let granted = granted.ok();
        assert_eq!(granted.json["workspace_name"], "Acme & Söhne");
        let bot_id = granted.text("bot_id");
        assert_eq!(bot_id, notion.grant_for("Acme & Söhne").bot_id());

        let denied = decide(&notion, via, &query, "deny").await;
        let expected = format!("{}?error=access_denied&state=", notion.redirect_uri());
        assert_eq!(denied.location(), expected);
        assert_eq!(notion.deny(&authorization_url(&notion, "")), Ok(expected));
        let forged = query.replace("callback", "evil");
        let forged = decide(&notion, via, &forged, "allow").await;
        assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    }
}
