//! A proxy on the way to Notion, which is trusted with nothing.

use http::StatusCode;

use super::{
    ask::{self, Answer},
    program::{ANN, Gateway, connecting, refused},
    proxy::Proxy,
};

const NOTION: &str = "https://notion.invalid";
const TOKEN: &str = "ntn_of_the_integration";
const SECRET: &str = "secret-of-the-client";
const LETS_PASS: &str = "HTTP/1.1 200 OK";

/// `ann` and `p@ss:hunter2`.
const USER: &str = "ann:p%40ss%3Ahunter2@";
const BASIC: &str = "Basic YW5uOnBAc3M6aHVudGVyMg==";

/// A gateway that has that token for everybody.
async fn with_a_token(settings: &[(&str, &str)]) -> Gateway {
    let mut all = vec![
        ("NOTION_API_URL", NOTION),
        ("NOTION_CLIENT_ID", ""),
        ("NOTION_CLIENT_SECRET", ""),
        ("NOTION_TOKEN", TOKEN),
    ];
    all.extend(settings);
    Gateway::start_with(&all).await
}

fn to(proxy: &Proxy) -> String {
    format!("http://{USER}127.0.0.1:{}", proxy.port)
}

/// Comes back from Notion's consent page with a code.
async fn come_back(gateway: &Gateway) -> Answer {
    let begun = ask::get(&format!("{}/connect/authorize", gateway.url))
        .bearer(&connecting(ANN))
        .send()
        .await;
    let state = begun.header("location").split("state=").nth(1);
    let state = state.expect("a state").split('&').next().expect("a value");
    let back = format!("{}/connect/callback?code=one&state={state}", gateway.url);
    let cookie = begun.cookie();
    ask::get(&back)
        .bearer(&connecting(ANN))
        .header("cookie", cookie)
        .send()
        .await
}

#[track_caller]
fn assert_tunnel(proxy: &Proxy) {
    let seen = proxy.seen();
    assert!(!seen.is_empty(), "nothing came");
    for seen in seen {
        assert!(
            seen.starts_with("CONNECT notion.invalid:443 HTTP/1.1\r\n"),
            "{seen}"
        );
        let head = seen.split("\r\n\r\n").next().expect("a head");
        let basic = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            (name.eq_ignore_ascii_case("proxy-authorization")).then_some(value)
        });
        assert_eq!(basic, Some(BASIC));
        for secret in [ANN, TOKEN, SECRET, "Bearer", "/v1/"] {
            assert!(!seen.contains(secret), "{secret}: {seen}");
        }
    }
}

#[tokio::test]
async fn a_call_goes_through_the_proxy_and_shows_it_nothing() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let proxy = Proxy::start(LETS_PASS).await;
        let gateway = with_a_token(&[(name, &to(&proxy))]).await;
        let answer = gateway.me(ANN).send().await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{name}");
        assert_tunnel(&proxy);
    }
}

#[tokio::test]
async fn a_connect_goes_through_the_proxy_and_shows_it_nothing() {
    let proxy = Proxy::start(LETS_PASS).await;
    let gateway = Gateway::start_with(&[
        ("NOTION_API_URL", NOTION),
        ("NOTION_CLIENT_SECRET", SECRET),
        ("HTTPS_PROXY", &to(&proxy)),
    ])
    .await;
    let answer = come_back(&gateway).await;
    assert!(!answer.status.is_success(), "{answer:?}");
    assert_tunnel(&proxy);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusing_proxy_is_reported_in_notion_s_format_without_its_password() {
    for refusal in [
        "HTTP/1.1 407 Proxy Authentication Required",
        "HTTP/1.1 502 Bad Gateway",
    ] {
        let proxy = Proxy::start(refusal).await;
        let mut caller = with_a_token(&[("HTTPS_PROXY", &to(&proxy))]).await;
        let called = caller.me(ANN).send().await;
        assert_eq!(called.status, StatusCode::SERVICE_UNAVAILABLE, "{refusal}");
        assert_eq!(called.json()["object"], "error");
        assert_eq!(called.json()["code"], "service_unavailable");

        let mut visited =
            Gateway::start_with(&[("NOTION_API_URL", NOTION), ("HTTPS_PROXY", &to(&proxy))]).await;
        let back = come_back(&visited).await;
        assert!(!back.status.is_success(), "{back:?}");
        assert_tunnel(&proxy);
        for (gateway, answer) in [(&mut caller, called), (&mut visited, back)] {
            gateway.process.terminate();
            assert!(gateway.process.ended().success());
            let text = format!("{answer:?} {} {}", answer.text(), gateway.process.said());
            assert!(text.contains("shutting down"), "{text}");
            for secret in ["hunter2", BASIC, &BASIC["Basic ".len()..]] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn no_proxy_excepts_a_place() {
    let proxy = Proxy::start(LETS_PASS).await;
    let settings = [("HTTPS_PROXY", &*to(&proxy)), ("NO_PROXY", "example.com")];
    let mut gateway = with_a_token(&settings).await;
    gateway.me(ANN).send().await;
    assert_tunnel(&proxy);

    gateway.restart_with(&[("NO_PROXY", "example.com,notion.invalid")]);
    let before = proxy.seen().len();
    // No resolver knows the name.
    let answer = gateway.me(ANN).send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().contains("nothing was sent"), "{answer:?}");
    assert_eq!(proxy.seen().len(), before);
}

#[tokio::test]
async fn what_is_on_this_machine_is_reached_without_the_proxy() {
    let proxy = Proxy::start(LETS_PASS).await;
    let to = to(&proxy);
    let gateway = Gateway::start_with(&[
        ("HTTP_PROXY", &to),
        ("HTTPS_PROXY", &to),
        ("ALL_PROXY", &to),
    ])
    .await;
    gateway.connect(ANN).await;
    gateway.bot(ANN).await;
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
}

#[test]
fn a_proxy_that_cannot_be_one_is_refused_without_its_password() {
    for proxy in [
        "ftp://ann:hunter2@127.0.0.1:1",
        "socks4://ann:hunter2@127.0.0.1:1",
        "http://ann:hunter2@127.0.0.1:port",
    ] {
        let output = refused(&[
            ("GATEWAY_KEYS", &format!("{ANN}=ann")),
            ("NOTION_TOKEN", TOKEN),
            ("HTTPS_PROXY", proxy),
        ]);
        assert!(!output.status.success(), "{proxy}");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains("HTTPS_PROXY"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
