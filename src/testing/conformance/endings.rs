use super::subject::{LONG, SHORT, Tried, assert_left};
use crate::{
    credentials::ReauthorizationReason,
    store::{
        AttemptId, Change, ClaimAnswer, Condemned, CredentialStore, Payload, RecordState, Released,
        Resealed,
    },
};

pub(super) async fn check<S: CredentialStore>(tried: &Tried<S>) {
    a_release_is_the_holders(tried).await;
    a_back_off_keeps_all_out(tried).await;
    a_back_off_ends(tried).await;
    a_save_ends_claim_and_back_off(tried).await;
    condemning_happens_once(tried).await;
    every_reason_is_kept(tried).await;
    resealing_changes_the_payload_alone(tried).await;
}

async fn release<S: CredentialStore>(
    tried: &Tried<S>,
    subject: &str,
    attempt: AttemptId,
    back_off: Option<std::time::Duration>,
) -> Released {
    let released = tried
        .store
        .release(&tried.key(subject), attempt, back_off)
        .await;
    released.expect("the store answers `release`")
}

async fn a_release_is_the_holders<S: CredentialStore>(tried: &Tried<S>) {
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    assert_eq!(release(tried, "mine", mine, None).await, Released::NotYours);
    tried.save("mine", Change::Connect).await;
    assert_eq!(release(tried, "mine", mine, None).await, Released::NotYours);
    tried.claim("mine", mine, LONG, None).await;
    let foreign = release(tried, "mine", yours, Some(LONG)).await;
    assert_eq!(foreign, Released::NotYours);
    assert!(tried.record("mine").await.claim.is_some());
    assert_eq!(release(tried, "mine", mine, None).await, Released::Done);
    let free = tried.claim("mine", yours, LONG, None).await;
    assert_eq!(free, ClaimAnswer::Claimed, "what was released is free");
    assert_eq!(release(tried, "mine", mine, None).await, Released::NotYours);
}

async fn a_back_off_keeps_all_out<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("back-off", Change::Connect).await;
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    tried.claim("back-off", mine, LONG, None).await;
    release(tried, "back-off", mine, Some(LONG)).await;
    for attempt in [mine, yours] {
        match tried.claim("back-off", attempt, LONG, None).await {
            ClaimAnswer::BackingOff(left) => assert_left(left, LONG),
            other => panic!("no attempt may claim yet, but {other:?}"),
        }
    }
}

async fn a_back_off_ends<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("back-off-ends", Change::Connect).await;
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    tried.claim("back-off-ends", mine, LONG, None).await;
    release(tried, "back-off-ends", mine, Some(SHORT)).await;
    tried.pass(SHORT).await;
    let claimed = tried.claim("back-off-ends", yours, LONG, None).await;
    assert_eq!(claimed, ClaimAnswer::Claimed);
    let record = tried.record("back-off-ends").await;
    assert_eq!(record.not_before, None);
    assert_eq!(
        record.generation, 1,
        "claims and releases make no generation"
    );
}

async fn a_save_ends_claim_and_back_off<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("anew", Change::Connect).await;
    let mine = AttemptId::random();
    tried.claim("anew", mine, LONG, None).await;
    assert_eq!(tried.save("anew", Change::Connect).await, 2);
    let record = tried.record("anew").await;
    assert_eq!((record.claim, record.not_before), (None, None));
    tried.claim_of("anew", 2, mine, LONG, None).await;
    release(tried, "anew", mine, Some(LONG)).await;
    tried.save("anew", Change::Connect).await;
    let claimed = tried.claim_of("anew", 3, mine, LONG, None).await;
    assert_eq!(claimed, ClaimAnswer::Claimed, "a reconnect need not wait");
}

async fn condemning_happens_once<S: CredentialStore>(tried: &Tried<S>) {
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    let lost = ReauthorizationReason::RotationLost;
    let condemn = async |generation, attempt| {
        let key = tried.key("condemned");
        let condemned = tried.store.condemn(&key, generation, lost, attempt).await;
        condemned.expect("the store answers `condemn`")
    };
    assert_eq!(condemn(1, mine).await, Condemned::Moved, "nobody is there");
    tried.save("condemned", Change::Connect).await;
    tried.claim("condemned", mine, LONG, None).await;
    assert_eq!(condemn(2, mine).await, Condemned::Moved);
    assert_eq!(condemn(1, mine).await, Condemned::Done);
    assert_eq!(condemn(1, mine).await, Condemned::Done, "the same attempt");
    assert_eq!(condemn(1, yours).await, Condemned::Moved, "it happens once");
    let record = tried.record("condemned").await;
    assert_eq!(record.state, RecordState::NeedsReauthorization(lost));
    assert_eq!((record.generation, record.claim), (1, None));
    assert_eq!(record.payload.as_bytes(), b"payload");
    assert_eq!(record.committed_by, mine);
    let claimed = tried.claim("condemned", yours, LONG, None).await;
    assert_eq!(claimed, ClaimAnswer::Moved);
    assert_eq!(
        tried.save("condemned", Change::Refresh).await,
        2,
        "a late commit replaces it"
    );
    assert_eq!(tried.record("condemned").await.state, RecordState::Active);
}

async fn every_reason_is_kept<S: CredentialStore>(tried: &Tried<S>) {
    for reason in ReauthorizationReason::ALL {
        let subject = format!("{reason:?}");
        tried.save(&subject, Change::Connect).await;
        let key = tried.key(&subject);
        let condemned = tried
            .store
            .condemn(&key, 1, reason, AttemptId::random())
            .await;
        condemned.expect("the store answers `condemn`");
        let state = tried.record(&subject).await.state;
        assert_eq!(state, RecordState::NeedsReauthorization(reason));
    }
}

async fn resealing_changes_the_payload_alone<S: CredentialStore>(tried: &Tried<S>) {
    let reseal = async |generation| {
        let payload = Payload::from_bytes(b"sealed".to_vec());
        let key = tried.key("reseal");
        let resealed = tried.store.reseal(&key, generation, payload).await;
        resealed.expect("the store answers `reseal`")
    };
    assert_eq!(reseal(1).await, Resealed::Moved, "nobody is there");
    tried.save("reseal", Change::Connect).await;
    let before = tried.record("reseal").await;
    assert_eq!(reseal(2).await, Resealed::Moved);
    assert_eq!(reseal(1).await, Resealed::Done);
    let after = tried.record("reseal").await;
    assert_eq!(after.payload.as_bytes(), b"sealed");
    assert_eq!(
        (after.generation, after.committed_by, after.updated_at),
        (before.generation, before.committed_by, before.updated_at)
    );
    let mine = AttemptId::random();
    tried.claim("reseal", mine, LONG, None).await;
    assert_eq!(reseal(1).await, Resealed::Claimed);
    release(tried, "reseal", mine, None).await;
    assert_eq!(reseal(1).await, Resealed::Done);
}
