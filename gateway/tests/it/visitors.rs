use std::os::unix::fs::PermissionsExt as _;

use http::StatusCode;

use super::{
    ask::{self, Answer},
    program::{ANN, BOB, Gateway, connecting},
};

pub(super) async fn sign_in(gateway: &Gateway, key: &str) -> Answer {
    ask::post(&format!("{}/connect/sign-in", gateway.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &gateway.url)
        .body(format!("key={key}"))
        .send()
        .await
}

/// The address of a route as the visitor's page has it.
pub(super) async fn target(gateway: &str, visitor: &str, route: &str) -> String {
    let page = format!("{gateway}/connect");
    let shown = ask::get(&page).header("cookie", visitor).send().await;
    let text = shown.text();
    let account = text.split_once("page=").expect("an account").1;
    let account = account.split(['"', '&']).next().expect("an account");
    format!("{page}/{route}?page={account}")
}

#[tokio::test]
async fn a_visitor_signs_in_with_a_key_connects_and_disconnects() {
    let gateway = Gateway::start().await;
    let page = format!("{}/connect", gateway.url);
    let door = ask::get(&page).send().await;
    assert!(door.text().contains("Sign in"));
    assert_eq!(door.header("cache-control"), "private, no-store");
    let policy = door.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }

    let signed_in = sign_in(&gateway, &connecting(ANN)).await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER);
    let visitor = signed_in.cookie();
    assert!(!visitor.contains(ANN));
    let begun = ask::get(&target(&gateway.url, visitor, "authorize").await)
        .header("cookie", visitor)
        .send()
        .await;
    let consented = gateway
        .notion
        .consent(begun.header("location"))
        .expect("consent");
    let ended = ask::get(&consented)
        .header("cookie", &format!("{visitor}; {}", begun.cookie()))
        .header("accept", "text/html")
        .send()
        .await;
    assert!(
        ended.header("location").starts_with("/connect?"),
        "{ended:?}"
    );
    let shown = ask::get(&page).header("cookie", visitor).send().await;
    assert!(shown.text().contains("is connected"), "{}", shown.text());

    let url = target(&gateway.url, visitor, "disconnect").await;
    let disconnect = || ask::post(&url).header("cookie", visitor);
    assert_eq!(disconnect().send().await.status, StatusCode::FORBIDDEN);
    let done = disconnect()
        .header("origin", &gateway.url)
        .header("accept", "text/html")
        .send()
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    let shown = ask::get(&page).header("cookie", visitor).send().await;
    assert!(
        shown.text().contains("No workspace is connected"),
        "{}",
        shown.text()
    );
}

#[tokio::test]
async fn another_sites_form_signs_nobody_in() {
    let gateway = Gateway::start().await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("accept", "*/*"),
    ] {
        let answer = ask::post(&format!("{}/connect/sign-in", gateway.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .body(format!("key={}", connecting(ANN)))
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_form_is_read_to_4_kib_and_only_if_it_is_the_gateways_own() {
    let gateway = Gateway::start().await;
    let send = |origin: &str, length: usize| {
        ask::post(&format!("{}/connect/sign-in", gateway.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin)
            .body(format!("key={}", "x".repeat(length)))
            .send()
    };
    for (origin, length, status) in [
        (&*gateway.url, 4000, StatusCode::UNAUTHORIZED),
        (&*gateway.url, 5000, StatusCode::PAYLOAD_TOO_LARGE),
        ("https://evil.example", 5000, StatusCode::FORBIDDEN),
    ] {
        assert_eq!(
            send(origin, length).await.status,
            status,
            "{origin} {length}"
        );
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_forged_cookie_are_nobodys() {
    let gateway = Gateway::start().await;
    let answer = sign_in(&gateway, "nobody-has-this-key-0123").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.headers.contains_key("set-cookie"));
    let status = format!("{}/connect/status", gateway.url);
    let answer = ask::get(&status)
        .bearer("nobody-has-this-key-0123")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let real = sign_in(&gateway, &connecting(ANN)).await;
    let (name, _) = real.cookie().split_once('=').expect("a cookie");
    let forged = format!("{name}=9999999999.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let answer = ask::get(&status).header("cookie", &forged).send().await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}

#[tokio::test]
async fn what_is_kept_is_for_its_owner_alone_to_read() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    for name in ["gateway.db", "gateway.db.keys"] {
        let file = gateway.directory.path().join(name);
        let mode = std::fs::metadata(file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn where_every_key_has_one_token_there_is_nothing_to_connect_and_it_says_so() {
    let gateway = Gateway::start_with(&[
        ("NOTION_CLIENT_ID", ""),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_TOKEN", "ntn_of_the_integration"),
    ])
    .await;
    for path in ["/connect", "/connect/", "/connect/authorize"] {
        let answer = ask::get(&format!("{}{path}", gateway.url)).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let message = answer.json()["message"].to_string();
        assert!(message.contains("NOTION_TOKEN"), "{message}");
        assert!(!message.contains("/connect"), "{message}");
    }
}

#[tokio::test]
async fn a_visitor_stays_signed_in_by_use_and_beside_what_other_programs_send() {
    let gateway = Gateway::start().await;
    let page = format!("{}/connect", gateway.url);
    let signed_in = sign_in(&gateway, &connecting(ANN)).await;
    assert!(
        signed_in.header("set-cookie").contains("Max-Age=3600"),
        "{signed_in:?}"
    );
    let visitor = signed_in.cookie();
    let own = visitor.as_bytes();
    for (cookie, bearer) in [
        (own.to_vec(), None),
        ([b"caf\xe9=1; ", own].concat(), None),
        ([b"a=\"b; ", own, b"; other=\xff"].concat(), None),
        (own.to_vec(), Some("a-token-of-the-server-in-front")),
    ] {
        let cookie = http::HeaderValue::from_bytes(&cookie).expect("a header");
        let mut asked = ask::get(&page)
            .header("accept", "text/html")
            .header_value("cookie", cookie.clone());
        if let Some(bearer) = bearer {
            asked = asked.bearer(bearer);
        }
        let shown = asked.send().await;
        assert!(
            shown.text().contains("No workspace is connected"),
            "{cookie:?}: {shown:?}"
        );
        assert!(
            shown.header("set-cookie").contains("Max-Age=3"),
            "{shown:?}"
        );
        assert_ne!(shown.cookie(), visitor, "it is renewed");
    }
}

#[tokio::test]
async fn a_foreign_bearer_of_a_browser_gets_the_page_and_that_of_a_program_json() {
    let gateway = Gateway::start().await;
    let page = format!("{}/connect", gateway.url);
    let foreign = |accept| {
        ask::get(&page)
            .bearer("a-token-of-the-server-in-front")
            .header("accept", accept)
            .send()
    };
    let shown = foreign("text/html,application/xhtml+xml").await;
    assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
    assert!(shown.text().contains("Sign in"));
    let refused = foreign("*/*").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json()["code"], "unauthorized");
}

#[tokio::test]
async fn keys_that_do_not_connect_do_not_sign_in() {
    let services = "a-service-has-this-key-0123";
    let keys = format!("{ANN}=ann,{services}=*:connect");
    let gateway = Gateway::start_with(&[("GATEWAY_KEYS", &keys)]).await;
    for (key, words) in [(ANN, "calls Notion"), (services, "a key for services")] {
        let answer = sign_in(&gateway, key).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert!(answer.text().contains(words), "{}", answer.text());
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

/// Follows an authorization to its end, with another workspace than before. The answer to the callback.
pub(super) async fn choose_another(gateway: &Gateway, begun: &Answer, visitor: &str) -> Answer {
    let consented = gateway
        .notion
        .consent_for(begun.header("location"), "Another Workspace");
    let cookies: Vec<&str> = begun
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|it| {
            it.to_str()
                .expect("text")
                .split(';')
                .next()
                .expect("a cookie")
        })
        .filter(|it| !it.starts_with("gateway="))
        .collect();
    ask::get(&consented.expect("consent"))
        .header("cookie", &format!("{visitor}; {}", cookies.join("; ")))
        .header("accept", "text/html")
        .send()
        .await
}

#[tokio::test]
async fn another_workspace_takes_the_place_of_one_only_if_the_visitor_confirms() {
    let gateway = Gateway::start().await;
    gateway.connect(ANN).await;
    let before = gateway.bot(ANN).await;
    let page = format!("{}/connect", gateway.url);
    let signed_in = sign_in(&gateway, &connecting(ANN)).await;
    let visitor = signed_in.cookie();
    let shown = ask::get(&page).header("cookie", visitor).send().await;
    assert!(
        shown
            .text()
            .contains("Connect another account or workspace"),
        "{}",
        shown.text()
    );

    let begun = ask::get(&target(&gateway.url, visitor, "authorize").await)
        .header("cookie", visitor)
        .send()
        .await;
    let refused = choose_another(&gateway, &begun, visitor).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(gateway.bot(ANN).await, before);

    let url = target(&gateway.url, visitor, "replace").await;
    let replace = || ask::post(&url).header("cookie", visitor);
    let foreign = replace()
        .header("origin", "https://evil.example")
        .send()
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let begun = replace().header("origin", &gateway.url).send().await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{begun:?}");

    // The confirmation holds for its own flow, and for the key that gave it.
    let other = ask::get(&target(&gateway.url, visitor, "authorize").await)
        .header("cookie", visitor)
        .send()
        .await;
    let confirmation = begun.headers.get_all("set-cookie").iter();
    let mut confirmation = confirmation.map(|it| it.to_str().expect("text").split(';').next());
    let confirmation =
        confirmation.find_map(|it| it.filter(|it| it.starts_with("gateway-replace=")));
    let both = format!("{visitor}; {}", confirmation.expect("a confirmation"));
    let refused = choose_another(&gateway, &other, &both).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    let bob = sign_in(&gateway, &connecting(BOB)).await;
    let refused = choose_another(&gateway, &begun, bob.cookie()).await;
    assert_ne!(refused.status, StatusCode::SEE_OTHER, "{refused:?}");
    assert_eq!(gateway.bot(ANN).await, before);

    let done = choose_another(&gateway, &begun, visitor).await;
    assert!(
        done.header("location").contains("notion=connected"),
        "{done:?}"
    );
    assert_ne!(gateway.bot(ANN).await, before);
}
