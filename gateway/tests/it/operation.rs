//! Settings of limits, logs and metrics.

use super::{program::ANN, settings::complaint};

#[test]
fn wrong_setting_of_operation_is_refused_by_name() {
    for (name, value, words) in [
        ("GATEWAY_ACCESS_LOG", "yes", "on or off"),
        ("GATEWAY_LOG", "xml", "text or json"),
        ("GATEWAY_MAX_REQUESTS", "0", "at least 1"),
        ("GATEWAY_MAX_REQUESTS", "many", "a number of requests"),
        ("GATEWAY_MAX_REQUESTS", "1000000000", "ulimit -n"),
        ("GATEWAY_MAX_REQUESTS_PER_SUBJECT", "-1", "at least 1"),
        (
            "GATEWAY_MAX_REQUESTS_PER_SUBJECT",
            "1000000",
            "more than GATEWAY_MAX_REQUESTS",
        ),
        ("GATEWAY_METRICS_LISTEN", "here", "here"),
        ("GATEWAY_METRICS_LISTEN", "192.0.2.1:80", "192.0.2.1:80"),
        (
            "GATEWAY_PASS_HEADERS",
            "x-good, Cookie",
            "cookie never goes on",
        ),
        ("GATEWAY_PASS_HEADERS", "authorization", "never goes on"),
        (
            "GATEWAY_PASS_HEADERS",
            "Notion-Auth-Subject",
            "never goes on",
        ),
        (
            "GATEWAY_PASS_HEADERS",
            "x-http-method-override",
            "never goes on",
        ),
        ("GATEWAY_PASS_HEADERS", "x good", "no name of a header"),
    ] {
        let said = complaint(&[
            ("GATEWAY_KEYS", &format!("{ANN}=ann")),
            ("NOTION_TOKEN", "ntn_of_the_integration"),
            (name, value),
        ]);
        assert!(said.contains(&format!("{name}: ")), "{said}");
        assert!(said.contains(words), "{value}: {said}");
    }
}
