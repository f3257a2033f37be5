use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderValue;

use super::{Cache, Cached, EntryVersion, Found, Refusal};
use crate::{
    store::{FencingToken, Lineage},
    subject::Subject,
};

/// Its owner can see whether the cache still holds it.
struct Token {
    _alive: Arc<()>,
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        b"Bearer ntn_1"
    }
}

fn cached(lineage: Lineage, generation: u64) -> (Arc<()>, Cached) {
    let alive = Arc::new(());
    let token = Bytes::from_owner(Token {
        _alive: Arc::clone(&alive),
    });
    let fence = FencingToken {
        lineage,
        generation,
    };
    let cached = Cached {
        authorization: HeaderValue::from_maybe_shared(token).expect("a value"),
        fence: fence.into(),
        replaced: None,
        expires_at: None,
        refresh_at: None,
        validated_at: Duration::from_secs(1),
    };
    (alive, cached)
}

fn publish(cache: &Cache, subject: &Subject) -> (Arc<()>, EntryVersion) {
    let (alive, cached) = cached(Lineage::random(), 1);
    let changes = cache.changes(subject);
    let published = cache.publish(subject, changes, cached, None, true);
    (alive, published.expect("nothing has changed"))
}

fn is_hit(cache: &Cache, subject: &Subject) -> bool {
    let found = cache.find(subject, || Duration::from_secs(2));
    matches!(found, Found::Hit { .. })
}

const REFUSAL: Refusal = Refusal {
    is_current: true,
    at: Duration::from_secs(2),
    first_identified_at: None,
    is_final: false,
};

#[track_caller]
fn assert_dropped(alive: &Arc<()>) {
    assert_eq!(Arc::strong_count(alive), 1, "the token is still held");
}

#[test]
fn replaced_and_removed_tokens_are_dropped() {
    let cache = Cache::new(Some(100));
    let ann = Subject::new("ann");
    let (replaced, _) = publish(&cache, &ann);
    let (removed, _) = publish(&cache, &ann);
    assert_dropped(&replaced);
    assert_eq!(Arc::strong_count(&removed), 2);
    cache.remove(&ann, cache.changes(&ann));
    assert_dropped(&removed);

    let (disconnected, _) = publish(&cache, &ann);
    let change = cache.begin_change(&ann);
    change.end(None);
    assert_dropped(&disconnected);
}

#[test]
fn read_from_before_a_change_is_not_published() {
    let cache = Cache::new(Some(100));
    let ann = Subject::new("ann");
    let before = cache.changes(&ann);
    let change = cache.begin_change(&ann);
    let during = cache.changes(&ann);
    change.end(None);
    for changes in [before, during] {
        let (token, cached) = cached(Lineage::random(), 1);
        let published = cache.publish(&ann, changes, cached, None, true);
        assert!(published.is_none());
        assert_dropped(&token);
    }
    assert!(!is_hit(&cache, &ann));
}

#[test]
fn change_that_ends_late_does_not_replace_a_refreshed_token() {
    let cache = Cache::new(Some(100));
    let ann = Subject::new("ann");
    let (old, _) = publish(&cache, &ann);
    let change = cache.begin_change(&ann);
    let lineage = Lineage::random();
    let (connected, first) = cached(lineage, 1);
    let (refreshed, second) = cached(lineage, 2);
    let changes = cache.changes(&ann);
    let published = cache.publish(&ann, changes, second, None, true);
    assert!(published.is_some());
    assert_dropped(&old);
    change.end(Some((first, None)));
    assert_dropped(&connected);
    assert_eq!(Arc::strong_count(&refreshed), 2);
    assert!(is_hit(&cache, &ann));
}

#[test]
fn entry_of_a_change_between_two_others_is_not_kept() {
    let cache = Cache::new(Some(100));
    let ann = Subject::new("ann");
    let first = cache.begin_change(&ann);
    let second = cache.begin_change(&ann);
    for change in [second, first] {
        let (_, cached) = cached(Lineage::random(), 1);
        change.end(Some((cached, None)));
    }
    assert!(!is_hit(&cache, &ann));
}

#[test]
fn refused_entry_is_used_again_only_when_the_refusal_ends() {
    let cache = Cache::new(Some(100));
    let ann = Subject::new("ann");
    let lineage = Lineage::random();
    let publish = |ends_refusal| {
        let (_, cached) = cached(lineage, 1);
        let changes = cache.changes(&ann);
        let published = cache.publish(&ann, changes, cached, None, ends_refusal);
        published.expect("nothing has changed")
    };
    let refused = publish(true);
    cache.refuse(&ann, refused, REFUSAL);
    assert!(!is_hit(&cache, &ann));
    assert_eq!(publish(false), refused);
    assert!(!is_hit(&cache, &ann));

    let again = publish(true);
    assert!(is_hit(&cache, &ann));
    // A late answer to a request from before the refusal.
    assert_ne!(again, refused);
    cache.refuse(&ann, refused, REFUSAL);
    assert!(is_hit(&cache, &ann));
}

#[test]
fn what_is_used_stays_while_others_come_and_go() {
    const CAPACITY: usize = 1_000;
    let cache = Cache::new(Some(CAPACITY));
    let busy: Vec<Subject> = (0..10)
        .map(|it| Subject::new(format!("busy {it}")))
        .collect();
    for subject in &busy {
        publish(&cache, subject);
    }
    let mut tokens = Vec::new();
    for number in 0..100_000 {
        let stranger = Subject::new(format!("stranger {number}"));
        tokens.push(publish(&cache, &stranger).0);
        for subject in &busy {
            assert!(is_hit(&cache, subject), "after {number} others");
        }
    }
    let held = tokens
        .iter()
        .filter(|it| Arc::strong_count(it) == 2)
        .count();
    assert!(held <= CAPACITY * 2, "{held} are held");
}

#[test]
fn as_many_as_the_capacity_says_stay_though_nobody_uses_them() {
    const CAPACITY: usize = 10_000;
    let cache = Cache::new(Some(CAPACITY));
    let subjects: Vec<Subject> = (0..CAPACITY)
        .map(|it| Subject::new(it.to_string()))
        .collect();
    for subject in &subjects {
        publish(&cache, subject);
    }
    let hits = subjects.iter().filter(|it| is_hit(&cache, it)).count();
    // The hash is another one in each process; four standard deviations are left for it.
    assert!(hits * 100 >= CAPACITY * 99, "{hits} of {CAPACITY}");
}

#[test]
fn without_a_limit_all_stay() {
    let cache = Cache::new(None);
    let subjects: Vec<Subject> = (0..10_000).map(|it| Subject::new(it.to_string())).collect();
    for subject in &subjects {
        publish(&cache, subject);
    }
    assert!(subjects.iter().all(|it| is_hit(&cache, it)));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn entry_takes_128_bytes() {
    assert_eq!(size_of::<super::entry::Slot>(), 128);
}
