use super::subject::{LONG, SHORT, Tried, assert_left, holding};
use crate::store::{AttemptId, Change, ClaimAnswer, CredentialStore, Expected, Saved};

pub(super) async fn check<S: CredentialStore>(tried: &Tried<S>) {
    a_claim_needs_an_active_record_of_its_generation(tried).await;
    a_claim_keeps_others_out(tried).await;
    a_lapsed_claim_changes_hands_only_to_who_names_it(tried).await;
    a_claim_that_was_taken_over_is_a_replay(tried).await;
    a_late_save_wins(tried).await;
}

async fn a_claim_needs_an_active_record_of_its_generation<S: CredentialStore>(tried: &Tried<S>) {
    let mine = AttemptId::random();
    let claim = |generation| tried.claim_of("needs", generation, mine, LONG, None);
    assert_eq!(claim(1).await, ClaimAnswer::Absent);
    tried.save("needs", Change::Connect).await;
    assert_eq!(claim(0).await, ClaimAnswer::Moved);
    assert_eq!(claim(2).await, ClaimAnswer::Moved);
    assert!(
        tried.record("needs").await.claim.is_none(),
        "a claim that was refused leaves nothing behind"
    );
    tried.save("needs", Change::Disconnect).await;
    assert_eq!(
        claim(2).await,
        ClaimAnswer::Moved,
        "a tombstone has no token to spend"
    );
}

async fn a_claim_keeps_others_out<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("held", Change::Connect).await;
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    let claimed = tried.claim("held", mine, LONG, None).await;
    assert_eq!(claimed, ClaimAnswer::Claimed);
    let record = tried.record("held").await;
    let claim = record.claim.expect("the claim is in the record");
    assert_eq!(
        (claim.attempt, claim.lease, claim.replay),
        (mine, LONG, false)
    );
    for taking_over in [None, Some(mine)] {
        match tried.claim("held", yours, LONG, taking_over).await {
            ClaimAnswer::Held(left) => assert_left(left, LONG),
            other => panic!("a claim whose lease runs is held, not {other:?}"),
        }
    }
    // Anew, with a lease of its own.
    let again = tried.claim("held", mine, 2 * LONG, None).await;
    assert_eq!(again, ClaimAnswer::Claimed);
    match tried.claim("held", yours, LONG, None).await {
        ClaimAnswer::Held(left) => assert_left(left, 2 * LONG),
        other => panic!("a claim that was renewed is held, not {other:?}"),
    }
}

async fn a_lapsed_claim_changes_hands_only_to_who_names_it<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("lapsed", Change::Connect).await;
    let [mine, yours, third] = [(); 3].map(|()| AttemptId::random());
    tried.claim("lapsed", mine, SHORT, None).await;
    tried.pass(SHORT).await;
    for taking_over in [None, Some(third)] {
        match tried.claim("lapsed", yours, LONG, taking_over).await {
            ClaimAnswer::Lapsed {
                attempt,
                age,
                replay,
            } => {
                assert_eq!((attempt, replay), (mine, false));
                assert!(
                    age >= SHORT && age < LONG,
                    "the age of a claim is since it was made: {age:?}"
                );
            }
            other => panic!("a claim whose lease is over has lapsed, not {other:?}"),
        }
    }
    let taken = tried.claim("lapsed", yours, LONG, Some(mine)).await;
    assert_eq!(taken, ClaimAnswer::Claimed);
    match tried.claim("lapsed", third, LONG, Some(mine)).await {
        ClaimAnswer::Held(left) => assert_left(left, LONG),
        other => panic!("a claim that was taken over is held by its new holder, not {other:?}"),
    }
    match tried.claim("lapsed", mine, LONG, None).await {
        ClaimAnswer::Held(_) => {}
        other => panic!("a holder that lost its claim does not have it, but {other:?}"),
    }
}

async fn a_claim_that_was_taken_over_is_a_replay<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("replay", Change::Connect).await;
    let [mine, yours, third] = [(); 3].map(|()| AttemptId::random());
    tried.claim("replay", mine, SHORT, None).await;
    tried.pass(SHORT).await;
    tried.claim("replay", yours, SHORT, Some(mine)).await;
    tried.pass(SHORT).await;
    match tried.claim("replay", third, LONG, None).await {
        ClaimAnswer::Lapsed {
            attempt, replay, ..
        } => assert_eq!((attempt, replay), (yours, true)),
        other => panic!("its lease is over as well: {other:?}"),
    }
    let renewed = tried.claim("replay", yours, LONG, None).await;
    assert_eq!(
        renewed,
        ClaimAnswer::Claimed,
        "a lapsed claim is its holder's until it is taken"
    );
    let claim = tried.record("replay").await.claim;
    assert!(
        claim.is_some_and(|claim| claim.replay),
        "a renewed replay stays one"
    );
}

async fn a_late_save_wins<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("late", Change::Connect).await;
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    tried.claim("late", mine, SHORT, None).await;
    tried.pass(SHORT).await;
    let taken = tried.claim("late", yours, LONG, Some(mine)).await;
    assert_eq!(taken, ClaimAnswer::Claimed);
    let late = holding(Change::Refresh, b"late");
    let saved = tried
        .save_as("late", late, Expected::Generation(1), mine)
        .await;
    assert_eq!(
        saved,
        Saved::Done(2),
        "who lost the claim may own the only living tokens"
    );
    let record = tried.record("late").await;
    assert_eq!(record.payload.as_bytes(), b"late");
    assert_eq!(record.claim, None, "a save ends the claim, whosever it is");
    let renewed = tried.claim("late", yours, LONG, None).await;
    assert_eq!(renewed, ClaimAnswer::Moved);
}
