use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, SystemTime},
};

use tokio::task::JoinSet;

use super::trial::{Trial, active, broken, record};
use crate::{
    credentials::ReauthorizationReason,
    store::{RecordState, Revision, StoredRecord},
};

const RULE: &str = "compare and swap";

pub(super) async fn check(trial: &Trial) {
    only_the_seen_revision_is_replaced(trial).await;
    records_are_read_back_unchanged(trial).await;
    keys_do_not_collide(trial).await;
    one_of_many_swaps_wins(trial).await;
    no_update_is_lost(trial).await;
    a_dropped_swap_is_whole(trial).await;
    tombstones_are_purged(trial).await;
}

async fn only_the_seen_revision_is_replaced(trial: &Trial) {
    let key = trial.key("swap", "ann");
    if trial.record(&key).await.is_some() {
        broken(RULE, "a record was found for a key that was never written");
    }
    let (first, second) = (active(b"first"), active(b"second"));
    if trial.swap(&key, Some(Revision::random()), &first).await {
        broken(RULE, "a swap replaced a revision that never existed");
    }
    if trial.record(&key).await.is_some() {
        broken(RULE, "a swap that returned false wrote a record");
    }
    trial.insert(&key, &first).await;
    for (seen, what) in [
        (
            None,
            "a swap that expected no record replaced an existing one",
        ),
        (
            Some(second.revision),
            "a swap replaced another revision than the expected one",
        ),
    ] {
        if trial.swap(&key, seen, &second).await {
            broken(RULE, what);
        }
    }
    expect(trial, &key, &first).await;
    if !trial.swap(&key, Some(first.revision), &second).await {
        broken(RULE, "a swap with the current revision failed");
    }
    expect(trial, &key, &second).await;
}

async fn records_are_read_back_unchanged(trial: &Trial) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = every_byte.repeat(4096);
    let bytes: [&[u8]; 4] = [b"", b"\0", &every_byte, &large];
    let states = [
        RecordState::Active,
        RecordState::NeedsReauthorization(ReauthorizationReason::Revoked),
        RecordState::NeedsReauthorization(ReauthorizationReason::Expired),
        RecordState::Disconnected,
    ];
    let bots = [
        None,
        Some("bot"),
        Some(""),
        Some("b\u{f6}t \u{1f916} ' \" % _ \\"),
    ];
    for (number, bytes) in bytes.iter().enumerate() {
        let key = trial.key("unchanged", &format!("subject {number}"));
        let mut new = record(states[number], bytes);
        new.bot_id = bots[number].map(str::to_owned);
        trial.insert(&key, &new).await;
        expect(trial, &key, &new).await;
    }
}

async fn keys_do_not_collide(trial: &Trial) {
    let long = "x".repeat(1000);
    let subjects = [
        &*long, "ann", "Ann", "ANN", " ann", "ann ", "an", "ann\n", "a:nn", "a%", "a_", "\u{e4}",
        "a\u{308}", "'", "\"", "\\", "{ann}", "",
    ];
    let mut written = Vec::new();
    for namespace in ["keys", "key", "keys:a"] {
        for subject in subjects {
            let key = trial.key(namespace, subject);
            let new = active(format!("{namespace} {subject}").as_bytes());
            trial.insert(&key, &new).await;
            written.push((key, new));
        }
    }
    for (key, record) in &written {
        expect(trial, key, record).await;
    }
}

const RACERS: u32 = 8;

async fn one_of_many_swaps_wins(trial: &Trial) {
    let key = trial.key("race", "ann");
    for seen in [None, Some(())] {
        let seen = match seen {
            None => None,
            Some(()) => trial.record(&key).await.map(|record| record.revision),
        };
        let mut race = JoinSet::new();
        for number in 0..RACERS {
            let (trial, key) = (trial.clone(), key.clone());
            race.spawn(async move {
                let new = active(format!("{number}").as_bytes());
                trial.swap(&key, seen, &new).await.then_some(new)
            });
        }
        let winners: Vec<StoredRecord> = race.join_all().await.into_iter().flatten().collect();
        match &*winners {
            [winner] => expect(trial, &key, winner).await,
            _ => broken(
                RULE,
                format_args!("{} of {RACERS} concurrent swaps won", winners.len()),
            ),
        }
    }
}

async fn no_update_is_lost(trial: &Trial) {
    const EACH: u32 = 4;

    let key = trial.key("updates", "ann");
    trial.insert(&key, &active(&0_u32.to_be_bytes())).await;
    let mut race = JoinSet::new();
    for _ in 0..RACERS {
        let (trial, key) = (trial.clone(), key.clone());
        race.spawn(async move {
            let mut done = 0;
            while done < EACH {
                let Some(current) = trial.record(&key).await else {
                    broken("durable", "a record that was written is gone");
                };
                let count = current.bytes.as_slice().try_into().map(u32::from_be_bytes);
                let new = active(&(count.unwrap_or_default() + 1).to_be_bytes());
                done += u32::from(trial.swap(&key, Some(current.revision), &new).await);
            }
        });
    }
    race.join_all().await;
    let expected = EACH * RACERS;
    let record = trial.record(&key).await;
    if record.is_none_or(|record| record.bytes.as_slice() != expected.to_be_bytes()) {
        broken(RULE, "concurrent updates were lost");
    }
}

/// Drops swaps after each number of polls. Each one must be done or not done, and later operations must
/// work.
async fn a_dropped_swap_is_whole(trial: &Trial) {
    const RULE: &str = "cancel safe";

    let key = trial.key("dropped", "ann");
    let mut old = active(b"old");
    trial.insert(&key, &old).await;
    for polls in 1..10 {
        let new = active(format!("after {polls}").as_bytes());
        {
            let mut swap = pin!(trial.store.compare_and_swap(&key, Some(old.revision), &new));
            let mut polled = 0;
            poll_fn(|context| {
                polled += 1;
                match swap.as_mut().poll(context).is_ready() || polled == polls {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
        }
        let Some(current) = trial.record(&key).await else {
            broken(RULE, "a dropped swap removed the record");
        };
        if current != old && current != new {
            broken(RULE, "a dropped swap wrote a part of the record");
        }
        // The dropped swap may have completed since it was read.
        old = current;
        let next = active(b"next");
        if trial.swap(&key, Some(old.revision), &next).await {
            old = next;
        } else if let Some(current) = trial.record(&key).await {
            old = current;
        }
    }
    trial.insert(&trial.key("dropped", "ben"), &old).await;
}

async fn tombstones_are_purged(trial: &Trial) {
    const RULE: &str = "purge_expired removes tombstones of 24 hours";
    const HOUR: Duration = Duration::from_secs(60 * 60);

    let now = trial.now().await;
    let records = [
        ("young", RecordState::Disconnected, now - 23 * HOUR, true),
        ("old", RecordState::Disconnected, now - 25 * HOUR, false),
        ("active", RecordState::Active, now - 1000 * HOUR, true),
    ];
    let mut written = Vec::new();
    for (subject, state, updated_at, stays) in records {
        let new = StoredRecord {
            updated_at,
            ..record(state, subject.as_bytes())
        };
        let key = trial.key("purge", subject);
        trial.insert(&key, &new).await;
        written.push((key, new, stays));
    }
    let purged = trial.purge().await;
    if purged == 0 {
        broken(
            RULE,
            "it returned 0, although there was an expired tombstone",
        );
    }
    for (key, record, stays) in written {
        let is_there = trial.record(&key).await.is_some();
        if is_there != stays {
            let subject = key.subject().as_str();
            broken(
                RULE,
                format_args!("the {subject} record is there: {is_there}, expected {stays}"),
            );
        }
        if stays {
            expect(trial, &key, &record).await;
        }
    }
    // The key of a purged record can be used again.
    let again = active(b"again");
    trial.insert(&trial.key("purge", "old"), &again).await;
}

#[track_caller]
fn difference(found: &StoredRecord, written: &StoredRecord) -> Option<&'static str> {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    };
    if found.revision != written.revision {
        Some("the revision")
    } else if found.bytes != written.bytes {
        Some("the bytes")
    } else if found.state != written.state {
        Some("the state")
    } else if found.bot_id != written.bot_id {
        Some("the bot id")
    } else if seconds(found.updated_at) != seconds(written.updated_at) {
        Some("the second of `updated_at`")
    } else {
        None
    }
}

async fn expect(trial: &Trial, key: &crate::store::RecordKey, written: &StoredRecord) {
    let Some(found) = trial.record(key).await else {
        broken("durable", "a record that was written is missing");
    };
    if let Some(what) = difference(&found, written) {
        broken(
            "unchanged",
            format_args!(
                "{what} of the record of {:?} changed between write and read",
                key.subject().as_str()
            ),
        );
    }
}
