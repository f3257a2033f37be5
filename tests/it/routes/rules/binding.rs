//! Rules 5 to 8: a callback binds flow, browser and subject.

use http::{Method, StatusCode};
use notion_auth::{
    Keyring, oauth::PendingFlow, routes::FlowProblem, testing::MockNotion, testing::notion::Call,
    testing::notion::Fault,
};

use super::super::site::Site;

#[tokio::test(start_paused = true)]
async fn rule_05_the_subject_is_the_same_at_the_start_and_at_the_callback() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    for (who, status) in [
        (Some("ben"), StatusCode::FORBIDDEN),
        (None, StatusCode::UNAUTHORIZED),
    ] {
        let mut other = ann.clone();
        other.subject = who.map(Into::into);
        assert_eq!(other.get(&callback).await.status, status);
        assert_eq!(site.exchanges(), 0);
    }
    assert!(!site.is_connected("ben").await);
    // It was not used up.
    assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn rule_05_nothing_in_the_query_names_the_subject() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("?subject=ben").await;
    let callback = site.notion.consent(&page).expect("a callback");
    ann.get(&format!("{callback}&subject=ben")).await;
    assert!(site.is_connected("ann").await);
    assert!(!site.is_connected("ben").await);
}

#[tokio::test(start_paused = true)]
async fn rule_06_the_flow_is_a_cookie_that_only_the_host_reads() {
    let site = Site::new();
    let mut ann = site.browser("ann@example.com");
    let seen = ann.get("/notion/authorize?return_to=/secret-plans").await;
    let state = seen.location().split("state=").nth(1).expect("a state");
    assert!(state.len() >= 43, "256 bits");
    let cookies = seen.set_cookies();
    let [cookie] = cookies.as_slice() else {
        panic!("one cookie: {cookies:?}");
    };
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert!(pair.starts_with("__Host-notion-flow-"), "{pair}");
    assert!(pair.len() <= 1024, "{} bytes", pair.len());
    for told in [state, "ann", "secret-plans"] {
        assert!(!pair.contains(told), "{pair}");
    }
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    assert_eq!(
        attributes,
        [
            "HttpOnly",
            "Max-Age=600",
            "Path=/",
            "SameSite=Lax",
            "Secure"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn rule_06_on_http_the_cookie_has_no_prefix_and_is_not_secure() {
    let uri = "http://localhost:3000/notion/callback";
    let site = Site::with(MockNotion::builder().redirect_uri(uri), |builder| builder);
    let seen = site.browser("ann").get("/notion/authorize").await;
    let cookies = seen.set_cookies();
    assert!(cookies[0].starts_with("notion-flow-"), "{cookies:?}");
    assert!(!cookies[0].contains("Secure"), "{cookies:?}");
    assert!(cookies[0].contains("SameSite=Lax; "), "{cookies:?}");
}

#[test]
fn rule_06_http_elsewhere_than_on_this_machine_is_refused_at_the_start() {
    for uri in [
        "http://app.example/notion/callback",
        "http://10.0.0.1/notion/callback",
        "http://localhost.example/notion/callback",
    ] {
        let notion = MockNotion::builder().redirect_uri(uri).in_process();
        // The app's credentials refuse it before the routes do.
        assert!(
            notion.app_credentials().is_err() || {
                let provider = super::super::site::provider(&notion)
                    .build()
                    .expect("a provider");
                provider.routes().build().is_err()
            },
            "{uri}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rule_06_three_flows_are_live_at_most_and_the_oldest_goes() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let mut pages = Vec::new();
    for _ in 0..5 {
        pages.push(ann.authorize("").await);
        site.clock.advance(std::time::Duration::from_secs(2));
    }
    assert_eq!(ann.cookies.len(), 3);
    let mut done = Vec::new();
    for page in &pages {
        let callback = site.notion.consent(page).expect("a callback");
        let mut tab = ann.clone();
        done.push(tab.get(&callback).await.status == StatusCode::SEE_OTHER);
    }
    assert_eq!(done, [false, false, true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn rule_06_a_cookie_of_any_bytes_beside_it_hides_no_flow() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    for tossed in [
        "name=José",
        "x=\u{2028}",
        "\u{2000}__Host-notion-flow-AAAA=x",
        "=",
        ";;",
    ] {
        let page = ann.authorize("").await;
        let callback = site.notion.consent(&page).expect("a callback");
        let cookies = ann.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = format!("{tossed}; {}", cookies.join("; "));
        let seen = ann
            .send(Method::GET, &callback, &[("cookie", &cookies)])
            .await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{tossed} {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_06_what_does_not_fit_into_a_cookie_is_refused_and_a_long_subject_does() {
    let site = Site::new();
    let mut ann = site.browser(&"ann".repeat(10_000));
    let target = format!("?return_to=/{}", "x".repeat(511));
    let page = ann.authorize(&target).await;
    let (name, value) = ann.cookies.first_key_value().expect("a cookie");
    assert!(name.len() + value.len() <= 1024);
    let callback = site.notion.consent(&page).expect("a callback");
    assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);

    let uri = format!("https://app.example/{}/callback", "x".repeat(200));
    let site = Site::with(MockNotion::builder().redirect_uri(uri), |builder| builder);
    let seen = site
        .browser("ann")
        .get(&format!("/authorize{target}"))
        .await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.problems(), [FlowProblem::FlowTooLarge]);
    assert!(seen.set_cookies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn rule_06_another_key_opens_no_flow() {
    let site = Site::new();
    let other = site.replica_with_keys(Keyring::random());
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    ann.routes = other.routes.clone();
    assert_eq!(ann.get(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_06_a_cookie_does_not_open_under_another_name() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    ann.authorize("").await;
    let (_, first) = ann.cookies.pop_first().expect("a cookie");
    let page = ann.authorize("").await;
    let (name, _) = ann.cookies.pop_first().expect("a cookie");
    ann.cookies.insert(name, first);
    let callback = site.notion.consent(&page).expect("a callback");
    assert_eq!(ann.get(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_07_a_flow_is_used_once_also_on_another_replica_and_by_a_copied_cookie() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let mut copy = ann.clone();
    copy.routes = site.replica(|builder| builder).routes;
    assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.exchanges(), 1);
    let seen = copy.get(&callback).await;
    assert_eq!(seen.status, StatusCode::OK, "{seen:?}");
    assert!(seen.text.contains("Connected to"), "{seen:?}");
    assert!(copy.cookies.is_empty(), "its cookie is cleared too");
    assert_eq!(site.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_07_a_used_flow_stays_used_for_as_long_as_its_cookie_is_good() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let mut copy = ann.clone();
    assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
    site.clock.advance(PendingFlow::LIFETIME);
    assert_eq!(copy.get(&callback).await.status, StatusCode::OK);
    assert_eq!(site.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_07_who_comes_second_meanwhile_sees_what_the_first_one_did() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let slow = Fault::Delay(std::time::Duration::from_secs(2));
    site.notion.script(Call::TokenExchange, [slow]);
    let mut first = ann.clone();
    let (one, two) = tokio::join!(first.get(&callback), ann.get(&callback));
    assert_eq!(one.status, StatusCode::SEE_OTHER);
    assert_eq!(two.status, StatusCode::OK, "{two:?}");
    assert!(two.text.contains("Connected to"), "{two:?}");
    assert_eq!(site.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_07_a_callback_without_the_cookie_shows_what_there_is_and_changes_nothing() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    ann.cookies.clear();
    let seen = ann.get(&callback).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(
        seen.text.contains("/notion/authorize"),
        "the way to start again"
    );
    assert_eq!(site.exchanges(), 0);

    ann.connect(&site.notion, "Acme").await;
    let seen = ann.get(&callback).await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(seen.text.contains("Connected to Acme"), "{seen:?}");
    assert_eq!(site.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_07_a_link_scanner_burns_no_code() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    for method in [Method::HEAD, Method::OPTIONS, Method::POST] {
        let seen = ann.send(method, &callback, &[]).await;
        assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(site.exchanges(), 0);
    assert_eq!(ann.get(&callback).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn rule_08_a_state_is_the_flows_own_and_lives_ten_minutes() {
    let site = Site::new();
    let mut ann = site.browser("ann");
    let page = ann.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    let other = callback.replace("state=", "state=A");
    assert_eq!(ann.get(&other).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.exchanges(), 0);

    site.clock.advance(PendingFlow::LIFETIME);
    let mut in_time = ann.clone();
    site.clock.advance(std::time::Duration::from_secs(1));
    let late = ann.get(&callback).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.problems().last(), Some(&FlowProblem::ExpiredFlow));
    assert!(ann.cookies.is_empty());
    assert_eq!(site.exchanges(), 0);
    let page = in_time.authorize("").await;
    let callback = site.notion.consent(&page).expect("a callback");
    site.clock.advance(PendingFlow::LIFETIME);
    assert_eq!(in_time.get(&callback).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn rule_08_a_flow_of_another_app_or_from_the_future_is_none_of_this_one() {
    let uri = "https://app.example/other/callback";
    let other = Site::with(MockNotion::builder().redirect_uri(uri), |builder| builder);
    let site = Site::new();
    let mut ann = other.browser("ann");
    let page = ann.get("/other/authorize").await.location().to_owned();
    let callback = other.notion.consent(&page).expect("a callback");
    let callback = callback.replace("/other/", "/notion/");
    ann.routes = site.routes.clone();
    assert_eq!(ann.get(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.exchanges(), 0);

    let ahead = Site::new();
    ahead.clock.advance(std::time::Duration::from_secs(120));
    let mut ann = ahead.browser("ann");
    let page = ann.authorize("").await;
    let callback = ahead.notion.consent(&page).expect("a callback");
    ann.routes = site.routes.clone();
    assert_eq!(ann.get(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.problems().last(), Some(&FlowProblem::ExpiredFlow));
}
