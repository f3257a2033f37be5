//! Links by which a service's customers connect their workspaces.

use std::fs;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use cookie::{Cookie, CookieJar, Key};
use hkdf::Hkdf;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    ask::{self, Answer, Sending},
    program::{ANN, Gateway, KEYS, connecting},
    visitors::{choose_another, sign_in, target},
    wait::eventually,
};
use crate::servers::{self, port};

const SERVICE: &str = "a-service-has-this-key-0123";
const RETURN_TO: &str = "https://app.example/settings";

/// Keys of a service that calls and connects, and of Ann.
fn keys() -> String {
    format!(
        "{SERVICE}=*,{}=*:connect,{ANN}=ann,{}=ann:connect",
        connecting(SERVICE),
        connecting(ANN)
    )
}

async fn start(settings: &[(&str, &str)]) -> Gateway {
    let keys = keys();
    let mut all = vec![("GATEWAY_KEYS", &*keys)];
    all.extend(settings);
    Gateway::start_with(&all).await
}

fn asking(gateway: &Gateway, subject: &str) -> Sending {
    ask::post(&format!("{}/connect/links", gateway.url))
        .bearer(&connecting(SERVICE))
        .header("notion-auth-subject", subject)
}

async fn link(gateway: &Gateway, subject: &str) -> String {
    let body = json!({"name": "Ann Lee & Co", "return_to": RETURN_TO}).to_string();
    let made = asking(gateway, subject).body(body).send().await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    assert_eq!(made.json()["expires_in"], 300);
    made.json()["url"].as_str().expect("a URL").to_owned()
}

fn token(link: &str) -> &str {
    link.split_once("?token=").expect("a token").1
}

/// Confirms on the page.
fn following(gateway: &Gateway, link: &str) -> Sending {
    ask::post(&format!("{}/connect/link", gateway.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &gateway.url)
        .body(format!("token={}", token(link)))
}

async fn follow(gateway: &Gateway, link: &str) -> Answer {
    following(gateway, link).send().await
}

async fn status(gateway: &Gateway, visitor: &str) -> Answer {
    let url = format!("{}/connect/status", gateway.url);
    ask::get(&url).header("cookie", visitor).send().await
}

async fn consent(gateway: &Gateway, begun: &Answer, visitor: &str) -> Answer {
    let consented = gateway.notion.consent(begun.header("location"));
    ask::get(&consented.expect("consent"))
        .header("cookie", &format!("{visitor}; {}", begun.cookie()))
        .header("accept", "text/html")
        .send()
        .await
}

#[tokio::test]
async fn a_customer_of_a_service_connects_by_a_link_and_returns() {
    let gateway = start(&[("GATEWAY_LOG", "json")]).await;
    let link = link(&gateway, "customer-7").await;
    assert!(
        link.starts_with(&format!("{}/connect/link?token=", gateway.url)),
        "{link}"
    );
    let page = ask::get(&link).send().await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    let text = page.text();
    assert!(
        text.contains("<strong>Ann Lee &amp; Co</strong>") && text.contains("Back to app.example"),
        "{text}"
    );

    let followed = follow(&gateway, &link).await;
    assert_eq!(followed.status, StatusCode::SEE_OTHER, "{followed:?}");
    let visitor = followed.cookie();
    let next = format!("{}{}", gateway.url, followed.header("location"));
    assert!(next.contains("/connect/authorize?"), "{next}");
    let begun = ask::get(&next).header("cookie", visitor).send().await;
    let ended = consent(&gateway, &begun, visitor).await;
    let here = format!("{}{}", gateway.url, ended.header("location"));
    let returned = ask::get(&here).header("cookie", visitor).send().await;
    assert_eq!(returned.header("location"), RETURN_TO, "{returned:?}");

    let asked = gateway
        .me(SERVICE)
        .header("notion-auth-subject", "customer-7");
    assert_eq!(asked.send().await.status, StatusCode::OK);

    let said = gateway.process.said();
    let audit = said.lines().find(|it| it.contains("\"connected\""));
    let audit = audit.expect("an audit line");
    assert!(audit.contains("\"key\":\"GATEWAY_KEYS:2\""), "{audit}");

    // The next link leads to the page, because a workspace is connected.
    let again = self::link(&gateway, "customer-7").await;
    let followed = follow(&gateway, &again).await;
    assert_eq!(followed.header("location"), "/connect");
    let page = ask::get(&format!("{}/connect", gateway.url));
    let page = page.header("cookie", followed.cookie()).send().await.text();
    for words in ["Ann Lee &amp; Co", "is connected", "Back to app.example"] {
        assert!(page.contains(words), "{page}");
    }
}

#[tokio::test]
async fn a_link_that_is_only_opened_changes_nothing() {
    let gateway = start(&[]).await;
    let link = link(&gateway, "customer-7").await;
    for _ in 0..3 {
        let page = ask::get(&link).send().await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.headers.contains_key("set-cookie"), "{page:?}");
        assert_eq!(page.header("cache-control"), "private, no-store");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    assert_eq!(follow(&gateway, &link).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn another_sites_form_follows_no_link() {
    let gateway = start(&[]).await;
    let link = link(&gateway, "customer-7").await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("accept", "*/*"),
    ] {
        let refused = ask::post(&format!("{}/connect/link", gateway.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .body(format!("token={}", token(&link)))
            .send()
            .await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    assert_eq!(follow(&gateway, &link).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_works_once_over_all_replicas() {
    let [public, port] = [(); 2].map(|()| port::free());
    let settings = [("GATEWAY_KEYS", &*keys()), KEYS];
    let gateway = Gateway::start_behind(public, public, &settings).await;
    let _replica = gateway.start_replica(port);
    let link = link(&gateway, "customer-7").await;
    let (_, host) = gateway.url.split_once("//").expect("a URL");
    let at_the_replica = |visitor: &str| {
        ask::post(&format!("http://127.0.0.1:{port}/connect/link"))
            .header("host", host)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &gateway.url)
            .header("cookie", visitor)
            .body(format!("token={}", token(&link)))
            .send()
    };
    let first = at_the_replica("").await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{first:?}");
    for second in [follow(&gateway, &link).await, at_the_replica("").await] {
        assert_eq!(second.status, StatusCode::GONE, "{second:?}");
        assert!(!second.headers.contains_key("set-cookie"));
    }
    // A double click.
    let same = following(&gateway, &link).header("cookie", first.cookie());
    let same = same.send().await;
    assert_eq!(same.status, StatusCode::SEE_OTHER, "{same:?}");
    assert!(!same.headers.contains_key("set-cookie"), "{same:?}");
}

/// The same link with another value in it, by the gateway's own key.
fn changed(link: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut key = [0; 64];
    let (_, secret) = KEYS;
    Hkdf::<Sha256>::new(None, secret.as_bytes())
        .expand(b"gateway: visitors' cookies", &mut key)
        .expect("64 bytes");
    let key = Key::from(&key);
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token(link)).expect("base64");
    let sealed = Cookie::new("gateway-link", BASE64_STANDARD.encode(bytes));
    let mut jar = CookieJar::new();
    let opened = jar.private(&key).decrypt(sealed).expect("our key");
    let mut held = serde_json::from_str(opened.value()).expect("JSON");
    change(&mut held);
    jar.private_mut(&key)
        .add(Cookie::new("gateway-link", held.to_string()));
    let sealed = jar.get("gateway-link").expect("it was added").value();
    let bytes = BASE64_STANDARD.decode(sealed).expect("base64");
    format!("?token={}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test]
async fn an_old_or_foreign_link_opens_nothing() {
    let gateway = start(&[KEYS]).await;
    let link = link(&gateway, "customer-7").await;
    let until = |link: &str, seconds: i64| {
        changed(link, |held| {
            held["until"] = (held["until"].as_i64().expect("a time") + seconds).into();
        })
    };
    let mut forged = link.clone();
    forged.truncate(link.len() - 1);
    for (link, opens) in [
        (until(&link, -301), false),
        (until(&link, -290), true),
        (changed(&link, |held| held["key"][0] = 999.into()), false),
        (forged, false),
        ("?token=".to_owned(), false),
    ] {
        let url = format!("{}/connect/link?token={}", gateway.url, token(&link));
        let shown = ask::get(&url).send().await.status;
        let followed = follow(&gateway, &link).await.status;
        match opens {
            true => assert_eq!((shown, followed), (StatusCode::OK, StatusCode::SEE_OTHER)),
            false => assert_eq!((shown, followed), (StatusCode::GONE, StatusCode::GONE)),
        }
    }
}

#[tokio::test]
async fn a_link_is_for_its_subject_and_is_no_key() {
    let gateway = start(&[]).await;
    gateway.connect(ANN).await;
    let link = link(&gateway, "customer-7").await;
    let followed = follow(&gateway, &link).await;
    let visitor = followed.cookie();

    // The header names subjects for keys alone.
    let url = format!("{}/connect/status", gateway.url);
    for subject in ["ann", "customer-7"] {
        let asked = ask::get(&url).header("cookie", visitor);
        let shown = asked.header("notion-auth-subject", subject).send().await;
        assert_eq!(shown.json()["connected"], false, "{subject}: {shown:?}");
    }

    let (_, cookie) = visitor.split_once('=').expect("a cookie");
    for secret in [token(&link), cookie] {
        let asked = gateway.me(secret).header("notion-auth-subject", "ann");
        assert_eq!(asked.send().await.status, StatusCode::UNAUTHORIZED);
        let made = ask::post(&format!("{}/connect/links", gateway.url)).bearer(secret);
        let made = made.header("notion-auth-subject", "ann").send().await;
        assert_eq!(made.status, StatusCode::UNAUTHORIZED, "{made:?}");
    }
    let me = ask::get(&format!("{}/v1/users/me", gateway.url)).header("cookie", visitor);
    assert_eq!(me.send().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_link_is_made_by_a_key_that_connects() {
    let gateway = start(&[]).await;
    let signed_in = sign_in(&gateway, &connecting(ANN)).await;
    let service = connecting(SERVICE);
    let ann = connecting(ANN);
    for (name, value, subject, status) in [
        ("x-none", "", Some("ann"), StatusCode::UNAUTHORIZED),
        ("cookie", signed_in.cookie(), None, StatusCode::UNAUTHORIZED),
        ("authorization", SERVICE, Some("ann"), StatusCode::FORBIDDEN),
        ("authorization", ANN, None, StatusCode::FORBIDDEN),
        ("authorization", &service, Some("ann"), StatusCode::OK),
        ("authorization", &service, None, StatusCode::BAD_REQUEST),
        ("authorization", &ann, None, StatusCode::OK),
        ("authorization", &ann, Some("bob"), StatusCode::FORBIDDEN),
    ] {
        let value = match name {
            "authorization" => format!("Bearer {value}"),
            _ => value.to_owned(),
        };
        let mut asked = ask::post(&format!("{}/connect/links", gateway.url))
            .header("origin", &gateway.url)
            .header(name, &value);
        if let Some(subject) = subject {
            asked = asked.header("notion-auth-subject", subject);
        }
        let made = asked.send().await;
        assert_eq!(made.status, status, "{name} {subject:?}: {made:?}");
    }
    let refused = asking(&gateway, "ann").body(r#"{"return_to":"/here"}"#);
    let refused = refused.send().await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json()["code"], "validation_error");
}

#[tokio::test]
async fn a_service_may_use_another_host_name_than_browsers() {
    let gateway = start(&[]).await;
    let service = connecting(SERVICE);
    let wrong = "nobody-has-this-key-0123";
    for (key, subject, path, status) in [
        (Some(&*service), "ann", "/connect/links", StatusCode::OK),
        (
            Some(&*service),
            "ann",
            "/connect/disconnect",
            StatusCode::OK,
        ),
        (
            Some(&*service),
            "",
            "/connect/links",
            StatusCode::BAD_REQUEST,
        ),
        (
            Some(SERVICE),
            "ann",
            "/connect/links",
            StatusCode::FORBIDDEN,
        ),
        (
            Some(wrong),
            "ann",
            "/connect/disconnect",
            StatusCode::UNAUTHORIZED,
        ),
        (
            None,
            "ann",
            "/connect/links",
            StatusCode::MISDIRECTED_REQUEST,
        ),
        (
            None,
            "ann",
            "/connect/link",
            StatusCode::MISDIRECTED_REQUEST,
        ),
    ] {
        let mut asked = ask::post(&format!("{}{path}", gateway.url))
            .header("host", "gateway:8080")
            .header("notion-auth-subject", subject);
        if let Some(key) = key {
            asked = asked.bearer(key);
        }
        let answer = asked.send().await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        if path == "/connect/links" && status == StatusCode::OK {
            let url = answer.json()["url"].to_string();
            assert!(url.contains(&gateway.url), "{url}");
        }
    }
    let refused = "status=403 refused=\"key_right\"";
    eventually(|| gateway.process.said().contains(refused)).await;
    let said = gateway.process.said();
    let line = said.lines().find(|it| it.contains(refused));
    let line = line.expect("an access line");
    assert!(line.contains("key=\"GATEWAY_KEYS:1\""), "{line}");
    let metrics = ask::get(&format!("{}/metrics", gateway.url)).send().await;
    let metrics = metrics.text();
    assert!(metrics.contains("gateway_wrong_keys_total 1"), "{metrics}");
}

#[tokio::test]
async fn a_link_and_its_visitor_end_with_the_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys");
    let digest = |key: &str| {
        use sha2::Digest as _;
        let digest = Sha256::digest(key);
        digest
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect::<String>()
    };
    let line = format!("service {} * connect\n", digest(&connecting(SERVICE)));
    fs::write(&path, &line).expect("a file");
    let file = path.to_str().expect("text");
    let keys = format!("{ANN}=ann");
    let gateway =
        Gateway::start_with(&[("GATEWAY_KEYS", &keys), ("GATEWAY_KEYS_FILE", file)]).await;
    let [used, unused] = [
        link(&gateway, "customer-7").await,
        link(&gateway, "customer-7").await,
    ];
    let followed = follow(&gateway, &used).await;
    let visitor = followed.cookie();
    assert_eq!(status(&gateway, visitor).await.status, StatusCode::OK);
    let log = gateway.process.said();
    assert!(log.contains("path=\"/connect/link\" status=303"), "{log}");
    assert!(log.contains("key=\"service\""), "{log}");

    fs::write(&path, "# no key\n").expect("a file");
    gateway.process.hang_up();
    eventually(|| gateway.process.said().contains("was read again")).await;
    assert_eq!(ask::get(&unused).send().await.status, StatusCode::GONE);
    assert_eq!(follow(&gateway, &unused).await.status, StatusCode::GONE);
    let shown = status(&gateway, visitor).await;
    assert_eq!(shown.status, StatusCode::UNAUTHORIZED, "{shown:?}");
}

/// The addresses of forms and buttons of a page.
fn actions(page: &str) -> Vec<String> {
    let mut parts = page.split(['"']);
    let mut actions = Vec::new();
    while let Some(part) = parts.next() {
        if part.ends_with("action=") || part.ends_with("href=") {
            actions.extend(parts.next().map(|it| it.replace("&amp;", "&")));
        }
    }
    actions.retain(|it| it.contains("?page="));
    actions
}

#[tokio::test]
async fn a_page_of_another_account_changes_nothing() {
    let gateway = start(&[]).await;
    gateway.connect(ANN).await;
    let page = async |visitor: &str| {
        let url = format!("{}/connect", gateway.url);
        let shown = ask::get(&url).header("cookie", visitor).send().await;
        actions(&shown.text())
    };
    let other = follow(&gateway, &link(&gateway, "customer-7").await).await;
    let ann = follow(&gateway, &link(&gateway, "ann").await).await;
    let (other, ann) = (other.cookie(), ann.cookie());
    let (others_page, anns_page) = (page(other).await, page(ann).await);
    assert_eq!((others_page.len(), anns_page.len()), (1, 2));

    // The browser has the cookie of the last link, and both pages are open.
    for (target, visitor, status) in [
        (&others_page[0], ann, StatusCode::CONFLICT),
        (&anns_page[0], other, StatusCode::CONFLICT),
        (&anns_page[1], other, StatusCode::CONFLICT),
        (&others_page[0], other, StatusCode::SEE_OTHER),
        (&anns_page[0], ann, StatusCode::SEE_OTHER),
        (&anns_page[1], ann, StatusCode::SEE_OTHER),
    ] {
        let url = format!("{}{target}", gateway.url);
        let asked = match target.contains("/authorize?") {
            true => ask::get(&url),
            false => ask::post(&url).header("origin", &gateway.url),
        };
        let asked = asked.header("accept", "text/html");
        let answer = asked.header("cookie", visitor).send().await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        if status == StatusCode::CONFLICT {
            assert_eq!(gateway.me(ANN).send().await.status, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn a_form_without_the_account_of_its_page_changes_nothing() {
    let gateway = start(&[]).await;
    gateway.connect(ANN).await;
    let ann = follow(&gateway, &link(&gateway, "ann").await).await;
    // As from a page of the routes, which was opened before this link was followed.
    let ask = |route: &str| {
        let url = format!("{}/connect/{route}", gateway.url);
        let asked = match route {
            "authorize" | "status" => ask::get(&url),
            _ => ask::post(&url).header("origin", &gateway.url),
        };
        let asked = asked.header("cookie", ann.cookie());
        asked.header("accept", "text/html").send()
    };
    for route in ["disconnect", "disconnect?return_to=/connect", "replace"] {
        let refused = ask(route).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{route}: {refused:?}");
        assert!(refused.text().contains("Ann Lee"), "{refused:?}");
        assert_eq!(gateway.me(ANN).send().await.status, StatusCode::OK);
    }
    // The page there names the account.
    for route in ["authorize", "status"] {
        assert_eq!(ask(route).await.header("location"), "/connect", "{route}");
    }
}

#[tokio::test]
async fn a_visitor_by_a_link_returns_where_the_link_says_and_only_when_connected() {
    let gateway = start(&[]).await;
    let followed = follow(&gateway, &link(&gateway, "customer-7").await).await;
    let visitor = followed.cookie();
    let result = format!("{}/connect?notion=connected", gateway.url);
    let page = ask::get(&result).header("cookie", visitor).send().await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(
        page.text().contains("No workspace is connected"),
        "{page:?}"
    );

    let authorize = target(&gateway.url, visitor, "authorize").await;
    let begun = ask::get(&format!("{authorize}&return_to=/elsewhere"))
        .header("cookie", visitor)
        .send()
        .await;
    let ended = consent(&gateway, &begun, visitor).await;
    assert_eq!(ended.header("location"), "/connect?notion=connected");
    let returned = ask::get(&result).header("cookie", visitor).send().await;
    assert_eq!(returned.header("location"), RETURN_TO, "{returned:?}");
}

#[tokio::test]
async fn a_service_gets_json_whatever_it_accepts() {
    let gateway = start(&[]).await;
    let ask = |path: &str| {
        let url = format!("{}/connect/{path}", gateway.url);
        let asked = match path {
            "status" => ask::get(&url),
            _ => ask::post(&url),
        };
        asked
            .bearer(&connecting(SERVICE))
            .header("notion-auth-subject", "customer-7")
            // The default of Java's HttpURLConnection.
            .header("accept", "text/html, image/gif, image/jpeg, */*; q=0.2")
    };
    for path in ["status", "disconnect"] {
        let answer = ask(path).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        assert_eq!(answer.json()["connected"], false, "{path}: {answer:?}");
    }
    // A browser whose key a server in front adds.
    let shown = ask("status").header("sec-fetch-site", "same-origin");
    let shown = shown.send().await;
    assert!(shown.header("content-type").contains("html"), "{shown:?}");
}

#[tokio::test]
async fn mistakes_of_a_service_are_answered_in_notions_envelope() {
    let gateway = start(&[]).await;
    let links = format!("{}/connect/links", gateway.url);
    let here = format!(
        "{{\"return_to\":\"{}/connect?notion=connected\"}}",
        gateway.url
    );
    let asked = |body: &str| asking(&gateway, "ann").body(body.to_owned());
    let get = |path: &str| ask::get(&format!("{}/connect/{path}", gateway.url));
    let disconnect = ask::post(&format!("{}/connect/disconnect", gateway.url));
    for (asked, status, code) in [
        (asked(&"x".repeat(5000)), 413, "validation_error"),
        (asked(r#"["Ann", null]"#), 400, "validation_error"),
        (asked(&here), 400, "validation_error"),
        (
            ask::get(&links).bearer(&connecting(SERVICE)),
            405,
            "invalid_request",
        ),
        (get("status"), 401, "unauthorized"),
        (get("authorize"), 401, "unauthorized"),
        (disconnect, 401, "unauthorized"),
    ] {
        let answer = asked.send().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["code"], code, "{answer:?}");
        let message = answer.json()["message"].to_string();
        assert!(message.starts_with("\"gateway: "), "{message}");
        if status == 405 {
            assert_eq!(answer.header("allow"), "POST");
        }
    }
}

#[tokio::test]
async fn a_form_that_cannot_be_read_gets_a_page() {
    let gateway = start(&[]).await;
    for route in ["link", "sign-in"] {
        for (kind, length, status) in [
            ("application/x-www-form-urlencoded", 5000, 413),
            ("application/x-www-form-urlencoded", 0, 422),
            ("text/plain", 0, 415),
        ] {
            let answer = ask::post(&format!("{}/connect/{route}", gateway.url))
                .header("content-type", kind)
                .header("origin", &gateway.url)
                .body("x".repeat(length))
                .send()
                .await;
            assert_eq!(answer.status, status, "{route}: {answer:?}");
            assert!(answer.text().contains("role=\"alert\""), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_customer_who_cancels_gets_a_way_back() {
    let gateway = start(&[]).await;
    let followed = follow(&gateway, &link(&gateway, "customer-7").await).await;
    let visitor = followed.cookie();
    let authorize = format!("{}{}", gateway.url, followed.header("location"));
    let begun = ask::get(&authorize).header("cookie", visitor).send().await;
    let state = begun.header("location").split("state=").nth(1);
    let state = state.expect("a state").split('&').next().expect("a value");
    let cancelled = ask::get(&format!(
        "{}/connect/callback?error=access_denied&state={state}",
        gateway.url
    ))
    .header("cookie", &format!("{visitor}; {}", begun.cookie()))
    .header("accept", "text/html")
    .send()
    .await;
    assert_eq!(cancelled.header("location"), "/connect", "{cancelled:?}");
    let (flow, _) = begun.cookie().split_once('=').expect("a cookie");
    let mut set = cancelled.headers.get_all("set-cookie").iter();
    let cleared = |it: &http::HeaderValue| it.to_str().expect("text").starts_with(flow);
    assert!(set.any(cleared), "{cancelled:?}");
    let page = ask::get(&format!("{}/connect", gateway.url)).header("cookie", visitor);
    let page = page.send().await.text();
    for words in ["No workspace is connected", "Back to app.example"] {
        assert!(page.contains(words), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_followed_only_while_the_store_answers() {
    let Some(mut redis) = servers::redis::start() else {
        return;
    };
    let gateway = start(&[("DATABASE_URL", &redis.url()), KEYS]).await;
    let link = link(&gateway, "customer-7").await;
    redis.stop();
    let refused = follow(&gateway, &link).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!refused.headers.contains_key("set-cookie"), "{refused:?}");
    assert!(
        refused.text().contains("Back to app.example"),
        "{refused:?}"
    );
    redis.start();
    assert_eq!(follow(&gateway, &link).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn links_are_not_logged() {
    let gateway = start(&[("GATEWAY_LOG", "json")]).await;
    let link = link(&gateway, "customer-7").await;
    ask::get(&link).header("referer", &link).send().await;
    let followed = follow(&gateway, &link).await;
    follow(&gateway, &link).await;
    eventually(|| gateway.process.said().matches("\"/connect/link\"").count() == 3).await;
    let said = gateway.process.said();
    let (_, cookie) = followed.cookie().split_once('=').expect("a cookie");
    for secret in [token(&link), cookie, "customer-7", "Ann Lee", "app.example"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[tokio::test]
async fn a_visitor_by_a_link_confirms_another_workspace_on_the_page() {
    let gateway = start(&[]).await;
    gateway.connect(ANN).await;
    let before = gateway.bot(ANN).await;
    let link = link(&gateway, "ann").await;
    let followed = follow(&gateway, &link).await;
    let visitor = followed.cookie();
    let begun = ask::get(&target(&gateway.url, visitor, "authorize").await)
        .header("cookie", visitor)
        .send()
        .await;
    let refused = choose_another(&gateway, &begun, visitor).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(gateway.bot(ANN).await, before);

    let begun = ask::post(&target(&gateway.url, visitor, "replace").await)
        .header("cookie", visitor)
        .header("origin", &gateway.url)
        .send()
        .await;
    let done = choose_another(&gateway, &begun, visitor).await;
    assert!(done.header("location").contains("connected"), "{done:?}");
    assert_ne!(gateway.bot(ANN).await, before);
}
