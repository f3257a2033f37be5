//! The store's contract, on the store in memory.

use std::time::Duration;

use notion_auth::{
    MemoryStore, ReauthorizationReason, Subject,
    store::{
        AttemptId, Change, ClaimAnswer, Condemned, CredentialStore, Expected, Filter, Labels,
        NewRecord, OnceAnswer, OnceKey, Payload, RecordKey, RecordState, Released, Resealed, Saved,
        TOMBSTONE_AGE,
    },
    testing::TestClock,
};
use tokio::time::advance;

const LEASE: Duration = Duration::from_secs(30);

fn store() -> MemoryStore {
    MemoryStore::with_clock(TestClock::new())
}

fn key(subject: &str) -> RecordKey {
    RecordKey::new("test", Subject::new(subject))
}

fn record(change: Change, payload: &[u8]) -> NewRecord {
    NewRecord {
        change,
        payload: Payload::from_bytes(payload.to_vec()),
        labels: Labels::default(),
    }
}

/// Saves over whatever is there.
async fn save(store: &MemoryStore, subject: &str, change: Change) -> u64 {
    let current = store.load(&key(subject)).await.unwrap();
    let expected = current.map_or(Expected::Absent, |it| Expected::Generation(it.generation));
    let new = record(change, b"payload");
    match store
        .save(&key(subject), new, expected, AttemptId::random())
        .await
        .unwrap()
    {
        Saved::Done(generation) => generation,
        other => panic!("{other:?}"),
    }
}

async fn claim(store: &MemoryStore, attempt: AttemptId, over: Option<AttemptId>) -> ClaimAnswer {
    store
        .claim(&key("ann"), 1, attempt, LEASE, over)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn generations_only_grow_also_over_a_tombstone() {
    let store = store();
    assert_eq!(save(&store, "ann", Change::Connect).await, 1);
    assert_eq!(save(&store, "ann", Change::Refresh).await, 2);
    assert_eq!(save(&store, "ann", Change::Disconnect).await, 3);
    let tombstone = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!(tombstone.state, RecordState::Disconnected);
    assert_eq!(save(&store, "ann", Change::Connect).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_save_is_fenced_by_the_generation_and_repeatable_by_its_attempt() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    let (first, second) = (AttemptId::random(), AttemptId::random());
    let new = || record(Change::Refresh, b"new");
    for _ in 0..2 {
        let saved = store
            .save(&key("ann"), new(), Expected::Generation(1), first)
            .await;
        assert_eq!(saved.unwrap(), Saved::Done(2));
    }
    for expected in [
        Expected::Generation(1),
        Expected::Generation(7),
        Expected::Absent,
    ] {
        let saved = store
            .save(&key("ann"), new(), expected, second)
            .await
            .unwrap();
        assert_eq!(saved, Saved::Conflict(Some(2)));
    }
    let absent = store
        .save(&key("ben"), new(), Expected::Generation(1), second)
        .await;
    assert_eq!(absent.unwrap(), Saved::Conflict(None));
}

#[tokio::test(start_paused = true)]
async fn a_claim_keeps_others_out_and_is_its_attempts_again() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    assert_eq!(claim(&store, mine, None).await, ClaimAnswer::Claimed);
    advance(Duration::from_secs(20)).await;
    let left = Duration::from_secs(10);
    assert_eq!(claim(&store, yours, None).await, ClaimAnswer::Held(left));
    // Even to who would take it over: its lease runs.
    assert_eq!(
        claim(&store, yours, Some(mine)).await,
        ClaimAnswer::Held(left)
    );
    assert_eq!(claim(&store, mine, None).await, ClaimAnswer::Claimed);
    assert_eq!(claim(&store, yours, None).await, ClaimAnswer::Held(LEASE));
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_claim_changes_hands_only_to_who_names_it() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    let [mine, yours, third] = [(); 3].map(|()| AttemptId::random());
    claim(&store, mine, None).await;
    advance(Duration::from_secs(40)).await;
    let lapsed = |attempt, replay, seconds| ClaimAnswer::Lapsed {
        attempt,
        age: Duration::from_secs(seconds),
        replay,
    };
    assert_eq!(claim(&store, yours, None).await, lapsed(mine, false, 40));
    assert_eq!(
        claim(&store, yours, Some(third)).await,
        lapsed(mine, false, 40)
    );
    assert_eq!(claim(&store, yours, Some(mine)).await, ClaimAnswer::Claimed);
    assert_eq!(
        claim(&store, third, Some(mine)).await,
        ClaimAnswer::Held(LEASE)
    );
    advance(LEASE).await;
    assert_eq!(claim(&store, third, None).await, lapsed(yours, true, 30));
    // Late, but the generation has not moved: the first holder may own the only living pair.
    let late = record(Change::Refresh, b"late");
    let saved = store
        .save(&key("ann"), late, Expected::Generation(1), mine)
        .await;
    assert_eq!(saved.unwrap(), Saved::Done(2));
    assert_eq!(claim(&store, third, Some(yours)).await, ClaimAnswer::Moved);
}

#[tokio::test(start_paused = true)]
async fn a_release_is_the_holders_and_makes_others_wait() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    claim(&store, mine, None).await;
    let pause = Some(Duration::from_secs(9));
    let foreign = store.release(&key("ann"), yours, pause).await.unwrap();
    assert_eq!(foreign, Released::NotYours);
    let own = store.release(&key("ann"), mine, pause).await.unwrap();
    assert_eq!(own, Released::Done);
    advance(Duration::from_secs(5)).await;
    let left = ClaimAnswer::BackingOff(Duration::from_secs(4));
    assert_eq!(claim(&store, yours, None).await, left);
    advance(Duration::from_secs(4)).await;
    assert_eq!(claim(&store, yours, None).await, ClaimAnswer::Claimed);
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_ends_claim_and_back_off() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    let mine = AttemptId::random();
    claim(&store, mine, None).await;
    assert_eq!(save(&store, "ann", Change::Connect).await, 2);
    assert_eq!(claim(&store, mine, None).await, ClaimAnswer::Moved);
    let record = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!((record.claim, record.not_before), (None, None));
}

#[tokio::test(start_paused = true)]
async fn condemning_keeps_generation_and_payload_and_happens_once() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    let (mine, yours) = (AttemptId::random(), AttemptId::random());
    let lost = ReauthorizationReason::RotationLost;
    let condemn = async |generation, attempt| {
        store
            .condemn(&key("ann"), generation, lost, attempt)
            .await
            .unwrap()
    };
    assert_eq!(condemn(7, mine).await, Condemned::Moved);
    assert_eq!(condemn(1, mine).await, Condemned::Done);
    assert_eq!(condemn(1, mine).await, Condemned::Done);
    assert_eq!(condemn(1, yours).await, Condemned::Moved);
    let condemned = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!(condemned.state, RecordState::NeedsReauthorization(lost));
    assert_eq!(
        (condemned.generation, condemned.payload.as_bytes()),
        (1, &b"payload"[..])
    );
    assert_eq!(claim(&store, yours, None).await, ClaimAnswer::Moved);
    // A late commit owns the living pair.
    assert_eq!(save(&store, "ann", Change::Refresh).await, 2);
    let saved = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!(saved.state, RecordState::Active);
}

#[tokio::test(start_paused = true)]
async fn resealing_changes_the_payload_alone_and_not_under_a_claim() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    let reseal = async |generation| {
        let payload = Payload::from_bytes(b"sealed".to_vec());
        store
            .reseal(&key("ann"), generation, payload)
            .await
            .unwrap()
    };
    assert_eq!(reseal(2).await, Resealed::Moved);
    assert_eq!(reseal(1).await, Resealed::Done);
    let record = store.load(&key("ann")).await.unwrap().unwrap();
    assert_eq!(
        (record.generation, record.payload.as_bytes()),
        (1, &b"sealed"[..])
    );
    claim(&store, AttemptId::random(), None).await;
    assert_eq!(reseal(1).await, Resealed::Claimed);
}

#[tokio::test(start_paused = true)]
async fn a_mark_is_first_once_and_again_when_its_time_is_over() {
    let store = store();
    let mark = OnceKey::new("test", [7; 32]);
    let ttl = Duration::from_secs(600);
    assert_eq!(store.once(&mark, ttl).await.unwrap(), OnceAnswer::First);
    assert_eq!(store.once(&mark, ttl).await.unwrap(), OnceAnswer::Seen);
    let other = OnceKey::new("test", [8; 32]);
    assert_eq!(store.once(&other, ttl).await.unwrap(), OnceAnswer::First);
    let elsewhere = OnceKey::new("elsewhere", [7; 32]);
    assert_eq!(
        store.once(&elsewhere, ttl).await.unwrap(),
        OnceAnswer::First
    );
    advance(ttl).await;
    assert_eq!(store.once(&mark, ttl).await.unwrap(), OnceAnswer::First);
}

#[tokio::test(start_paused = true)]
async fn listing_pages_through_a_namespace_by_state() {
    let store = store();
    for subject in ["d", "a", "c", "b"] {
        save(&store, subject, Change::Connect).await;
    }
    save(&store, "c", Change::Disconnect).await;
    let elsewhere = RecordKey::new("elsewhere", Subject::new("x"));
    let new = record(Change::Connect, b"");
    let attempt = AttemptId::random();
    let saved = store.save(&elsewhere, new, Expected::Absent, attempt).await;
    saved.unwrap();
    let list = async |after, limit, filter| {
        let page = store.list("test", after, limit, filter).await.unwrap();
        let subjects = page.iter().map(|it| it.subject.as_str().to_owned());
        subjects.collect::<Vec<_>>()
    };
    assert_eq!(list(None, 10, Filter::All).await, ["a", "b", "c", "d"]);
    assert_eq!(list(None, 2, Filter::Active).await, ["a", "b"]);
    assert_eq!(list(Some("b"), 2, Filter::Active).await, ["d"]);
    assert_eq!(list(None, 9, Filter::Disconnected).await, ["c"]);
}

#[tokio::test(start_paused = true)]
async fn sweeping_removes_old_tombstones_and_marks_and_nothing_else() {
    let store = store();
    save(&store, "ann", Change::Connect).await;
    save(&store, "ben", Change::Connect).await;
    save(&store, "ben", Change::Disconnect).await;
    let mark = OnceKey::new("test", [1; 32]);
    store.once(&mark, Duration::from_secs(60)).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0);
    advance(TOMBSTONE_AGE).await;
    assert_eq!(store.sweep().await.unwrap(), 2);
    assert!(store.load(&key("ann")).await.unwrap().is_some());
    assert!(store.load(&key("ben")).await.unwrap().is_none());
}

#[test]
fn a_store_is_private_until_somebody_else_holds_it() {
    let store = MemoryStore::new();
    assert!(store.is_private());
    let other = store.clone();
    assert!(!store.is_private());
    drop(other);
    assert!(store.is_private());
}
