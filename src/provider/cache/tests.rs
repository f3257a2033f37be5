use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderValue;

use super::{Cache, Found, Fresh, Tag};
use crate::subject::Subject;

const READ: Duration = Duration::from_secs(5);

/// A token that can be seen to be let go.
struct Token {
    _alive: Arc<()>,
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        b"Bearer ntn_1"
    }
}

fn publish(cache: &Cache, subject: &Subject, generation: u64) -> (Arc<()>, Tag) {
    let alive = Arc::new(());
    let token = Bytes::from_owner(Token {
        _alive: Arc::clone(&alive),
    });
    let fresh = Fresh {
        authorization: HeaderValue::from_maybe_shared(token).expect("a value"),
        generation,
        expires_at: None,
        due_at: None,
        validated_at: Duration::from_secs(1),
    };
    let tag = cache
        .publish(subject, fresh, None, false)
        .expect("it is newer");
    (alive, tag)
}

fn is_hit(cache: &Cache, subject: &Subject) -> bool {
    let found = cache.find(subject, || Duration::from_secs(2));
    matches!(found, Found::Hit { .. })
}

#[track_caller]
fn assert_forgotten(alive: &Arc<()>) {
    assert_eq!(Arc::strong_count(alive), 1, "the token is still held");
}

#[test]
fn a_token_that_is_no_longer_needed_is_let_go_at_once() {
    let cache = Cache::new(Some(100), READ);
    let ann = Subject::new("ann");

    let (refused, tag) = publish(&cache, &ann, 1);
    cache.refuse(&ann, tag, None);
    assert_forgotten(&refused);

    let (replaced, _) = publish(&cache, &ann, 2);
    let (buried, _) = publish(&cache, &ann, 3);
    assert_forgotten(&replaced);
    cache.bury(&ann, 3, Duration::from_secs(2));
    assert_forgotten(&buried);

    let (removed, _) = publish(&cache, &ann, 4);
    assert_eq!(Arc::strong_count(&removed), 2);
    cache.remove(&ann, 4);
    assert_forgotten(&removed);
}

#[test]
fn a_refused_token_does_not_come_back_with_the_same_generation() {
    let cache = Cache::new(Some(100), READ);
    let ann = Subject::new("ann");
    let (_, tag) = publish(&cache, &ann, 1);
    cache.refuse(&ann, tag, None);

    let (again, _) = publish(&cache, &ann, 1);

    assert_forgotten(&again);
    assert!(!is_hit(&cache, &ann));
}

#[test]
fn what_is_used_stays_while_others_come_and_go() {
    const CAPACITY: usize = 1_000;
    let cache = Cache::new(Some(CAPACITY), READ);
    let busy: Vec<Subject> = (0..10)
        .map(|it| Subject::new(format!("busy {it}")))
        .collect();
    for subject in &busy {
        publish(&cache, subject, 1);
    }
    let mut tokens = Vec::new();
    for number in 0..100_000 {
        let stranger = Subject::new(format!("stranger {number}"));
        tokens.push(publish(&cache, &stranger, 1).0);
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
    let cache = Cache::new(Some(CAPACITY), READ);
    let subjects: Vec<Subject> = (0..CAPACITY)
        .map(|it| Subject::new(it.to_string()))
        .collect();
    for subject in &subjects {
        publish(&cache, subject, 1);
    }
    let hits = subjects.iter().filter(|it| is_hit(&cache, it)).count();
    // The hash is another one in each process; four standard deviations are left for it.
    assert!(hits * 100 >= CAPACITY * 99, "{hits} of {CAPACITY}");
}

#[test]
fn without_a_limit_all_stay() {
    let cache = Cache::new(None, READ);
    let subjects: Vec<Subject> = (0..10_000).map(|it| Subject::new(it.to_string())).collect();
    for subject in &subjects {
        publish(&cache, subject, 1);
    }
    assert!(subjects.iter().all(|it| is_hit(&cache, it)));
}
