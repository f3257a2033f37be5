//! Rule 11: what answers show, and who may disconnect.

use http::{Method, StatusCode};

use notion_auth::testing::MockNotion;

use super::super::site::{Seen, Site};

#[tokio::test(start_paused = true)]
async fn rule_11_answers_are_not_cached_and_send_no_referrer() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    for seen in [
        ann.get(&callback).await,
        ann.get(&callback).await,
        ann.get("/notion/authorize").await,
        ann.get("/notion/callback?error=access_denied").await,
    ] {
        assert_eq!(seen.head.headers["cache-control"], "no-store");
        assert_eq!(seen.head.headers["referrer-policy"], "no-referrer");
        assert!(!seen.text.contains("<form"), "{}", seen.text);
        assert_eq!(seen.head.headers["x-content-type-options"], "nosniff");
        if !seen.text.is_empty() {
            let policy = seen.head.headers["content-security-policy"]
                .to_str()
                .expect("text");
            assert!(policy.starts_with("default-src 'none'"), "{policy}");
            for part in ["<script", "src=", "@import", "url(", "http:", "https:"] {
                assert!(!seen.text.contains(part), "{part} {}", seen.text);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_11_only_the_status_page_has_a_form_and_sends_its_origin() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let policy = |seen: &Seen| seen.head.headers["referrer-policy"].clone();
    let status = ann.get("/notion/status").await;
    assert!(!status.text.contains("<form"), "{status:?}");
    assert_eq!(policy(&status), "no-referrer");

    ann.get(&callback).await;
    let status = ann.get("/notion/status").await;
    assert!(status.text.contains("<form method=\"post\""), "{status:?}");
    assert_eq!(policy(&status), "same-origin");
    let json = ann.send(Method::GET, "/notion/status", &[]).await;
    assert_eq!(policy(&json), "no-referrer");

    // The address of the callback has code and state, which no other request may name as its referrer.
    let again = ann.get(&callback).await;
    assert!(again.text.contains("Connected to"), "{again:?}");
    assert!(again.text.contains("/notion/status"), "{again:?}");
    assert!(!again.text.contains("<form"), "{again:?}");
    assert_eq!(policy(&again), "no-referrer");
}

#[tokio::test(start_paused = true)]
async fn rule_11_own_pages_of_the_application_have_the_same_referrer_policies() {
    let site = Site::with(MockNotion::builder(), |builder| {
        builder.renderer(|page| format!("{:?} {:?}", page.kind, page.disconnect))
    });
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    ann.get(&callback).await;
    for (target, text, policy) in [
        (
            "/notion/status",
            "Status Some(\"/notion/disconnect\")",
            "same-origin",
        ),
        (&*callback, "Callback None", "no-referrer"),
        ("/notion/nothing", "Problem(NotFound) None", "no-referrer"),
    ] {
        let seen = ann.get(target).await;
        assert_eq!(seen.text, text);
        assert_eq!(seen.head.headers["referrer-policy"], policy, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_11_text_from_outside_is_escaped() {
    const HOSTILE: &str = "\"><script>alert('x')</script>&";
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, HOSTILE).await;
    let status = ann.get("/notion/status").await;
    let escaped =
        "Connected to <bdi>&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;</bdi>";
    assert!(status.text.contains(escaped), "{}", status.text);
    let encoded: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    for target in [
        "/notion/status".to_owned(),
        format!("/notion/callback?error={encoded}&error_description={encoded}"),
        format!("/notion/callback?code={encoded}&state={encoded}"),
        format!("/notion/authorize?return_to={encoded}"),
        format!("/notion/{encoded}"),
    ] {
        let seen = ann.get(&target).await;
        assert!(!seen.text.contains("<script"), "{target} {}", seen.text);
        assert!(!seen.text.contains("alert('x')"), "{target} {}", seen.text);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_11_only_pages_of_the_site_disconnect() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let refused: [&[(&str, &str)]; 15] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://app.example"),
        ],
        &[("sec-fetch-site", "cross-site"), ("by-header", "")],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://app.example.evil.example")],
        &[("origin", "http://app.example")],
        &[("origin", "https://app.example:444"), ("by-header", "")],
        &[("origin", "null"), ("by-header", "")],
        // As a page with `no-referrer` sends its form, in a browser without fetch metadata.
        &[
            ("origin", "null"),
            ("referer", "https://app.example/notion/status"),
        ],
        &[("referer", "https://app.example/notion/status")],
        &[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "same-origin"),
        ],
    ];
    for headers in refused {
        let seen = ann.send(Method::POST, "/notion/disconnect", headers).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(site.is_connected("ann").await, "{headers:?}");
    }
    let accepted: [&[(&str, &str)]; 5] = [
        &[("sec-fetch-site", "same-origin"), ("origin", "null")],
        // As a page with `same-origin` sends its form, in a browser without fetch metadata.
        &[
            ("origin", "https://app.example"),
            ("referer", "https://app.example/notion/status"),
        ],
        &[("origin", "https://app.example")],
        &[("origin", "https://app.example:443")],
        &[("by-header", "")],
    ];
    for headers in accepted {
        site.clock.advance(std::time::Duration::from_secs(60));
        ann.connect(&site.notion, "Acme").await;
        let seen = ann.send(Method::POST, "/notion/disconnect", headers).await;
        assert!(seen.status.is_success(), "{headers:?} {seen:?}");
        assert!(!site.is_connected("ann").await, "{headers:?}");
    }
}
