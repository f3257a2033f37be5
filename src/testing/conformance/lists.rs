use super::trial::{Trial, active, broken, record};
use crate::{
    credentials::ReauthorizationReason,
    store::{Filter, ListQuery, RecordState, StoredRecord},
    subject::Subject,
};

const RULE: &str = "list returns the records that the query asks for, in byte order";

/// In byte order, which differs from the order of any locale.
const SUBJECTS: [&str; 9] = ["", "B", "_", "a", "a%", "a%b", "aB", "ab", "\u{e4}"];

pub(super) async fn check(trial: &Trial) {
    let states = [
        RecordState::Active,
        RecordState::NeedsReauthorization(ReauthorizationReason::RotationLost),
        RecordState::Disconnected,
    ];
    let mut written = Vec::new();
    for (number, subject) in SUBJECTS.into_iter().enumerate() {
        let mut new = record(states[number % 3], subject.as_bytes());
        new.bot_id = (number % 2 == 0).then(|| "bot".to_owned());
        written.push((subject, new));
    }
    // Written in a different order from the one in which they are listed.
    for (subject, record) in written.iter().rev() {
        trial.insert(&trial.key("list", subject), record).await;
    }
    let foreign = active(b"foreign");
    trial.insert(&trial.key("list2", "a"), &foreign).await;

    let all = || ListQuery::default();
    for filter in [
        Filter::All,
        Filter::Active,
        Filter::NeedsReauthorization,
        Filter::Disconnected,
        Filter::Bot("bot".to_owned()),
        Filter::Bot("other".to_owned()),
    ] {
        expect(trial, &written, &all().filter(filter)).await;
    }
    for prefix in ["a", "a%", "ab", "\u{e4}", "z", "_"] {
        expect(trial, &written, &all().prefix(prefix)).await;
        let active = all().prefix(prefix).filter(Filter::Active);
        expect(trial, &written, &active).await;
    }
    for after in ["", "A", "a", "a%", "zzz"] {
        let behind = all().after(Subject::new(after));
        expect(trial, &written, &behind).await;
        expect(trial, &written, &behind.prefix("a").limit(2)).await;
    }
    expect(trial, &written, &all().limit(0)).await;
    expect(trial, &written, &all().limit(1)).await;
    expect_pages(trial).await;
}

async fn expect(trial: &Trial, written: &[(&str, StoredRecord)], query: &ListQuery) {
    let listed = trial.list("list", query).await;
    let expected: Vec<_> = written
        .iter()
        .filter(|(subject, record)| query.admits(subject, record))
        .take(query.limit)
        .collect();
    let subjects: Vec<&str> = listed.iter().map(|it| it.subject.as_str()).collect();
    let expected_subjects: Vec<&str> = expected.iter().map(|(subject, _)| *subject).collect();
    if subjects != expected_subjects {
        broken(
            RULE,
            format_args!(
                "prefix {:?}, after {:?}, limit {}, filter {:?} returned {subjects:?}, expected \
                 {expected_subjects:?}",
                query.prefix,
                query.after.as_ref().map(Subject::as_str),
                query.limit,
                query.filter
            ),
        );
    }
    for (listed, (subject, record)) in listed.iter().zip(expected) {
        if listed.record.bytes != record.bytes || listed.record.revision != record.revision {
            broken(
                RULE,
                format_args!("the record of {subject:?} was listed changed"),
            );
        }
    }
}

/// Requests as many pages as there are records, and one more.
async fn expect_pages(trial: &Trial) {
    let mut query = ListQuery::default().limit(2);
    let mut seen = Vec::new();
    for _ in 0..=SUBJECTS.len() {
        let page = trial.list("list", &query).await;
        let Some(last) = page.last() else { break };
        query = query.after(last.subject.clone());
        seen.extend(page.into_iter().map(|it| it.subject));
    }
    let seen: Vec<&str> = seen.iter().map(Subject::as_str).collect();
    if seen != SUBJECTS {
        broken(
            RULE,
            format_args!("the pages together returned {seen:?}, expected {SUBJECTS:?}"),
        );
    }
}
