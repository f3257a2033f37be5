//! Tokens that a test revokes, and delayed 401s.

use notion_auth::testing::notion::MockNotion;
use tokio::task::{JoinHandle, yield_now};

use super::{Answer, granted, is_invalid_grant, is_unauthorized, me, refresh, refresh_token};

#[tokio::test]
async fn test_can_revoke_tokens_and_grants() {
    let (notion, grant) = granted();
    notion.revoke_access_token(grant.access_token());
    is_unauthorized(&notion, grant.access_token()).await;
    let next = refresh(&notion, refresh_token(&grant)).await.ok();
    notion.revoke_grant(next.access_token());
    is_invalid_grant(&notion, next.refresh_token()).await;
    // No refresh token was used twice.
    assert!(notion.ledger().families_revoked().is_empty());
}

#[tokio::test]
async fn restricted_account_gets_401_for_valid_tokens() {
    let (notion, grant) = granted();
    notion.restrict_account(grant.bot_id(), true);
    let answer = me(&notion, grant.access_token()).await;
    answer.is_error(401, "unauthorized");
    let message = answer.text("message");
    assert!(message.starts_with("This user's account is restricted"));
    let next = refresh(&notion, refresh_token(&grant)).await.ok();
    is_unauthorized(&notion, next.access_token()).await;
    notion.restrict_account(grant.bot_id(), false);
    me(&notion, next.access_token()).await.ok();
}

/// Starts a call and waits until the server has received it.
async fn start(notion: &MockNotion, token: &str) -> JoinHandle<Answer> {
    let received = notion.ledger().api_calls().len();
    let call = tokio::spawn({
        let (notion, token) = (notion.clone(), token.to_owned());
        async move { me(&notion, &token).await }
    });
    while notion.ledger().api_calls().len() == received {
        yield_now().await;
    }
    call
}

/// Runs other tasks until they wait.
async fn run_tasks() {
    for _ in 0..10 {
        yield_now().await;
    }
}

#[tokio::test]
async fn held_back_401s_are_sent_after_a_refresh_of_their_family() {
    let (notion, grant) = granted();
    let other = notion.grant();
    notion.revoke_access_token(grant.access_token());
    notion.hold_back_401s(2);
    is_unauthorized(&notion, "ntn_never_issued").await;
    let first = start(&notion, grant.access_token()).await;
    let second = start(&notion, grant.access_token()).await;
    is_unauthorized(&notion, grant.access_token()).await;
    refresh(&notion, refresh_token(&other)).await.ok();
    run_tasks().await;
    assert!(!first.is_finished() && !second.is_finished());

    refresh(&notion, refresh_token(&grant)).await.ok();
    for held_back in [first, second] {
        held_back.await.unwrap().is_error(401, "unauthorized");
    }
}

#[tokio::test]
async fn only_401s_for_the_newest_token_of_a_family_are_held_back() {
    let (notion, grant) = granted();
    notion.hold_back_401s(1);
    let next = refresh(&notion, refresh_token(&grant)).await.ok();
    is_unauthorized(&notion, grant.access_token()).await;

    notion.revoke_access_token(next.access_token());
    let held_back = start(&notion, next.access_token()).await;
    run_tasks().await;
    assert!(!held_back.is_finished(), "the replaced token was counted");
    notion.revoke_grant(refresh_token(&grant));
    held_back.await.unwrap().is_error(401, "unauthorized");
}
