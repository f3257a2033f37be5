//! Rule 11: what answers show, and who may disconnect.

use http::{Method, StatusCode};

use super::super::site::Site;

#[tokio::test(start_paused = true)]
async fn rule_11_answers_are_not_stored_and_tell_nobody_where_they_were() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    for seen in [
        ann.get(&callback).await,
        ann.get(&callback).await,
        ann.get("/notion/status").await,
        ann.get("/notion/authorize").await,
        ann.get("/notion/callback?error=access_denied").await,
    ] {
        assert_eq!(seen.head.headers["cache-control"], "no-store");
        assert_eq!(seen.head.headers["referrer-policy"], "no-referrer");
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
async fn rule_11_what_comes_from_outside_is_escaped() {
    const HOSTILE: &str = "\"><script>alert('x')</script>&";
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, HOSTILE).await;
    let status = ann.get("/notion/status").await;
    let escaped = "Connected to &quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;";
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
async fn rule_11_only_the_hosts_own_pages_disconnect() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.connect(&site.notion, "Acme").await;
    let refused: [&[(&str, &str)]; 11] = [
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
    ];
    for headers in refused {
        let seen = ann.send(Method::POST, "/notion/disconnect", headers).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(site.is_connected("ann").await, "{headers:?}");
    }
    let accepted: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-site", "same-origin")],
        &[("origin", "https://app.example")],
        &[("origin", "https://app.example:443")],
        &[("by-header", "")],
    ];
    for headers in accepted {
        ann.connect(&site.notion, "Acme").await;
        let seen = ann.send(Method::POST, "/notion/disconnect", headers).await;
        assert!(seen.status.is_success(), "{headers:?} {seen:?}");
        assert!(!site.is_connected("ann").await, "{headers:?}");
    }
}
