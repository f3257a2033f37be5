//! `Retry-After` as servers and proxies write it, for API calls and OAuth calls.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use http::{Request, Response, StatusCode};
use notion_auth::{
    NotionAppCredentials, NotionAuthProvider, RetryRateLimited, credentials::AccessToken,
};
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::{Body, get};

const SENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Values of the header, and the pause in milliseconds. `LONGEST` is the maximum pause.
const CASES: [(&[&str], u64); 34] = [
    (&["7"], 7_000),
    (&[" 7\t"], 7_000),
    (&["0"], 0),
    (&["2.5"], 2_500),
    (&["0.25"], 250),
    (&["Sun, 06 Nov 1994 08:49:50 GMT"], 13_000),
    (&["Sunday, 06-Nov-94 08:49:50 GMT"], 13_000),
    (&["Sun Nov  6 08:49:50 1994"], 13_000),
    // In the past, or now.
    (&["Sun, 06 Nov 1994 08:49:37 GMT"], 0),
    (&["Sat, 05 Nov 1994 08:49:37 GMT"], 0),
    (&["Sat, 05 Nov 1994 08:49:36 GMT"], LONGEST),
    (&["Thu, 01 Jan 1970 00:00:00 GMT"], LONGEST),
    (&["3", "11", "7"], 11_000),
    (&["", "7"], 7_000),
    (&["5, 7"], 7_000),
    (&["7,5"], 7_000),
    (&["5 ,, 0.5,"], 5_000),
    (&["5, 7", "6"], 7_000),
    (&["5, soon"], LONGEST),
    (&["5, 99999999999"], LONGEST),
    (&[","], LONGEST),
    (&["-1"], LONGEST),
    (&["soon"], LONGEST),
    (&["NaN"], LONGEST),
    (&["1e1"], LONGEST),
    (&["7 seconds"], LONGEST),
    (&["Sun, 99 Nov 1994 08:49:50 GMT"], LONGEST),
    (&["7", "soon"], LONGEST),
    (&["86401"], LONGEST),
    (&["99999999999"], LONGEST),
    (&["18446744073709551616"], LONGEST),
    (&["99999999999999999999999999999999999999999.5"], LONGEST),
    (&["Fri, 31 Dec 9999 23:59:59 GMT"], LONGEST),
    (&["s\u{fc}ndig"], LONGEST),
];

const LONGEST: u64 = u64::MAX;
const A_MINUTE: Duration = Duration::from_secs(60);

fn limited(values: &[&str]) -> Response<Body> {
    let mut response = Response::builder()
        .status(StatusCode::TOO_MANY_REQUESTS)
        .header("date", SENT);
    for value in values {
        response = response.header("retry-after", value.as_bytes());
    }
    response.body(Body::default()).expect("a response")
}

/// Returns the final status of an API call that is limited once, and its pause on paused time.
async fn api_call(values: &[&str]) -> (StatusCode, Duration) {
    let was_limited = AtomicBool::new(false);
    let answer = |_: Request<Body>| {
        let response = match was_limited.swap(true, Ordering::Relaxed) {
            false => limited(values),
            true => Response::default(),
        };
        async { Ok::<_, Infallible>(response) }
    };
    let client = ServiceBuilder::new()
        .retry(RetryRateLimited::new())
        .service_fn(answer);
    let begun = Instant::now();
    let response = client.oneshot(get("https://api.notion.com")).await;
    let Ok(response) = response;
    (response.status(), begun.elapsed())
}

/// Returns the pause that an OAuth call reports.
async fn oauth_call(values: &[&str]) -> Option<Duration> {
    let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
    let transport = service_fn(move |_| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let response = limited(&values);
        async { Ok::<_, Infallible>(response) }
    });
    let app = NotionAppCredentials::builder()
        .client_id("id")
        .client_secret("secret");
    let provider = NotionAuthProvider::builder()
        .app(app.build().expect("good credentials"))
        .transport(transport)
        .build()
        .expect("good settings");
    let token = AccessToken::new("ntn_any");
    let error = provider
        .oauth()
        .revoke(&token)
        .await
        .expect_err("it is limited");
    assert!(error.is_rate_limited(), "{error}");
    error.retry_after()
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_read_as_seconds_decimals_and_dates() {
    for (values, pause) in CASES {
        let (api, oauth) = match pause {
            LONGEST => (A_MINUTE, Duration::from_secs(3600)),
            pause => (Duration::from_millis(pause), Duration::from_millis(pause)),
        };
        let (status, took) = api_call(values).await;
        assert_eq!(status, StatusCode::OK, "{values:?}");
        assert_took(took, api);
        assert_eq!(oauth_call(values).await, Some(oauth), "{values:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_above_the_maximum_is_not_shortened() {
    for value in ["61", "86400", "Mon, 07 Nov 1994 08:49:37 GMT"] {
        let (status, took) = api_call(&[value]).await;
        let expected = (StatusCode::TOO_MANY_REQUESTS, Duration::ZERO);
        assert_eq!((status, took), expected, "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_that_is_blank_counts_as_absent() {
    for values in [&[][..], &[""], &["  "], &["", "\t"]] {
        let (status, took) = api_call(values).await;
        assert_eq!(status, StatusCode::OK);
        assert_took(took, Duration::from_secs(1));
        assert_eq!(oauth_call(values).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_date_without_the_servers_date_counts_from_now() {
    let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let cases = [
        (httpdate::fmt_http_date(an_hour_ago), Duration::ZERO),
        // Far from the clock of any machine.
        ("Sun, 06 Nov 1994 08:49:50 GMT".to_owned(), A_MINUTE),
    ];
    for (value, expected) in cases {
        let mut response = limited(&[&value]);
        response.headers_mut().remove("date");
        let mut policy = RetryRateLimited::new();
        let mut result = Ok::<_, Infallible>(response);
        let mut request = get("https://api.notion.com");
        let begun = Instant::now();
        let pause = tower::retry::Policy::retry(&mut policy, &mut request, &mut result);
        pause.expect("it is sent again").await;
        assert_took(begun.elapsed(), expected);
    }
}

/// Tokio's timers have a resolution of one millisecond.
#[track_caller]
fn assert_took(took: Duration, expected: Duration) {
    let latest = expected + Duration::from_millis(1);
    assert!(
        (expected..=latest).contains(&took),
        "{took:?}: {expected:?}"
    );
}
