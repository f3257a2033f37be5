//! Rules 20 to 22: how flows start, and what one visitor can cause.

use std::time::Duration;

use http::{Method, StatusCode};
use notion_auth::{
    Event, Subject,
    routes::FlowProblem,
    testing::{
        MockNotion,
        notion::{Call, Fault},
    },
};

use super::super::site::{Browser, HTML, JSON, Seen, Site};

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn open(browser: &mut Browser, target: &str, headers: Headers<'_>) -> Seen {
    let headers = [headers, &[("accept", HTML)]].concat();
    browser.send(Method::GET, target, &headers).await
}

#[tokio::test(start_paused = true)]
async fn rule_20_prefetches_get_503_and_use_up_nothing() {
    const PREFETCHES: [(&str, &str); 16] = [
        ("sec-purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch; anonymous-client-ip"),
        ("sec-purpose", "PreFetch"),
        ("sec-purpose", "unknown, prefetch"),
        ("sec-purpose", "\"prefetch\""),
        ("sec-purpose", "prerender"),
        ("purpose", "prefetch"),
        ("Purpose", "Prefetch"),
        ("x-purpose", "preview"),
        ("x-purpose", "prefetch"),
        ("X-Moz", "prefetch"),
        ("x-sec-purpose", "prefetch"),
        ("next-router-prefetch", "1"),
        ("next-router-segment-prefetch", "/_tree"),
        ("x-middleware-prefetch", "1"),
    ];
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let cookies = ann.cookies.clone();
    let denial = format!("{}&error=access_denied", callback.replace("code=", "c="));
    for header in PREFETCHES {
        for target in ["/notion/authorize", &callback, &denial] {
            let seen = open(&mut ann, target, &[header]).await;
            assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE, "{header:?}");
            assert!(seen.set_cookies().is_empty(), "{header:?}");
            let headers = [header, ("accept", JSON)];
            let seen = ann.send(Method::GET, target, &headers).await;
            assert_eq!(seen.json()["error"], "prefetch", "{header:?}");
        }
    }
    assert_eq!(ann.cookies, cookies);
    assert_eq!(site.exchanges(), 0);
    assert!(site.events.lock().unwrap().is_empty());
    for header in [
        ("sec-purpose", "speculation"),
        ("purpose", "no-prefetch"),
        ("purpose", "prefetcher"),
        ("sec-purpose", ""),
    ] {
        let mut other = site.browser("ann");
        let seen = open(&mut other, "/notion/authorize", &[header]).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{header:?}");
    }
    // The flow can still be completed.
    let seen = open(&mut ann, &callback, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn rule_20_embedded_and_fetched_requests_start_and_complete_nothing() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let cookies = ann.cookies.clone();
    let refused: [Headers<'_>; 12] = [
        &[("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors")],
        &[
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[("sec-fetch-dest", "frame")],
        &[("sec-fetch-dest", "fencedframe")],
        &[("sec-fetch-dest", "object")],
        &[("sec-fetch-dest", "embed")],
        &[("sec-fetch-dest", "script")],
        &[("sec-fetch-dest", "style")],
        &[
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "no-cors")],
        &[("sec-fetch-dest", "empty")],
        &[
            ("sec-fetch-dest", "document"),
            ("sec-fetch-dest", "document"),
        ],
    ];
    for headers in refused {
        for target in ["/notion/authorize", &callback] {
            let seen = open(&mut ann, target, headers).await;
            assert_eq!(seen.status, StatusCode::FORBIDDEN, "{headers:?}");
            assert!(seen.set_cookies().is_empty(), "{headers:?}");
            assert_eq!(site.problems().last(), Some(&FlowProblem::NotOpened));
        }
    }
    assert_eq!(ann.cookies, cookies);
    assert_eq!(site.exchanges(), 0);
    let accepted: [Headers<'_>; 2] = [
        &[
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
        ],
        // A service worker that passes a navigation on.
        &[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "navigate")],
    ];
    for headers in accepted {
        let mut other = site.browser("ann");
        let seen = open(&mut other, "/notion/authorize", headers).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_20_start_from_another_site_must_be_confirmed() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let asked: [Headers<'_>; 12] = [
        &[("sec-fetch-site", "cross-site")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("referer", "https://app.example/settings"),
        ],
        &[("sec-fetch-site", "Same-Origin")],
        &[("sec-fetch-site", "")],
        &[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[("referer", "https://evil.example/")],
        &[("referer", "https://app.example.evil.example/")],
        &[("referer", "http://app.example/")],
        &[("referer", "https://app.example:444/")],
        &[("referer", "android-app://com.example/")],
        &[("origin", "https://evil.example")],
        &[("origin", "null"), ("referer", "https://app.example/")],
    ];
    for headers in asked {
        let target = "/notion/authorize?return_to=billing";
        let seen = open(&mut ann, target, headers).await;
        assert_eq!(seen.status, StatusCode::OK, "{headers:?}");
        assert!(seen.set_cookies().is_empty(), "{headers:?}");
        assert!(
            seen.text.contains("Connect Notion to app.example?"),
            "{seen:?}"
        );
        let link = "href=\"/notion/authorize?return_to=billing\"";
        assert_eq!(seen.text.matches(link).count(), 1, "{seen:?}");
        let headers = [headers, &[("accept", JSON)]].concat();
        let seen = ann.send(Method::GET, target, &headers).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(seen.json()["error"], "cross_site", "{headers:?}");
        assert!(seen.set_cookies().is_empty(), "{headers:?}");
    }
    assert!(ann.cookies.is_empty());
    let started: [Headers<'_>; 7] = [
        // The link of that page, with fetch metadata and without.
        &[("sec-fetch-site", "same-origin")],
        &[],
        &[("referer", "https://app.example/notion/authorize")],
        &[("referer", "https://app.example:443/settings")],
        // A page with another subdomain or port, and the address bar.
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[
            ("sec-fetch-site", "same-origin"),
            ("referer", "https://evil.example/"),
        ],
    ];
    for headers in started {
        let mut other = site.browser("ann");
        let seen = open(&mut other, "/notion/authorize", headers).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_20_confirmation_needs_no_session_cookie_and_checks_the_return_target() {
    let site = Site::new();
    let mut stranger = site.stranger();
    let cross_site = [("sec-fetch-site", "cross-site")];
    let seen = open(&mut stranger, "/notion/authorize", &cross_site).await;
    assert_eq!(seen.status, StatusCode::OK);
    let target = "/notion/authorize?return_to=//evil.example";
    let seen = open(&mut stranger, target, &cross_site).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(!seen.text.contains("evil"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn rule_21_failed_exchange_of_a_visitor_pauses_no_refresh() {
    let site = Site::new();
    site.browser("ann").connect(&site.notion, "Acme").await;
    for (fault, status) in [
        (Fault::refuse(401, "invalid_client"), 500),
        (Fault::refuse(400, "unauthorized_client"), 500),
        (Fault::refuse(400, "invalid_grant"), 502),
        (Fault::StatusBefore(429), 502),
        (Fault::StatusBefore(503), 502),
        (Fault::StatusBefore(404), 500),
    ] {
        let mut visitor = site.browser(&format!("visitor of {fault:?}"));
        site.notion.script(Call::TokenExchange, [fault.clone()]);
        let failed = visitor.connect(&site.notion, "Beta").await;
        assert_eq!(failed.status.as_u16(), status, "{fault:?} {failed:?}");
        let refreshed = site.provider.refresh(&"ann".into()).await;
        refreshed.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    }
    let events = site.events.lock().unwrap();
    assert!(!events.contains(&Event::AppRejected), "{events:?}");
}

/// Starts a flow, and returns its callback.
async fn start(site: &Site, browser: &mut Browser) -> String {
    let page = browser.authorize("").await;
    site.notion.consent(&page).expect("a callback")
}

#[tokio::test(start_paused = true)]
async fn rule_22_a_subject_exchanges_five_codes_a_minute() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    for _ in 0..5 {
        let callback = start(&site, &mut ann).await;
        assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
        site.clock.advance(Duration::from_secs(2));
    }
    let callback = start(&site, &mut ann).await;
    let cookies = ann.cookies.clone();
    let seen = ann.get(&callback).await;
    assert_eq!(seen.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(seen.head.headers["retry-after"], "50");
    assert!(seen.text.contains("Please wait a minute"), "{seen:?}");
    let json = ann.send(Method::GET, &callback, &[("accept", JSON)]).await;
    assert_eq!(json.json()["error"], "too_many_attempts");
    assert_eq!(json.head.headers["retry-after"], "50");
    assert_eq!(site.exchanges(), 5);
    let reported = Event::FlowFailed {
        subject: Some(Subject::new("ann")),
        problem: FlowProblem::TooManyAttempts,
    };
    assert!(site.events.lock().unwrap().contains(&reported));

    // Another subject is not affected, and the flow is not used up.
    let mut ben = site.browser("ben");
    let of_ben = start(&site, &mut ben).await;
    assert_eq!(ben.get(&of_ben).await.status, StatusCode::SEE_OTHER);
    assert_eq!(ann.cookies, cookies);
    site.clock.advance(Duration::from_secs(49));
    let seen = ann.get(&callback).await;
    assert_eq!(seen.head.headers["retry-after"], "1");
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn rule_22_callback_that_exchanges_nothing_is_not_counted() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let callback = start(&site, &mut ann).await;
    let used = ann.clone();
    ann.get(&callback).await;
    for _ in 0..20 {
        let seen = used.clone().get(&callback).await;
        assert_eq!(seen.status, StatusCode::OK, "{seen:?}");
        ann.get("/notion/callback?code=x&state=y").await;
        ann.get("/notion/callback?error=access_denied").await;
    }
    for _ in 0..4 {
        let callback = start(&site, &mut ann).await;
        assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_22_anonymous_visitors_exchange_sixty_codes_a_minute_in_all() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder.name_subject(|_, credentials| credentials.bot_id().map(Subject::new))
    });
    for _ in 0..60 {
        let mut visitor = site.stranger();
        let callback = start(&site, &mut visitor).await;
        assert_eq!(visitor.get(&callback).await.status, StatusCode::SEE_OTHER);
    }
    let mut visitor = site.stranger();
    let callback = start(&site, &mut visitor).await;
    let seen = visitor.get(&callback).await;
    assert_eq!(seen.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(seen.head.headers["retry-after"], "60");
    assert_eq!(site.exchanges(), 60);
    // Visitors who are signed in are not affected.
    let mut ann = site.browser("ann");
    let of_ann = start(&site, &mut ann).await;
    assert_eq!(ann.get(&of_ann).await.status, StatusCode::SEE_OTHER);
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(visitor.get(&callback).await.status, StatusCode::SEE_OTHER);
}
