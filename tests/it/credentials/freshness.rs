//! Freshness of an access token by its expiry.

use std::time::{Duration, SystemTime};

use notion_auth::credentials::Freshness;
use serde_json::json;

use super::with;

fn at(second: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(second)
}

#[test]
fn token_is_fresh_then_due_then_expired() {
    let credentials = with(&json!({ "expires_at": 1000 }));
    let (leeway, window) = (Duration::from_secs(10), Duration::from_secs(300));
    for (second, expected) in [
        (0.0, Freshness::Fresh),
        (689.9, Freshness::Fresh),
        (690.0, Freshness::Due),
        (989.9, Freshness::Due),
        (990.0, Freshness::Expired),
        (1000.0, Freshness::Expired),
        (99_999.0, Freshness::Expired),
    ] {
        let found = credentials.freshness(at(second), leeway, window);
        assert_eq!(found, expected, "{second}");
    }
}

#[test]
fn freshness_does_not_overflow_and_is_unknown_without_expires_at() {
    let expiring = with(&json!({ "expires_at": 1000 }));
    let second = Duration::from_secs(1);
    for (leeway, window, expected) in [
        (Duration::ZERO, Duration::ZERO, Freshness::Fresh),
        (Duration::ZERO, Duration::MAX, Freshness::Due),
        (second, Duration::MAX, Freshness::Due),
        (Duration::MAX, second, Freshness::Expired),
        (Duration::MAX, Duration::MAX, Freshness::Expired),
    ] {
        assert_eq!(expiring.freshness(at(500.0), leeway, window), expected);
        for unknown in [json!({}), json!({ "expires_in": 3600 })] {
            let found = with(&unknown).freshness(at(500.0), leeway, window);
            assert_eq!(found, Freshness::Unknown);
        }
    }
}

#[test]
fn time_left_is_known_if_expires_at_is() {
    let expiring = with(&json!({ "expires_at": 1000 }));
    for (second, expected) in [(400.0, 600), (1000.0, 0), (5000.0, 0)] {
        let expected = Duration::from_secs(expected);
        assert_eq!(expiring.time_left(at(second)), Some(expected));
    }
    assert_eq!(with(&json!({})).time_left(at(400.0)), None);
}
