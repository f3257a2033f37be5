use super::*;
use crate::store::record::AttemptId;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// A connection that was created at `at(0)`.
fn connected() -> Record {
    let new = NewConnection {
        lineage: Lineage::random(),
        issuer: Issuer::default(),
        payload: Payload::default(),
        metadata: Metadata::default(),
        attempt: AttemptId::random(),
    };
    connect(None, new, at(0))
}

fn request(record: &Record, attempt: AttemptId) -> LeaseRequest {
    LeaseRequest {
        attempt,
        seen: record.committed_by,
        duration: 30 * SECOND,
        in_doubt: false,
        take_over: None,
        past_back_off: None,
    }
}

/// The record with a lease acquired at `at(1)`.
fn leased(attempt: AttemptId, in_doubt: bool) -> Record {
    let record = connected();
    let request = LeaseRequest {
        in_doubt,
        ..request(&record, attempt)
    };
    lease(Some(&record), record.fence(), request, at(1)).expect("it is free")
}

fn new_generation(was_refused: bool) -> NewGeneration {
    NewGeneration {
        issuer: Issuer::default(),
        payload: Payload::default(),
        metadata: Metadata::default(),
        was_refused,
    }
}

#[test]
fn release_ends_an_own_lease_that_is_not_in_doubt() {
    let (own, other) = (AttemptId::random(), AttemptId::random());
    let record = leased(own, false);
    let released = release(Some(&record), own, Some(5 * SECOND), at(2)).expect("it is its own");
    assert!(released.lease.is_none());
    assert_eq!(released.back_off_until, Some(at(7)));
    for (record, attempt) in [
        (Some(&record), other),
        (Some(&leased(own, true)), own),
        (Some(&connected()), own),
        (None, own),
    ] {
        let kept = release(record, attempt, None, at(2));
        assert_eq!(kept.err(), Some(Changed::Moved));
    }
}

#[test]
fn lease_of_another_attempt_is_taken_over_only_as_it_was_seen() {
    let (own, other) = (AttemptId::random(), AttemptId::random());
    let record = leased(other, false);
    let fence = record.fence();
    let seen = record.lease.expect("a lease");
    let taken = lease(Some(&record), fence, request(&record, own), at(1000));
    assert_eq!(
        taken.err(),
        Some(Leased::Taken {
            lease: seen,
            now: at(1000)
        })
    );
    let take_over = LeaseRequest {
        take_over: Some(seen),
        ..request(&record, own)
    };
    let over = lease(Some(&record), fence, take_over, at(1000)).expect("it was seen");
    let over = over.lease.expect("a lease");
    assert!(over.in_doubt && over.attempt == own && over.since == at(1000));

    // The holder has renewed the lease.
    let renewed = lease(Some(&record), fence, request(&record, other), at(11)).expect("its own");
    let refused = lease(Some(&renewed), fence, take_over, at(1000));
    assert!(matches!(refused, Err(Leased::Taken { .. })), "{refused:?}");
}

#[test]
fn renewal_keeps_a_lease_in_doubt() {
    let own = AttemptId::random();
    let record = leased(own, true);
    let renewed =
        lease(Some(&record), record.fence(), request(&record, own), at(9)).expect("its own");
    let lease = renewed.lease.expect("a lease");
    assert!(lease.in_doubt && lease.since == at(9));
}

#[test]
fn back_off_refuses_all_attempts_until_its_end() {
    let own = AttemptId::random();
    let record = leased(own, false);
    let fence = record.fence();
    let backing_off = release(Some(&record), own, Some(5 * SECOND), at(2)).expect("its own");
    let ask = |past_back_off, now| {
        let request = LeaseRequest {
            past_back_off,
            ..request(&record, AttemptId::random())
        };
        lease(Some(&backing_off), fence, request, now)
    };
    let (end, left) = (at(7), 2 * SECOND);
    let refused = ask(None, at(5));
    assert_eq!(refused.err(), Some(Leased::BackingOff { end, left }));
    assert!(ask(None, at(7)).is_ok());
    // The store's clock may have been set back.
    assert!(ask(Some(at(7)), at(5)).is_ok());
    assert!(ask(Some(at(6)), at(5)).is_err());
}

#[test]
fn commit_makes_the_next_generation_once_and_only_of_its_own() {
    let own = AttemptId::random();
    let record = leased(own, false);
    let fence = record.fence();
    let next = |record: Option<&Record>, attempt| {
        commit(record, fence, new_generation(true), attempt, at(3))
    };
    let committed = next(Some(&record), own).expect("it is unmoved");
    assert_eq!(committed.fence(), fence.next());
    assert!(committed.lease.is_none() && committed.committed_by == own);
    assert_eq!(committed.refreshed_at, Some(at(3)));

    assert_eq!(next(Some(&committed), own).err(), Some(Committed::Done));
    let other = AttemptId::random();
    assert_eq!(
        next(Some(&committed), other).err(),
        Some(Committed::Conflict)
    );
    let reconnected = connected();
    assert_eq!(
        next(Some(&reconnected), own).err(),
        Some(Committed::Conflict)
    );
    let tombstone = disconnect(Some(&record), other, at(2));
    assert_eq!(next(Some(&tombstone), own).err(), Some(Committed::Conflict));
    assert_eq!(next(None, own).err(), Some(Committed::Conflict));

    // A commit by a holder that was considered dead.
    let reason = ReauthorizationReason::RotationLost;
    let seen = record.committed_by;
    let lost = invalidate(Some(&record), fence, seen, reason, other, at(2)).expect("it is unmoved");
    let recovered = next(Some(&lost), own).expect("it has the same token");
    assert_eq!(recovered.state, RecordState::Active);
}

#[test]
fn reinstate_undoes_the_invalidation_of_that_generation_only() {
    let record = connected();
    let attempt = AttemptId::random();
    let reason = ReauthorizationReason::Revoked;
    let (fence, seen) = (record.fence(), record.committed_by);
    let end = |record| invalidate(Some(record), fence, seen, reason, attempt, at(5));
    let ended = end(&record).expect("it is unmoved");
    assert_eq!(end(&ended).err(), Some(Changed::Done));
    assert_eq!(ended.state, RecordState::NeedsReauthorization(reason));
    assert_eq!(ended.fence(), fence);
    let active = reinstate(Some(&ended), fence, AttemptId::random(), at(6)).expect("it is ended");
    assert_eq!(active.state, RecordState::Active);
    let other = reinstate(Some(&ended), fence.next(), attempt, at(6));
    assert_eq!(other.err(), Some(Changed::Moved));
    let late = lease(Some(&active), fence, request(&record, attempt), at(7));
    assert_eq!(late.err(), Some(Leased::Moved));
    // The invalidation is written again, because its answer was lost.
    assert_eq!(end(&active).err(), Some(Changed::Moved));
}

#[test]
fn streak_of_refusals_grows_and_its_delay_too() {
    let mut record = connected();
    let mut now = 0;
    let mut delays = Vec::new();
    for _ in 0..12 {
        let delay = refusal_delay(record.streak).as_secs();
        delays.push(delay);
        now += delay + 1;
        let fence = record.fence();
        let committed = commit(
            Some(&record),
            fence,
            new_generation(true),
            AttemptId::random(),
            at(now),
        );
        record = committed.expect("it is unmoved");
    }
    assert_eq!(delays, [0, 5, 10, 20, 40, 60, 60, 60, 60, 60, 3600, 3600]);

    let commit_after = |seconds, was_refused| {
        let attempt = AttemptId::random();
        let now = at(now + seconds);
        let new = new_generation(was_refused);
        commit(Some(&record), record.fence(), new, attempt, now)
            .expect("it is unmoved")
            .streak
    };
    assert_eq!(record.streak, 12);
    assert_eq!(commit_after(60 + 2 * 3600, true), 0);
    assert_eq!(commit_after(60 + 2 * 3600 - 1, true), 13);
    assert_eq!(commit_after(1, false), 12);
}
