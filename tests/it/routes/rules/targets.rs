//! Rules 9 and 10: return targets, and the paths of the routes.

use http::{Method, StatusCode};

use notion_auth::{
    AuthError, NotionOAuthService, routes::NotionOAuthServiceBuilder, testing::MockNotion,
};

use super::super::site::{Site, provider};

/// Return targets that must be refused.
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
async fn rule_09_return_target_is_a_name_or_a_plain_path_of_this_site() {
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
        for route in ["authorize", "status", "disconnect"] {
            let target = format!("/notion/{route}?{}", encoded(target));
            let seen = match route {
                "disconnect" => ann.post(&target).await,
                _ => ann.get(&target).await,
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
async fn rule_09_return_target_is_checked_again_at_the_callback() {
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
async fn rule_10_redirect_uri_does_not_depend_on_the_request() {
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
async fn rule_10_routes_answer_at_the_mount_path_or_without_it() {
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

#[tokio::test(start_paused = true)]
async fn rule_10_callback_is_answered_at_the_path_of_the_redirect_uri() {
    let uri = "https://app.example/oauth/notion/done";
    let site = Site::with(MockNotion::builder().redirect_uri(uri), |builder| {
        builder.mount_path("/notion")
    });
    let mut ann = site.browser("ann");
    // Whole, without the path of a router, and without a prefix that a proxy has removed.
    for path in ["/oauth/notion/done", "/notion/done", "/done"] {
        let page = ann.authorize("").await;
        assert!(page.contains("redirect_uri=https%3A%2F%2Fapp.example%2Foauth%2Fnotion%2Fdone"));
        let callback = site.notion.consent(&page).expect("a callback");
        let callback = callback.replace("/oauth/notion/done", path);
        let seen = ann.get(&callback).await;
        assert_eq!(seen.location(), "/settings?notion=connected", "{path}");
    }
    let status = ann.get("/notion/status").await;
    assert!(
        status.text.contains("action=\"/notion/disconnect\""),
        "{status:?}"
    );
    for path in [
        "/notion/callback",
        "/callback",
        "/oauth/notion/status",
        "/oauth/notion/done/",
        "/oauth//done",
        "//done",
        "/one",
    ] {
        assert_eq!(ann.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_10_routes_answer_without_a_prefix_that_a_proxy_removed() {
    let uri = "https://app.example/tools/notion/callback";
    let site = Site::with(MockNotion::builder().redirect_uri(uri), |builder| builder);
    let mut ann = site.browser("ann");
    for path in ["/tools/notion/status", "/notion/status", "/status"] {
        let seen = ann.get(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        // As the browser sees it.
        assert!(seen.text.contains("href=\"/tools/notion/authorize\""));
    }
    for path in ["/tools/status", "/ols/notion/status", "/ion/status"] {
        let seen = ann.send(Method::GET, path, &[]);
        assert_eq!(seen.await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_10_redirect_uri_at_the_root_is_answered() {
    let uri = "https://app.example/";
    let site = Site::with(MockNotion::builder().redirect_uri(uri), |builder| {
        builder.mount_path("/notion/")
    });
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    assert_eq!(
        ann.get(&callback).await.location(),
        "/settings?notion=connected"
    );
}

fn build(
    redirect_uri: &str,
    set: impl FnOnce(NotionOAuthServiceBuilder) -> NotionOAuthServiceBuilder,
) -> Result<NotionOAuthService, AuthError> {
    let notion = MockNotion::builder()
        .redirect_uri(redirect_uri)
        .in_process();
    let provider = provider(&notion).build().expect("a provider");
    let builder = provider.routes();
    set(builder).build()
}

#[test]
fn rule_10_paths_that_browsers_misread_are_refused_at_build() {
    for uri in [
        "https://app.example//callback",
        "https://app.example//evil.example/callback",
        "https://app.example/\\evil.example/callback",
        "https://app.example//done",
    ] {
        for mount_path in [None, Some("/notion")] {
            let set = |builder: NotionOAuthServiceBuilder| match mount_path {
                Some(path) => builder.mount_path(path),
                None => builder,
            };
            let error = build(uri, set).expect_err(uri);
            assert!(error.is_configuration());
            assert!(error.to_string().contains("begins with `//`"), "{error}");
        }
    }
    let uri = "https://app.example/done";
    let error = build(uri, |builder| builder).expect_err("no mount path");
    assert!(error.to_string().contains("mount_path"), "{error}");
    for path in [
        "",
        "notion",
        "//notion",
        "/\\notion",
        "//evil.example/notion",
        "https://app.example/notion",
        "/notion?x",
        "/notion#x",
        "/a/../b",
        "/a b",
        "//",
        "/notion//",
    ] {
        let error = build(uri, |builder| builder.mount_path(path)).expect_err(path);
        assert!(error.to_string().contains("mount_path"), "{error}");
    }
    for path in ["/", "/notion", "/notion/", "/a/b"] {
        build(uri, |builder| builder.mount_path(path)).expect(path);
    }
}

#[test]
fn rule_10_redirect_uri_must_not_be_another_route() {
    for name in ["authorize", "status", "disconnect"] {
        let uri = format!("https://app.example/oauth/{name}");
        let error = build(&uri, |builder| builder.mount_path("/notion")).expect_err(name);
        assert!(error.to_string().contains("other routes"), "{error}");
    }
}
