use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    random::random_bytes,
    store::{
        AttemptId, Change, ClaimAnswer, CredentialStore, Expected, Labels, NewRecord, Payload,
        Record, RecordKey, Saved,
    },
    subject::Subject,
};

/// Longer than any case takes, on a slow store and a busy machine too.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// Short enough to wait for. No case depends on finishing within it.
pub(super) const SHORT: Duration = Duration::from_millis(200);

/// The store that is tried, and a namespace in it that nobody else has.
pub(super) struct Tried<S> {
    pub(super) store: Arc<S>,
    pub(super) namespace: String,
}

impl<S> Clone for Tried<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            namespace: self.namespace.clone(),
        }
    }
}

impl<S: CredentialStore> Tried<S> {
    pub(super) fn new(store: &Arc<S>) -> Self {
        let number = u64::from_ne_bytes(random_bytes());
        Self {
            store: Arc::clone(store),
            namespace: format!("conformance-{number:016x}"),
        }
    }

    pub(super) fn key(&self, subject: &str) -> RecordKey {
        RecordKey::new(self.namespace.as_str(), Subject::new(subject))
    }

    pub(super) async fn load(&self, subject: &str) -> Option<Record> {
        let loaded = self.store.load(&self.key(subject)).await;
        loaded.expect("the store answers `load`")
    }

    /// The record that must be there.
    pub(super) async fn record(&self, subject: &str) -> Record {
        let record = self.load(subject).await;
        record.expect("what was saved is there")
    }

    pub(super) async fn save_as(
        &self,
        subject: &str,
        new: NewRecord,
        expected: Expected,
        attempt: AttemptId,
    ) -> Saved {
        let key = self.key(subject);
        let saved = self.store.save(&key, new, expected, attempt);
        saved.await.expect("the store answers `save`")
    }

    /// Saves over whatever is there, and answers the generation that it made.
    pub(super) async fn save(&self, subject: &str, change: Change) -> u64 {
        let current = self.load(subject).await;
        let expected = current.map_or(Expected::Absent, |it| Expected::Generation(it.generation));
        let saved = self.save_as(subject, new(change), expected, AttemptId::random());
        match saved.await {
            Saved::Done(generation) => generation,
            Saved::Conflict(found) => panic!("nobody else saves here, but {found:?} was found"),
        }
    }

    pub(super) async fn now(&self) -> SystemTime {
        let now = self.store.now().await;
        now.expect("the store tells the time")
    }

    /// Waits until more than `time` has passed by the store's own clock, however coarse it is.
    pub(super) async fn pass(&self, time: Duration) {
        const LOOKS: u32 = 1000;

        let end = self.now().await + time;
        tokio::time::sleep(time).await;
        for _ in 0..LOOKS {
            if self.now().await > end {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the store's clock stands still: it should have passed {end:?}");
    }

    /// Claims generation 1.
    pub(super) async fn claim(
        &self,
        subject: &str,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> ClaimAnswer {
        self.claim_of(subject, 1, attempt, lease, taking_over).await
    }

    pub(super) async fn claim_of(
        &self,
        subject: &str,
        generation: u64,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> ClaimAnswer {
        let key = self.key(subject);
        let claim = self
            .store
            .claim(&key, generation, attempt, lease, taking_over);
        claim.await.expect("the store answers `claim`")
    }
}

pub(super) fn new(change: Change) -> NewRecord {
    holding(change, b"payload")
}

pub(super) fn holding(change: Change, payload: &[u8]) -> NewRecord {
    NewRecord {
        change,
        payload: Payload::from_bytes(payload.to_vec()),
        labels: Labels::default(),
    }
}

/// Asserts that some of the given time is left, and less than half of it has passed.
#[track_caller]
pub(super) fn assert_left(left: Duration, given: Duration) {
    assert!(
        left <= given && left > given / 2,
        "of {given:?}, {left:?} is left"
    );
}
