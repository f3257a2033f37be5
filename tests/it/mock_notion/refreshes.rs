//! Rotation of the token pair, and the second use of a refresh token.

use std::{collections::HashSet, time::Duration};

use notion_auth::testing::notion::{MockNotion, Outcome};
use serde_json::{Value, json};
use tokio::time::advance;

use super::{granted, is_invalid_grant, is_unauthorized, me, refresh, refresh_token};

#[tokio::test]
async fn refresh_issues_a_new_pair_and_ends_the_old_access_token() {
    let (notion, grant) = granted();
    let next = refresh(&notion, refresh_token(&grant)).await.ok();

    assert_ne!(next.access_token(), grant.access_token());
    assert_ne!(next.refresh_token(), refresh_token(&grant));
    assert_eq!(next.json["bot_id"], grant.bot_id());
    is_unauthorized(&notion, grant.access_token()).await;
    me(&notion, next.access_token()).await.ok();
    let pair = notion.ledger().living_pair(grant.bot_id()).unwrap();
    assert_eq!(
        (&*pair.0, &*pair.1),
        (next.access_token(), next.refresh_token())
    );
}

#[tokio::test]
async fn token_answer_has_exactly_the_documented_members() {
    let documented = HashSet::from([
        "access_token",
        "token_type",
        "refresh_token",
        "bot_id",
        "workspace_id",
        "workspace_name",
        "workspace_icon",
        "owner",
        "duplicated_template_id",
        "request_id",
    ]);
    let (notion, grant) = granted();
    let refreshed = refresh(&notion, refresh_token(&grant)).await.ok();
    for answer in [&grant.answer, &refreshed.json] {
        let members = answer.as_object().unwrap();
        let names: HashSet<&str> = members.keys().map(String::as_str).collect();
        assert_eq!(names, documented);
        assert_eq!(answer["token_type"], "bearer");
    }
    assert!(grant.access_token().starts_with("ntn_"));
    assert!(refresh_token(&grant).starts_with("nrt_"));
}

#[test]
fn tokens_are_the_same_in_every_run() {
    let ((_, first), (_, second)) = (granted(), granted());
    assert_eq!(first.access_token(), second.access_token());
}

#[tokio::test]
async fn second_use_of_a_refresh_token_revokes_its_family() {
    let (notion, grant) = granted();
    let other = notion.grant();
    let next = refresh(&notion, refresh_token(&grant)).await.ok();
    is_invalid_grant(&notion, refresh_token(&grant)).await;

    is_unauthorized(&notion, next.access_token()).await;
    is_invalid_grant(&notion, next.refresh_token()).await;
    me(&notion, other.access_token()).await.ok();
    let ledger = notion.ledger();
    assert_eq!(ledger.families_revoked(), [grant.bot_id()]);
    assert_eq!(ledger.living_pair(grant.bot_id()), None);
    let refreshes = ledger.refreshes();
    let outcomes: Vec<_> = refreshes.iter().map(|it| &it.outcome).collect();
    let expected = [Outcome::Accepted, Outcome::AlreadySpent, Outcome::Revoked];
    assert_eq!(outcomes, expected.each_ref());
    assert_eq!(ledger.refresh_token_reuses().len(), 1);
}

#[tokio::test]
async fn without_family_revocation_only_the_second_use_fails() {
    let notion = MockNotion::builder().family_revocation(false).in_process();
    let grant = notion.grant();
    let next = refresh(&notion, refresh_token(&grant)).await.ok();
    is_invalid_grant(&notion, refresh_token(&grant)).await;
    me(&notion, next.access_token()).await.ok();
    assert!(notion.ledger().families_revoked().is_empty());
}

const GRACE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn second_use_within_the_grace_window_gets_the_same_pair() {
    let notion = MockNotion::builder().grace(GRACE).in_process();
    let grant = notion.grant();
    let first = refresh(&notion, refresh_token(&grant)).await.ok();
    advance(GRACE).await;
    let second = refresh(&notion, refresh_token(&grant)).await.ok();
    assert_eq!(first.access_token(), second.access_token());
    assert_eq!(first.refresh_token(), second.refresh_token());
    let outcome = &notion.ledger().refreshes()[1].outcome;
    assert_eq!(outcome, &Outcome::ReplayedInGrace);

    advance(Duration::from_secs(1)).await;
    is_invalid_grant(&notion, refresh_token(&grant)).await;
    assert_eq!(notion.ledger().families_revoked(), [grant.bot_id()]);
}

#[tokio::test(start_paused = true)]
async fn grace_window_ends_when_the_new_refresh_token_is_used() {
    let notion = MockNotion::builder().grace(GRACE).in_process();
    let grant = notion.grant();
    let next = refresh(&notion, refresh_token(&grant)).await.ok();
    refresh(&notion, next.refresh_token()).await.ok();
    is_invalid_grant(&notion, refresh_token(&grant)).await;
}

#[tokio::test]
async fn options_change_the_token_answer() {
    for value in [json!(3600), json!(0), json!("3600"), Value::Null] {
        let notion = MockNotion::builder().expires_in(value.clone()).in_process();
        assert_eq!(notion.grant().answer.get("expires_in"), Some(&value));
    }
    let notion = MockNotion::builder().refresh_tokens(false).in_process();
    let grant = notion.grant();
    assert_eq!(grant.refresh_token(), None);
    assert_eq!(grant.answer["refresh_token"], Value::Null);
}

#[tokio::test]
async fn old_access_tokens_can_be_kept() {
    let builder = MockNotion::builder().keep_old_access_tokens(true);
    let notion = builder.in_process();
    let grant = notion.grant();
    refresh(&notion, refresh_token(&grant)).await.ok();
    me(&notion, grant.access_token()).await.ok();
}

#[tokio::test]
async fn reconnect_ends_the_previous_grant_unless_configured() {
    let notion = MockNotion::in_process();
    let (first, second) = (notion.grant_for("Acme"), notion.grant_for("Acme"));
    assert_eq!(first.bot_id(), second.bot_id());
    assert_ne!(notion.grant().bot_id(), second.bot_id());
    is_invalid_grant(&notion, refresh_token(&first)).await;
    me(&notion, second.access_token()).await.ok();

    let builder = MockNotion::builder().reconnect_ends_older(false);
    let notion = builder.in_process();
    let (first, _) = (notion.grant_for("Acme"), notion.grant_for("Acme"));
    me(&notion, first.access_token()).await.ok();
}
