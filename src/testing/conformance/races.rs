use std::{future::poll_fn, task::Poll, time::Duration};

use super::subject::{LONG, SHORT, Tried, holding, new};
use crate::store::{
    AttemptId, Change, ClaimAnswer, CredentialStore, Expected, OnceAnswer, OnceKey, Record,
    Revision, Saved,
};

pub(super) async fn check<S: CredentialStore>(tried: &Tried<S>) {
    of_many_saves_one_is_done(tried).await;
    of_many_claims_one_is_granted(tried).await;
    of_many_who_take_over_one_is_granted(tried).await;
    of_many_replacements_one_is_made(tried).await;
    of_many_marks_one_is_first(tried).await;
    no_update_is_lost(tried).await;
    a_dropped_operation_is_whole(tried).await;
}

const MANY: usize = 16;

/// Does the same many times at once, and answers what came of each.
async fn at_once<S, T, F>(tried: &Tried<S>, act: impl Fn(Tried<S>, usize) -> F) -> Vec<T>
where
    S: CredentialStore,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = (0..MANY)
        .map(|number| tokio::spawn(act(tried.clone(), number)))
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("an operation does not panic"));
    }
    answers
}

fn count<T: PartialEq>(answers: &[T], wanted: &T) -> usize {
    answers.iter().filter(|answer| *answer == wanted).count()
}

async fn of_many_saves_one_is_done<S: CredentialStore>(tried: &Tried<S>) {
    for (round, expected) in [(1, Expected::Absent), (2, Expected::Generation(1))] {
        let saved = at_once(tried, |tried, number| async move {
            let payload = number.to_string();
            let new = holding(Change::Connect, payload.as_bytes());
            let saved = tried.save_as("saves", new, expected, AttemptId::random());
            (saved.await, payload)
        })
        .await;
        let done: Vec<_> = saved
            .iter()
            .filter(|(saved, _)| *saved == Saved::Done(round))
            .collect();
        assert_eq!(
            done.len(),
            1,
            "one save makes generation {round}: {saved:?}"
        );
        let conflict = Saved::Conflict(Some(round));
        let conflicts = saved.iter().filter(|(saved, _)| *saved == conflict);
        assert_eq!(
            conflicts.count(),
            MANY - 1,
            "the others are told: {saved:?}"
        );
        let record = tried.record("saves").await;
        assert_eq!(record.payload.as_bytes(), done[0].1.as_bytes());
    }
}

async fn of_many_claims_one_is_granted<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("claims", Change::Connect).await;
    let claimed = at_once(tried, |tried, _| async move {
        let attempt = AttemptId::random();
        (attempt, tried.claim("claims", attempt, LONG, None).await)
    })
    .await;
    let granted: Vec<_> = claimed
        .iter()
        .filter(|(_, claimed)| *claimed == ClaimAnswer::Claimed)
        .collect();
    assert_eq!(granted.len(), 1, "one claim is granted: {claimed:?}");
    let claim = tried.record("claims").await.claim;
    assert_eq!(claim.map(|claim| claim.attempt), Some(granted[0].0));
}

async fn of_many_who_take_over_one_is_granted<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("over", Change::Connect).await;
    let before = AttemptId::random();
    tried.claim("over", before, SHORT, None).await;
    tried.pass(SHORT).await;
    let claimed = at_once(tried, move |tried, _| async move {
        let attempt = AttemptId::random();
        tried.claim("over", attempt, LONG, Some(before)).await
    })
    .await;
    let granted = count(&claimed, &ClaimAnswer::Claimed);
    assert_eq!(granted, 1, "one takes a lapsed claim over: {claimed:?}");
}

async fn of_many_replacements_one_is_made<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("model", Change::Connect).await;
    let model = tried.record("model").await;
    for seen in [None, Some(model.revision)] {
        let replaced = at_once(tried, |tried, _| {
            let mut new = model.clone();
            if seen.is_some() {
                new.revision = Revision::random();
            }
            async move {
                let replaced = tried.store.replace(&tried.key("swaps"), seen, &new).await;
                replaced.expect("the store answers `replace`")
            }
        })
        .await;
        assert_eq!(count(&replaced, &true), 1, "one replacement is made");
    }
}

async fn of_many_marks_one_is_first<S: CredentialStore>(tried: &Tried<S>) {
    let marked = at_once(tried, |tried, _| async move {
        let key = OnceKey::new(tried.namespace.as_str(), [9; 32]);
        let marked = tried.store.once(&key, LONG).await;
        marked.expect("the store answers `once`")
    })
    .await;
    assert_eq!(count(&marked, &OnceAnswer::First), 1, "{marked:?}");
}

async fn no_update_is_lost<S: CredentialStore>(tried: &Tried<S>) {
    const EACH: u64 = 5;

    tried.save("chain", Change::Connect).await;
    let parents = at_once(tried, |tried, _| async move {
        let mut parents = Vec::new();
        while parents.len() < usize::try_from(EACH).unwrap_or_default() {
            let Record { generation, .. } = tried.record("chain").await;
            let new = holding(Change::Refresh, &generation.to_be_bytes());
            let expected = Expected::Generation(generation);
            let saved = tried.save_as("chain", new, expected, AttemptId::random());
            match saved.await {
                Saved::Done(made) => {
                    assert_eq!(made, generation + 1, "a generation follows its parent");
                    parents.push(generation);
                }
                Saved::Conflict(found) => assert!(
                    found > Some(generation),
                    "a conflict is with a newer generation: {found:?}"
                ),
            }
        }
        parents
    })
    .await;
    let mut parents = parents.concat();
    parents.sort_unstable();
    let every: Vec<u64> = (1..=EACH * MANY as u64).collect();
    assert_eq!(parents, every, "each generation has one successor");
    let record = tried.record("chain").await;
    assert_eq!(record.generation, 1 + EACH * MANY as u64);
}

const A_MOMENT: Duration = Duration::from_millis(20);

/// Polls whenever it is woken, until it is ready or has been polled so often.
async fn drop_after<T>(future: impl Future<Output = T>, polls: usize) {
    let mut future = std::pin::pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        if future.as_mut().poll(context).is_ready() || polled == polls {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Lets go of operations after each number of polls: done or not done, and the store goes on.
async fn a_dropped_operation_is_whole<S: CredentialStore>(tried: &Tried<S>) {
    tried.save("dropped", Change::Connect).await;
    for steps in 1..12 {
        let before = tried.record("dropped").await;
        let key = tried.key("dropped");
        let expected = Expected::Generation(before.generation);
        let new = holding(Change::Refresh, &before.generation.to_be_bytes());
        let save = tried.store.save(&key, new, expected, AttemptId::random());
        drop_after(save, steps).await;
        // What was let go of may still be on its way.
        tried.pass(A_MOMENT).await;
        let after = tried.record("dropped").await;
        if after.generation == before.generation {
            assert_eq!(after.payload, before.payload, "not done is not done at all");
        } else {
            let made = before.generation.to_be_bytes();
            assert_eq!(after.generation, before.generation + 1);
            assert_eq!(after.payload.as_bytes(), made, "done is done whole");
        }
    }
    let current = tried.record("dropped").await;
    let attempt = AttemptId::random();
    let claimed = tried.claim_of("dropped", current.generation, attempt, LONG, None);
    assert!(
        matches!(claimed.await, ClaimAnswer::Claimed | ClaimAnswer::Moved),
        "an operation that was let go of holds nothing up"
    );
    let free = tried.save_as(
        "beside",
        new(Change::Connect),
        Expected::Absent,
        AttemptId::random(),
    );
    assert_eq!(free.await, Saved::Done(1));
}
