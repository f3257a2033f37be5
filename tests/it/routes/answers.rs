//! Whatever goes wrong has an answer of its own, changes nothing, and is told.

use http::{Method, StatusCode};
use notion_auth::{Event, routes::FlowProblem};

use super::site::{HTML, JSON, Site};
use crate::faulty_store::FaultyStore;

#[tokio::test(start_paused = true)]
async fn each_problem_has_its_own_answer_and_changes_nothing() {
    use FlowProblem as P;

    let long = format!("/notion/callback?code={}", "x".repeat(5000));
    let table: [(&str, &str, u16, P); 13] = [
        (
            "GET",
            "/notion/callback?error=access_denied&state=",
            403,
            P::Denied,
        ),
        (
            "GET",
            "/notion/callback?error=access_denied",
            403,
            P::Denied,
        ),
        (
            "GET",
            "/notion/callback?error=server_error&state=x",
            400,
            P::AuthorizationFailed,
        ),
        ("GET", "/notion/callback?state=x", 400, P::MissingCode),
        ("GET", "/notion/callback?code=", 400, P::MissingCode),
        ("GET", "/notion/callback?code=x", 400, P::MissingState),
        (
            "GET",
            "/notion/callback?code=x&state=",
            400,
            P::MissingState,
        ),
        (
            "GET",
            "/notion/callback?code=x&code=y&state=z",
            400,
            P::DuplicateParameter,
        ),
        (
            "GET",
            "/notion/callback?code=x&state=z",
            400,
            P::UnknownFlow,
        ),
        ("GET", &long, 414, P::QueryTooLong),
        (
            "HEAD",
            "/notion/callback?code=x&state=z",
            405,
            P::MethodNotAllowed,
        ),
        ("GET", "/notion/disconnect", 405, P::MethodNotAllowed),
        ("GET", "/notion/other", 404, P::NotFound),
    ];
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.authorize("").await;
    let cookies = ann.cookies.clone();
    for (method, target, status, problem) in table {
        for accept in [HTML, JSON] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let seen = ann.send(method, target, &[("accept", accept)]).await;
            assert_eq!(seen.status.as_u16(), status, "{target} {seen:?}");
            if accept == JSON {
                assert_eq!(seen.json()["error"], problem.code(), "{target}");
                assert_eq!(seen.json()["message"], problem.to_string(), "{target}");
            } else {
                let text = problem.to_string().replace('\'', "&#39;");
                assert!(seen.text.contains(&text), "{target} {}", seen.text);
            }
            let told = site.problems();
            assert_eq!(told.last(), Some(&problem), "{target}");
        }
    }
    assert_eq!(ann.cookies, cookies, "the flow under way is still there");
    assert_eq!(site.exchanges(), 0);
    assert!(!site.is_connected("ann").await);
}

#[tokio::test(start_paused = true)]
async fn wrong_method_is_answered_with_the_allowed_one() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    for (method, target, allowed) in [
        (Method::HEAD, "/notion/callback", "GET"),
        (Method::POST, "/notion/authorize", "GET"),
        (Method::HEAD, "/notion/status", "GET"),
        (Method::DELETE, "/notion/disconnect", "POST"),
    ] {
        let seen = ann.send(method, target, &[]).await;
        assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(seen.head.headers["allow"], allowed, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_with_its_state_ends_the_flow_and_goes_back_where_it_began() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("?return_to=billing").await;
    let state = page.split("state=").nth(1).expect("a state").to_owned();
    let seen = ann
        .get(&format!(
            "/notion/callback?error=access_denied&state={state}"
        ))
        .await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert!(seen.text.contains("/billing?tab=notion"), "{}", seen.text);
    assert!(
        seen.text.contains("/notion/authorize?return_to=billing"),
        "{}",
        seen.text
    );
    assert!(ann.cookies.is_empty());
}

#[tokio::test(start_paused = true)]
async fn garbage_cookies_are_no_flow() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let name = ann.cookies.keys().next().expect("a cookie").clone();
    for garbage in [
        "",
        "x",
        "%00",
        "=;=;",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        ann.cookies.insert(name.clone(), garbage.to_owned());
        let seen = ann.get(&callback).await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{garbage:?} {seen:?}");
    }
    assert_eq!(site.problems().last(), Some(&FlowProblem::UnknownFlow));
    assert_eq!(site.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn anonymous_visitor_is_asked_to_sign_in() {
    let site = Site::new();
    let mut stranger = site.stranger();
    for target in ["/notion/authorize", "/notion/status"] {
        let seen = stranger.get(target).await;
        assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{target}");
        assert!(seen.text.contains("Sign in"), "{target}");
    }
    let seen = stranger.post("/notion/disconnect").await;
    assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
    let told = site.events.lock().unwrap().clone();
    assert!(
        told.iter().all(|event| matches!(
            event,
            Event::FlowFailed {
                subject: None,
                problem: FlowProblem::NoSubject
            }
        )),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_host_can_have_pages_of_its_own() {
    let site = Site::new();
    let own = site.replica(|builder| {
        builder.renderer(|page| format!("<b>{:?} {}</b>", page.problem, page.connect))
    });
    let mut ann = own.browser("ann");
    let seen = ann.get("/notion/callback?error=access_denied").await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert_eq!(seen.text, "<b>Some(Denied) /notion/authorize</b>");
    assert_eq!(seen.head.headers["cache-control"], "no-store");
    let policy = &seen.head.headers["content-security-policy"];
    assert_eq!(policy, "frame-ancestors 'none'");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_uses_up_nothing() {
    let site = Site::new();
    let down = FaultyStore::memory();
    down.hooks.set_down(true);
    let provider = super::site::provider(&site.notion)
        .store(down)
        .clock(site.clock.clone())
        .build()
        .expect("a provider");
    let routes = provider.routes().build().expect("routes");
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let whole = ann.routes.clone();
    ann.routes = routes;
    let seen = ann.get(&callback).await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE, "{seen:?}");
    assert_eq!(seen.head.headers["retry-after"], "1");
    assert_eq!(site.exchanges(), 0);
    ann.routes = whole;
    assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
}
