//! The ledger's records of calls.

use std::time::Duration;

use notion_auth::testing::notion::{Call, Fault, MockNotion};
use tower::ServiceExt;

use super::{granted, is_invalid_grant, me, refresh, refresh_request, refresh_token};

#[tokio::test(start_paused = true)]
async fn ledger_records_presentations_that_overlap() {
    let (notion, grant) = granted();
    let other = notion.grant();
    let second = Duration::from_secs(1);
    notion.always(Call::Refresh, Some(Fault::Delay(second)));
    let token = refresh_token(&grant);
    let calls = tokio::join!(refresh(&notion, token), refresh(&notion, token));
    let mut statuses = [calls.0.status, calls.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    let next = refresh(&notion, refresh_token(&other)).await.ok();
    refresh(&notion, next.refresh_token()).await.ok();

    let ledger = notion.ledger();
    for (token, expected) in [(token, 2), (refresh_token(&other), 1), ("unknown", 0)] {
        assert_eq!(ledger.max_parallel_presentations_of(token), expected);
    }
    let overlapping: Vec<bool> = ledger.refreshes().iter().map(|it| it.overlapping).collect();
    assert_eq!(overlapping, [true, true, false, false]);
    assert_eq!(ledger.refreshes_of(other.bot_id()).len(), 2);
    assert_eq!(ledger.refreshes()[2].at, second);
    let numbers: Vec<_> = ledger.presentations().iter().map(|it| it.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[tokio::test]
async fn presentation_lasts_until_its_answer_is_read() {
    let (notion, grant) = granted();
    let token = refresh_token(&grant);
    let request = refresh_request(&notion, token);
    let unread = notion.service().oneshot(request).await.unwrap();
    is_invalid_grant(&notion, token).await;
    drop(unread);
    is_invalid_grant(&notion, token).await;
    let seen = notion.ledger().refreshes();
    let seen: Vec<_> = seen
        .iter()
        .map(|it| (it.overlapping, it.answered))
        .collect();
    assert_eq!(seen, [(true, false), (true, true), (false, true)]);
}

#[tokio::test]
async fn debug_shows_no_token() {
    let (notion, grant) = granted();
    me(&notion, grant.access_token()).await.ok();
    refresh(&notion, refresh_token(&grant)).await.ok();
    let shown = format!(
        "{:?} {:?} {grant:?} {notion:?} {:?} {:?}",
        notion.ledger(),
        notion.ledger().presentations(),
        notion.service(),
        MockNotion::builder(),
    );
    assert!(shown.contains(&grant.access_token()[..8]));
    for secret in [
        grant.access_token(),
        refresh_token(&grant),
        notion.client_secret(),
    ] {
        assert!(!shown.contains(&secret[..9]), "{shown}");
    }
}
