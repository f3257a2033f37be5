//! Arbitrary queries, cookies and return targets cause no panic, and nothing is accepted that must be refused.

use http::{Method, StatusCode};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;

use super::site::Site;

/// 2,000 unless `ROUTES_CASES` says otherwise, as `.ci/run` does.
fn cases() -> u32 {
    let set = std::env::var("ROUTES_CASES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// Text made of pieces of attacks and of arbitrary characters.
fn pieces(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(of).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => "[ -~]{0,12}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

const QUERIES: &[&str] = &[
    "code=",
    "state=",
    "error=",
    "access_denied",
    "&",
    "=",
    "%",
    "%00",
    "%26",
    "+",
    "x",
    "?",
    "#",
    ";",
    "code=x&state=y",
    "&code=z",
    "&state=",
    "return_to=",
    "/",
    "//",
    "%2F",
    "\\",
];
const COOKIES: &[&str] = &[
    "__Host-notion-flow-",
    "notion-flow-",
    "=",
    ";",
    "; ",
    ",",
    "\"",
    "%",
    "AAAA",
    "x",
    "A",
    " ",
    "\t",
];
const TARGETS: &[&str] = &[
    "/",
    "//",
    "\\",
    "%2F",
    "%2f",
    "%5C",
    "%5c",
    "%2e",
    ".",
    "..",
    "%",
    "%25",
    "@",
    ":",
    "?",
    "#",
    "&",
    "=",
    "http:",
    "https:",
    "javascript:",
    "evil.example",
    "a",
    "\t",
    "\r",
    "\n",
    "\0",
    "é",
    " ",
    "%00",
    "%0a",
];

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What may stand in a request line.
fn as_query(text: &str) -> String {
    text.chars()
        .filter(|it| it.is_ascii_graphic() && !"#\"<>`{}|\\^".contains(*it))
        .collect()
}

/// Where a browser goes that is on a page of the site.
fn followed(location: &str) -> url::Url {
    let page = url::Url::parse("https://app.example/notion/callback").expect("a URL");
    page.join(location).expect("a location")
}

fn world() -> (Runtime, Site) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build();
    (runtime.expect("a runtime"), Site::new())
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn callback_without_a_flow_is_refused() {
    let (runtime, site) = world();
    let strategy = (pieces(QUERIES), pieces(COOKIES));
    let result = runner().run(&strategy, |(query, cookie)| {
        let mut ann = site.browser("ann");
        let target = format!("/notion/callback?{}", as_query(&query));
        let cookie: String = cookie.chars().filter(|it| !it.is_control()).collect();
        let headers = [("cookie", cookie.as_str()), ("accept", "text/html")];
        let seen = runtime.block_on(ann.send(Method::GET, &target, &headers));
        prop_assert!(seen.status.is_client_error() || seen.status == StatusCode::BAD_GATEWAY);
        prop_assert!(seen.set_cookies().is_empty());
        prop_assert_eq!(site.exchanges(), 0);
        site.events.lock().unwrap().clear();
        Ok(())
    });
    result.unwrap();
}

#[test]
fn flow_with_an_altered_cookie_or_state_is_not_completed() {
    let (runtime, site) = world();
    let mut ann = site.browser("ann");
    let page = runtime.block_on(ann.authorize(""));
    let callback = site.notion.consent(&page).expect("a callback");
    let (before, state) = callback.split_once("state=").expect("a state");
    let (name, sealed) = ann.cookies.first_key_value().expect("a cookie");
    let strategy = (any::<bool>(), any::<Index>(), "[A-Za-z0-9_-]");
    let result = runner().run(&strategy, |(in_state, at, other)| {
        let changed = |text: &str| {
            let at = at.index(text.len());
            format!("{}{other}{}", &text[..at], &text[at + 1..])
        };
        let (state, sealed) = if in_state {
            (changed(state), sealed.clone())
        } else {
            (state.to_owned(), changed(sealed))
        };
        let target = format!("{before}state={state}");
        // The character may be what was there.
        if target == callback && &sealed == ann.cookies.get(name).expect("a cookie") {
            return Ok(());
        }
        let mut browser = ann.clone();
        browser.cookies.insert(name.clone(), sealed);
        let seen = runtime.block_on(browser.get(&target));
        prop_assert_eq!(seen.status, StatusCode::BAD_REQUEST);
        prop_assert_eq!(site.exchanges(), 0);
        site.events.lock().unwrap().clear();
        Ok(())
    });
    result.unwrap();
    assert_eq!(
        runtime.block_on(ann.get(&callback)).status,
        StatusCode::SEE_OTHER
    );
}

#[test]
fn no_return_target_leads_to_another_site() {
    let (runtime, site) = world();
    let result = runner().run(&pieces(TARGETS), |target| {
        let mut ann = site.browser("ann");
        let headers = [("sec-fetch-site", "same-origin"), ("accept", "text/html")];
        let path = format!("/notion/disconnect?return_to={}", encoded(&target));
        let seen = runtime.block_on(ann.send(Method::POST, &path, &headers));
        if seen.status == StatusCode::SEE_OTHER {
            let reached = followed(seen.location());
            prop_assert_eq!(
                reached.origin().ascii_serialization(),
                "https://app.example"
            );
            // What the check has read is what a browser makes of it.
            prop_assert_eq!(reached.path(), target.split('?').next().unwrap_or_default());
        } else {
            prop_assert_eq!(seen.status, StatusCode::BAD_REQUEST);
        }
        site.events.lock().unwrap().clear();
        Ok(())
    });
    result.unwrap();
}
