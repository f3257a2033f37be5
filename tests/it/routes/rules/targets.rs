//! Rules 9 and 10: where a browser is sent, and where the routes are.

use http::{Method, StatusCode};

use super::super::site::Site;

/// What must not be a return target.
const ATTACKS: [&str; 34] = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "/%5Cevil.example",
    "/%5cevil.example",
    "/%2F/evil.example",
    "/%2f%2fevil.example",
    "/%2Fevil.example",
    "/\tevil",
    "/\revil",
    "/\nevil",
    "/\0evil",
    "/%09/evil.example",
    "/%0d%0aSet-Cookie:x=y",
    "/%00",
    "https:/evil.example",
    "https://evil.example",
    "http://evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://app.example@evil.example/",
    "user:password@evil.example",
    "evil.example",
    "",
    "?next=/x",
    "#x",
    "/x#y",
    "/./x",
    "/../x",
    "/x/../../y",
    "/%2e%2e/x",
    "/a//b",
];

#[tokio::test(start_paused = true)]
async fn rule_09_a_return_target_is_a_name_or_a_plain_path_of_this_site() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let encoded = |target: &str| {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", target)
            .finish()
    };
    let long = format!("/{}", "x".repeat(512));
    for target in ATTACKS
        .into_iter()
        .chain([long.as_str(), "/é", "/a b", "/%zz", "/%4"])
    {
        for route in ["authorize", "disconnect"] {
            let target = format!("/notion/{route}?{}", encoded(target));
            let seen = match route {
                "authorize" => ann.get(&target).await,
                _ => ann.post(&target).await,
            };
            assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{target}");
            assert!(!seen.text.contains("evil"), "{target} {}", seen.text);
        }
    }
    assert!(ann.cookies.is_empty(), "no flow was begun");
    let twice = ann.get("/notion/authorize?return_to=/a&return_to=/b").await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    for (target, location) in [
        ("/", "/?notion=connected"),
        ("/a/b/", "/a/b/?notion=connected"),
        ("/a?b=c%20d", "/a?b=c%20d&notion=connected"),
        ("billing", "/billing?tab=notion&notion=connected"),
        ("/?notion=disconnected&a=b", "/?a=b&notion=connected"),
    ] {
        let page = ann.authorize(&format!("?{}", encoded(target))).await;
        let callback = site.notion.consent(&page).expect("a callback");
        assert_eq!(ann.get(&callback).await.location(), location);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_09_a_return_target_is_checked_again_at_the_callback() {
    let site = Site::new();
    let named =
        site.replica(|builder| builder.return_target("elsewhere", "https://other.example/"));
    let mut ann = named.browser("ann");
    let page = ann.authorize("?return_to=elsewhere").await;
    let callback = site.notion.consent(&page).expect("a callback");
    // A replica that has no such name.
    ann.routes = site.routes.clone();
    assert_eq!(
        ann.get(&callback).await.location(),
        "/settings?notion=connected"
    );
}

#[tokio::test(start_paused = true)]
async fn rule_10_the_redirect_uri_is_the_configured_one_whatever_the_request_says() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example"),
    ];
    let seen = ann.send(Method::GET, "/notion/authorize", &headers).await;
    let location = seen.location();
    assert!(location.contains("redirect_uri=https%3A%2F%2Fapp.example%2Fnotion%2Fcallback"));
    assert!(!location.contains("evil"));
}

#[tokio::test(start_paused = true)]
async fn rule_10_paths_have_exactly_the_mount_point_or_none() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    for path in ["/notion/status", "/status"] {
        assert_eq!(ann.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in [
        "/other/status",
        "/notion/notion/status",
        "/notionstatus",
        "//status",
        "/notion//status",
        "/notion/status/",
        "/notion/status/x",
        "/notion",
        "/",
    ] {
        assert_eq!(ann.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
