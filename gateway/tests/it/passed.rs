//! What passes the gateway, in both directions.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode};

use super::{
    ask,
    program::{ANN, BOB, Gateway, KEYS},
    recorder::in_front_of,
    wait::{eventually, soon},
    wire::Wire,
};

fn plain() -> Response {
    Response::new(Body::empty())
}

#[tokio::test]
async fn only_listed_request_headers_reach_notion() {
    let (gateway, mut received) =
        in_front_of(plain, &[("GATEWAY_PASS_HEADERS", "X-Trace, x-more,")]).await;
    let passed = [
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("content-type", "text/plain"),
        ("notion-version", "2022-06-28"),
        ("user-agent", "notionhq-client/5"),
        ("x-trace", "1"),
        ("x-more", "2"),
    ];
    let kept = [
        ("cf-access-jwt-assertion", "ann's"),
        ("connection", "x-trace-2, authorization"),
        ("cookie", "a=b"),
        ("expect", "100-continue"),
        ("forwarded", "for=192.0.2.1"),
        ("if-none-match", "\"1\""),
        ("notion-auth-subject", "ann"),
        ("proxy-authorization", "Basic YTpi"),
        ("range", "bytes=0-1"),
        ("te", "trailers"),
        ("x-auth-request-access-token", "ann's"),
        ("x-forwarded-access-token", "ann's"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/v1/oauth/token"),
        ("x-nobody-has-heard-of", "1"),
    ];
    let mut request = ask::post(&format!("{}/v1/search", gateway.url))
        .bearer(ANN)
        .body("{}");
    for (name, value) in passed.into_iter().chain(kept) {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.status, StatusCode::OK);
    let received = soon(received.recv()).await.expect("a request");
    for (name, value) in passed {
        assert_eq!(received.headers[name], value);
    }
    for (name, _) in kept {
        assert!(!received.headers.contains_key(name), "{name}");
    }
    assert_eq!(
        received.headers["authorization"],
        "Bearer ntn_of_the_integration"
    );
    assert_eq!(received.headers["content-length"], "2");
    assert!(!format!("{:?}", received.headers).contains(ANN));
}

#[tokio::test]
async fn only_listed_response_headers_reach_the_caller() {
    const PASSED: [(&str, &str); 5] = [
        ("cf-ray", "ray"),
        ("content-type", "application/json"),
        ("ratelimit", "1"),
        ("retry-after", "1"),
        ("x-notion-request-id", "id"),
    ];
    const KEPT: [(&str, &str); 12] = [
        ("access-control-allow-origin", "*"),
        ("alt-svc", "h3=\":443\""),
        ("clear-site-data", "\"*\""),
        ("keep-alive", "timeout=5"),
        ("link", "<https://api.notion.com/v1/users>; rel=next"),
        ("nel", "{}"),
        ("refresh", "0;url=https://evil.example"),
        ("report-to", "{}"),
        ("server", "notion"),
        ("set-cookie", "a=b"),
        ("strict-transport-security", "max-age=1"),
        ("www-authenticate", "Basic"),
    ];
    fn many() -> Response {
        let mut response = plain();
        for (name, value) in PASSED.into_iter().chain(KEPT) {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        let public = HeaderValue::from_static("public, max-age=3600");
        response.headers_mut().insert("cache-control", public);
        response
            .headers_mut()
            .insert("vary", HeaderValue::from_static("origin"));
        response
    }
    let (gateway, _received) = in_front_of(many, &[]).await;
    let answer = gateway.me(ANN).send().await;
    for (name, value) in PASSED {
        assert_eq!(answer.header(name), value);
    }
    for (name, _) in KEPT {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    assert_eq!(answer.header("cache-control"), "private, no-store");
    assert_eq!(answer.header("vary"), "authorization, notion-auth-subject");
}

#[tokio::test]
async fn locations_never_lead_past_the_gateway() {
    fn redirect() -> Response {
        let mut response = plain();
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response
    }
    for (location, expected) in [
        ("/v1/pages/2?a=b", Some("/v1/pages/2?a=b")),
        ("../pages/2", Some("/v1/pages/2")),
        ("https://api.notion.com/v1/pages/2", None),
        ("//evil.example/v1/pages/2", None),
        ("/\\evil.example/v1/pages/2", None),
        ("/elsewhere", None),
        ("/v1/../elsewhere", None),
        ("ftp:/v1/pages/2", None),
    ] {
        let respond = axum::Router::new().fallback(async move || {
            let mut response = redirect();
            let location = HeaderValue::from_static(location);
            response.headers_mut().insert("location", location);
            response
        });
        let gateway = super::recorder::gateway_to(respond, &[]).await;
        let answer = gateway.me(ANN).send().await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        let got = answer.headers.get("location");
        let got = got.map(|value| value.to_str().expect("text"));
        assert_eq!(got, expected, "{location}");
    }
    // Without the prefix, the caller would send its key to another program behind the same server.
    let respond = async || {
        let mut response = redirect();
        let location = HeaderValue::from_static("/v1/pages/2");
        response.headers_mut().insert("location", location);
        response
    };
    let router = axum::Router::new().fallback(respond);
    let settings = [("GATEWAY_PUBLIC_URL", "https://example.com/notion")];
    let gateway = super::recorder::gateway_to(router, &settings).await;
    let url = format!("{}/notion/v1/users/me", gateway.url);
    let answer = ask::get(&url).bearer(ANN).send().await;
    assert_eq!(answer.header("location"), "/notion/v1/pages/2");
    eventually(|| {
        let said = gateway.process.said();
        said.contains("path=\"/notion/v1/users/me\" status=307")
    })
    .await;
}

#[tokio::test]
async fn trailers_of_a_request_stay_at_the_gateway() {
    let (gateway, mut received) = in_front_of(plain, &[]).await;
    for kind in ["application/json", "text/plain"] {
        let mut wire = Wire::to(&gateway).await;
        wire.write(format!(
            "POST /v1/search HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {ANN}\r\n\
             content-type: {kind}\r\ntrailer: x-checksum\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\n{{}}\r\n0\r\nx-checksum: 1\r\n\r\n"
        ))
        .await;
        wire.read_until("HTTP/1.1 200 OK").await;
        let received = soon(received.recv()).await.expect("a request");
        assert_eq!(received.body, b"{}");
        assert_eq!(received.trailers, None);
    }
}

#[tokio::test]
async fn paths_and_queries_pass_only_in_the_characters_of_urls() {
    let (gateway, mut received) = in_front_of(plain, &[]).await;
    for (target, passes) in [
        ("/v1/users/me", true),
        (
            "/v1/pages/59833787-2cf9-4fdf-8782-e53db20768a5/properties/a%3Ab?page_size=1",
            true,
        ),
        ("/v1/pages/~a!$&'()*+,;=:@", true),
        // Browsers leave these in a query as they are.
        ("/v1/databases/1?filter_properties[]=a|b^{c}", true),
        ("/v1/pages/a%zz", false),
        ("/v1/pages/a%4", false),
        ("/v1/pages/{a}", false),
        ("/v1/pages/a|b", false),
        ("/v1/pages/a\"b", false),
        ("/v1/pages/a\u{e4}", false),
        ("/v1/users?a=%", false),
        ("/v1/users?a=\u{e4}", false),
    ] {
        let mut wire = Wire::to(&gateway).await;
        wire.write(format!(
            "GET {target} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {ANN}\r\n\
             connection: close\r\n\r\n"
        ))
        .await;
        let answer = wire.read_to_end().await;
        let expected = if passes {
            "HTTP/1.1 200 "
        } else {
            "HTTP/1.1 400 "
        };
        assert!(answer.starts_with(expected), "{target}: {answer}");
        if passes {
            let received = soon(received.recv()).await.expect("a request");
            assert_eq!(received.target, target);
        }
    }
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn responses_for_one_visitor_are_not_cached() {
    let gateway = Gateway::start().await;
    for path in ["/connect", "/connect/status", "/connect/authorize"] {
        let answer = ask::get(&format!("{}{path}", gateway.url))
            .bearer(BOB)
            .send()
            .await;
        assert_eq!(
            answer.header("cache-control"),
            "private, no-store",
            "{path}"
        );
        assert_eq!(answer.header("vary"), "authorization, cookie", "{path}");
    }
}

#[tokio::test]
async fn connect_answers_to_the_name_of_the_public_url_only() {
    for (public_url, hosts) in [
        (
            None,
            [
                ("127.0.0.1:PORT", true),
                ("localhost:PORT", true),
                ("LOCALHOST:PORT", true),
                ("[::1]:PORT", true),
                ("127.0.0.1", false),
                ("localhost:1", false),
                ("evil.example:PORT", false),
                ("localhost.evil.example:PORT", false),
                (":a@localhost:PORT", false),
                ("", false),
            ],
        ),
        (
            Some("https://notion.acme.example"),
            [
                ("notion.acme.example", true),
                ("notion.acme.example:443", true),
                ("NOTION.acme.example", true),
                ("notion.acme.example:80", false),
                ("notion.acme.example.", false),
                ("acme.example", false),
                ("127.0.0.1", false),
                ("localhost:443", false),
                ("[::1]:443", false),
                ("evil.example", false),
            ],
        ),
    ] {
        let public_url = public_url.unwrap_or_default();
        let gateway = Gateway::start_with(&[("GATEWAY_PUBLIC_URL", public_url), KEYS]).await;
        let (_, port) = gateway.url.rsplit_once(':').expect("a port");
        for (host, is_served) in hosts {
            let host = host.replace("PORT", port);
            for path in ["/connect", "/connect/status", "/connect/sign-in"] {
                let mut wire = Wire::to(&gateway).await;
                wire.write(format!(
                    "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
                ))
                .await;
                let answer = wire.read_to_end().await;
                let is_refused = answer.starts_with("HTTP/1.1 421 ");
                assert_eq!(!is_refused, is_served, "{host} {path}: {answer}");
                assert!(!is_refused || answer.contains("GATEWAY_PUBLIC_URL"));
            }
        }
        // The API has no browsers.
        let mut wire = Wire::to(&gateway).await;
        wire.write(
            "GET /v1/users/me HTTP/1.1\r\nhost: gateway.internal\r\nconnection: close\r\n\r\n",
        )
        .await;
        let answer = wire.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own() {
    let port = crate::servers::port::free();
    let listen = format!("127.0.0.1:{port}");
    let gateway = Gateway::start_with(&[("GATEWAY_METRICS_LISTEN", &listen)]).await;
    let answer = ask::get(&format!("{}/metrics", gateway.url)).send().await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let elsewhere = format!("http://{listen}");
    gateway.me(BOB).send().await;
    let answer = ask::get(&format!("{elsewhere}/metrics")).send().await;
    assert!(answer.text().contains("notion_auth_"), "{answer:?}");
    let answer = ask::get(&format!("{elsewhere}/v1/users/me"))
        .bearer(ANN)
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
